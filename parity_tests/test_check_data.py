"""Data as users have them: tensors and series, and missing values that a mask hides."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, told, two_outcomes
from ppl_parity import check
from ppl_parity.errors import InputError
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro


def test_tensors_and_series_are_data(sides: dict[str, Side]) -> None:
    import pandas
    import torch

    models = two_outcomes("pyro"), two_outcomes("numpyro")
    data = {"y": torch.tensor(0.7, dtype=torch.float64), "w": pandas.Series([1.0])}
    with pytest.raises(InputError, match="Give its columns"):
        check(*models, data | {"w": pandas.DataFrame({"w": [1.0]})}, level="quick", sides=sides)
    assert check(*models, data, level="quick", sides=sides).verdict == "same"


def gaps(ppl: str, *, filled: float | None, masked: bool = True) -> Callable:
    """Rows with missing values, which are masked after they were filled with a number, or left as they are."""

    def model(y):
        library, dist = libraries(ppl)
        xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
        handlers = library.poutine if ppl == "pyro" else library.handlers
        a = library.sample("a", dist.Normal(0.0, 1.0))
        seen = ~xp.isnan(y)
        with library.plate("rows", len(y)), handlers.mask(mask=seen if masked else xp.ones_like(seen)):
            library.sample("y", dist.Normal(a, 1.0), obs=y if filled is None else xp.where(seen, y, filled))

    return model


@pytest.mark.parametrize(("filled", "masked"), [(5.0, True), (None, True), (5.0, False)])
def test_what_a_mask_hides_may_be_any_number(
    sides: dict[str, Side], filled: float | None, masked: bool
) -> None:
    models = gaps("pyro", filled=0.0, masked=masked), gaps("numpyro", filled=filled, masked=masked)
    data = {"y": np.array([0.3, np.nan, 1.2])}
    report = check(*models, data, rungs=["structure", "density"], sides=sides)
    (found,) = [f for f in told(report, "structure") if f.quantity == "observed values"]
    assert (report.verdict, found.index) == ("same" if masked else "different", (1,))
    assert f"0 in pyro and {'nan' if filled is None else 5} in numpyro" in found.detail


def nan_masked(y) -> None:
    """Pyro's own way, which NumPyro lacks."""
    pyro, dist = libraries("pyro")
    a = pyro.sample("a", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.NanMaskedNormal(a, 1.0), obs=y)


@pytest.mark.parametrize(("masked", "verdict"), [(True, "same"), (False, "different")])
def test_a_distribution_may_leave_out_missing_values_by_itself(
    masked: bool, verdict: str, sides: dict[str, Side]
) -> None:
    data = {"y": np.array([0.3, np.nan, 1.2])}
    port = gaps("numpyro", filled=0.0, masked=masked)
    report = check(nan_masked, port, data, rungs=["structure", "density"], sides=sides)
    assert report.verdict == verdict
    (found,) = [f for f in told(report, "structure") if f.quantity == "observed values"]
    assert ("neither counts them" in found.detail or "both sides mask them" in found.detail) == masked
    program = sides["pyro"].program(CallableReference.of(nan_masked), data)
    np.testing.assert_allclose(
        program.site_log_probs({"a": 0.3})["y"], [-0.5 * np.log(2 * np.pi), 0.0, -1.3239385], rtol=1e-6
    )


def test_missing_values_on_one_side_are_shown_where_they_are(sides: dict[str, Side]) -> None:
    models = gaps("pyro", filled=0.0, masked=False), gaps("numpyro", filled=None, masked=False)
    first = check(
        *models, {"y": np.array([0.3, np.nan, 1.2])}, rungs=["structure"], sides=sides
    ).first_difference
    assert first is not None
    assert (first["site"], first["index"]) == ("y", [1])
    assert "0 in pyro and nan in numpyro" in first["detail"]
    assert "missing values (NaN) in numpyro" in first["hint"]


def in_numpy(ppl: str) -> Callable:
    """A model that asks its data with NumPy which rows are there, as it may where nothing is compiled."""

    def model(y):
        library, dist = libraries(ppl)
        kept = y[~np.isnan(np.asarray(y))]
        a = library.sample("a", dist.Normal(0.0, 1.0))
        library.sample("y", dist.Normal(a, 1.0).expand([len(kept)]).to_event(1), obs=kept)

    return model


def test_data_may_be_asked_with_numpy(sides: dict[str, Side]) -> None:
    data = {"y": np.array([0.3, np.nan, 1.2, 0.4])}
    report = check(in_numpy("pyro"), in_numpy("numpyro"), data, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference


@pytest.mark.parametrize("shift", [0, 1])
def test_a_number_of_groups_may_be_read_off_the_data(shift: int, sides: dict[str, Side]) -> None:
    """What JAX computes of a constant has no value while it compiles; NumPy's has, as where the model is run."""

    def grouped(ppl: str) -> Callable:
        def model(group, y):
            library, dist = libraries(ppl)
            with library.plate("groups", int(group.max()) + 1):
                a = library.sample("a", dist.Normal(0.0, 1.0))
            with library.plate("rows", len(y)):
                library.sample("y", dist.Normal(a[group - shift * (ppl == "numpyro")], 1.0), obs=y)

        return model

    data = {"group": np.array([0, 1, 2, 1]), "y": np.array([0.3, -0.2, 1.1, 0.7])}
    report = check(grouped("pyro"), grouped("numpyro"), data, level="quick", sides=sides)
    assert report.verdict == ("different" if shift else "same"), report.first_difference


@pytest.mark.parametrize(("rows", "said"), [(slice(1, None), "the first:"), (slice(None, -2), "the last 2:")])
def test_rows_that_were_dropped_are_told(sides: dict[str, Side], rows: slice, said: str) -> None:
    def noise(ppl: str, kept: slice) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            a = library.sample("a", dist.Normal(0.0, 1.0))
            with library.plate("rows", len(y[kept])):
                library.sample("y", dist.Normal(a, 1.0), obs=y[kept])

        return model

    data = {"y": np.arange(5.0)}
    first = check(
        noise("pyro", slice(None)), noise("numpyro", rows), data, rungs=["structure"], sides=sides
    ).first_difference
    assert first is not None
    assert f"numpyro lacks {said}" in first["hint"]
