"""What crosses between processes comes back as it was, and what may not cross is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from ppl_parity.backend.contract import Plate, Site
from ppl_parity.process import wire
from ppl_parity.process.references import MixtureReference
from ppl_parity.spec import MixtureSpec, SamplerSettings


def there_and_back(message: Any) -> Any:
    stream = io.BytesIO()
    wire.send(stream, message)
    stream.seek(0)
    return wire.receive(stream)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        1.5,
        float("inf"),
        "text",
        b"\x00bytes",
        [1, [2.0, None]],
        (1, (2, "x")),
        {"a": {"b": [1]}, "array": 1, "class": "no"},
        SamplerSettings(num_draws=3),
        MixtureSpec(2, 2, [1, 2], 0, [[2, 1], [1, 2]]),
        MixtureReference(MixtureSpec(2, 1), "fused"),
    ],
    ids=str,
)
def test_plain_values_and_classes(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.array(2.5),
        np.array([True, False]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(["a", "bc"]),
        np.array("abc"),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.arange(12.0)[::-2],
    ],
    ids=str,
)
def test_arrays(array: np.ndarray) -> None:
    back = there_and_back({"x": [array]})["x"][0]
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_a_site_with_arrays_inside() -> None:
    site = Site(
        "x", "observed", "Normal", (3,), (), "real", "float64", (Plate("N", -1, 3, 3),), value=np.ones(3)
    )
    back = there_and_back((site,))[0]
    assert back.plates == site.plates
    np.testing.assert_array_equal(back.value, site.value)


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, np.array([object()]), {1, 2}, np.zeros(2, dtype=[("a", "f4")])],
    ids=["object", "key", "array", "set", "records"],
)
def test_what_may_not_cross_is_refused(value: Any) -> None:
    with pytest.raises(wire.WireError):
        there_and_back(value)


def test_a_closed_pipe_is_an_end_of_file() -> None:
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(b"\x00" * 5))
    stream = io.BytesIO()
    wire.send(stream, {"x": np.arange(10.0)})
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(stream.getvalue()[:-1]))
