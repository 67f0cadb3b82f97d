"""Models and data as they are held in a notebook or a test: arrive as they were given, or are refused by their name."""

from __future__ import annotations

import enum
import importlib
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

import jax.numpy as jnp
import torch

from parity_tests.written import libraries, numbers
from ppl_parity import check
from ppl_parity.errors import InputError
from ppl_parity.pair.loading import split_data
from ppl_parity.process import carrying
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines

pytestmark = pytest.mark.pyro
Y = {"y": np.array([0.3, -0.2, 1.1, 0.7])}
QUICK: dict[str, Any] = {"rungs": ["structure", "density", "gradient"]}


class Likelihood(enum.StrEnum):
    NORMAL = "normal"


class Table:
    """Data that no array can be made of, and that says so."""

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("make an array of a column")


def normal(ppl: str, scale: Any, noise: Any = None) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        mu = library.sample("mu", dist.Normal(0.0, scale))
        with library.plate("rows", 4):
            library.sample("y", dist.Normal(mu, 1.0 if noise is None else noise()), obs=y)

    return model


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Likelihood.NORMAL, "'x' is <Likelihood.NORMAL: 'normal'>, a member of an enumeration. What is no data may be"),
        ([1.0, Likelihood.NORMAL], r"'x'\[1\] is <Likelihood"),
        (np.ma.masked_invalid([1.0, np.nan]), "'x' is a masked array, whose mask would be lost"),
        (np.array(["a", "b"]), "'x' is an array of strings. Give whole numbers in place of names"),
        ({"deep": np.array(["a", None])}, r"'x'\['deep'\]: An array of Python objects.* Give whole numbers"),
        (Table(), "'x', a Table, is no array: make an array of a column"),
        (torch.ones(2, requires_grad=True), "'x', a Tensor, is no array: .*detach"),
        ({1, 2}, "'x': Only arrays, numbers, .* What is no data may be bound to the model"),
    ],
)  # fmt: skip
def test_what_would_not_arrive_is_refused_by_its_name(value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        split_data({"x": value}, "a pair")


def test_a_model_that_holds_a_lock_is_refused_with_advice() -> None:
    lock = threading.Lock()

    def model(y):
        with lock:
            normal("numpyro", 1.0)(y)

    with pytest.raises(InputError, match=r"The model 'model' cannot be handed to another process: .*lock"):
        check(model, model, Y, **QUICK)


@pytest.mark.parametrize(("given", "verdict"), [(0.1, "same"), (0.11, "different")])
def test_constants_of_a_session_are_what_they_would_be_in_a_file(
    given: float, verdict: str, sides: dict[str, Side]
) -> None:
    """Both libraries made float32 of them here; each side computes in float64, to 1e-10."""
    models = normal("pyro", torch.tensor(0.1)), normal("numpyro", jnp.array(given))
    assert check(*models, Y, sides=sides, **QUICK).verdict == verdict


def test_a_module_of_torch_made_here_is_float64_there(sides: dict[str, Side]) -> None:
    layer = torch.nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(0.1)
        layer.bias.fill_(0.3)

    def model(y):
        pyro, dist = libraries("pyro")
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", 4):
            pyro.sample("y", dist.Normal(layer(mu.reshape(1))[0], 1.0), obs=y)

    def port(y):
        numpyro, dist = libraries("numpyro")
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", 4):
            numpyro.sample("y", dist.Normal(0.1 * mu + 0.3, 1.0), obs=y)

    report = check(model, port, Y, sides=sides, **QUICK)
    assert report.verdict == "same", three_lines(report)


def test_weights_are_one_as_tensor_and_as_array(sides: dict[str, Side]) -> None:
    weights = torch.nn.Linear(2, 1).weight[0].detach()
    of_numpy = weights.numpy()

    def model(y):
        pyro, dist = libraries("pyro")
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", 4):
            pyro.sample("y", dist.Normal(weights[0] * mu + weights[1], 1.0), obs=y)

    def port(y):
        numpyro, dist = libraries("numpyro")
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", 4):
            numpyro.sample("y", dist.Normal(of_numpy[0] * mu + of_numpy[1], 1.0), obs=y)

    assert check(model, port, Y, sides=sides, **QUICK).verdict == "same"


def test_data_that_one_side_rounds_to_float32_are_told_to_be_that(sides: dict[str, Side]) -> None:
    given = {"pyro": {"y": torch.tensor(Y["y"])}, "numpyro": {"y": jnp.array(Y["y"], dtype=jnp.float32)}}
    report = check(normal("pyro", 1.0), normal("numpyro", 1.0), given, sides=sides, **QUICK)
    assert report.verdict == "different"
    assert "numpyro's are pyro's rounded to float32" in three_lines(report)


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        ([1.0, 0.0], "pyro: 'y' observes a list; give data() a NumPy array"),
        (1.0, "pyro: 'y' observes a float; give data() a NumPy array"),
        (np.array([True, False]), "booleans met numbers: let data() give this side 0.0 and 1.0"),
    ],
)
def test_what_torch_does_not_observe_is_told_with_the_cure(
    observed: Any, words: str, sides: dict[str, Side]
) -> None:
    def coin(ppl: str) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            library.sample("y", dist.Bernoulli(library.sample("p", dist.Beta(1.0, 1.0))), obs=y)

        return model

    with pytest.raises(InputError, match=re.escape(words)):
        check(coin("pyro"), coin("numpyro"), {"y": observed}, sides=sides, **QUICK)


def test_what_is_not_float32_stays_what_it_is() -> None:
    given = [torch.arange(3), torch.ones(2, dtype=torch.float64), jnp.arange(3), np.ones(2), np.arange(2)]
    back = carrying.loads(carrying.dumps(lambda: given), "float64")()
    assert [str(one.dtype) for one in back] == [str(one.dtype) for one in given]
    one = torch.ones(1)
    narrow = carrying.loads(carrying.dumps(lambda: one), "float32")()
    assert narrow.dtype == torch.float32


def test_data_is_run_as_a_side_would_run_it(sides: dict[str, Side]) -> None:
    def data() -> dict[str, Any]:
        y = np.array([0.1, 0.2, 0.3, 0.7])
        return {"pyro": {"y": torch.tensor(y)}, "numpyro": {"y": jnp.array(y)}}

    assert check(normal("pyro", 1.0), normal("numpyro", 1.0), data, sides=sides, **QUICK).verdict == "same"
    assert torch.get_default_dtype() == torch.float32
    assert jnp.array(0.1).dtype == jnp.float32


def test_what_is_random_at_each_call_is_compared_with_nothing(sides: dict[str, Side]) -> None:
    def noise() -> Any:
        return 1.0 + numbers("pyro").rand(())

    models = normal("pyro", 1.0, noise), normal("numpyro", 1.0)
    report = check(*models, Y, level="quick", sides=sides)
    assert report.verdict == "unresolved"
    assert "The pyro model is not deterministic" in three_lines(report)


@pytest.mark.long
def test_a_module_that_was_written_anew_is_imported_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sides: dict[str, Side]
) -> None:
    written = tmp_path / "written_anew.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # one second's two versions have one cached one
    text = "def scale():\n    return {}\n"
    written.write_text(text.format(1.0))
    module = importlib.import_module("written_anew")
    try:

        def port(y):
            import written_anew

            return normal("numpyro", written_anew.scale())(y)

        assert check(normal("pyro", 1.0), port, Y, sides=sides, **QUICK).verdict == "same"
        written.write_text(text.format(3.0))
        importlib.reload(module)
        assert check(normal("pyro", 1.0), port, Y, sides=sides, **QUICK).verdict == "different"
    finally:
        del sys.modules["written_anew"]
