"""Sites under ``scale``: what of them is a probability at its limit, and what NumPyro scales besides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers
from ppl_parity import check
from ppl_parity.backend.contract import Site
from ppl_parity.backend.weights import scale_and_weights
from ppl_parity.pair.stacking import Stack, merge_sites
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines

pytestmark = pytest.mark.pyro

WEIGHTS = {
    "tempered": 0.25,
    "a batch of many rows": 1e6,
    "of each row": np.array([0.25, 1.0, 3.0, 1e6, 1.0, 0.5]),
}


def scaled(ppl: str, scale: Any) -> Any:
    library, _ = libraries(ppl)
    return (library.poutine if ppl == "pyro" else library.handlers).scale(scale=scale)


def chances(ppl: str, weights: Any, *, times: float = 1.0) -> Callable:
    """Rows of a softmax, some of which at an edge are all but impossible."""

    def model(x, y, weights):
        library, dist = libraries(ppl)
        xp = numbers(ppl)
        slope = library.sample("slope", dist.Normal(xp.zeros((2, 3)), 3.0).to_event(2))
        logits = times * (x @ slope)
        probs = xp.exp(
            logits - logits.max(-1)[0][:, None] if ppl == "pyro" else logits - logits.max(-1)[:, None]
        )
        with scaled(ppl, weights), library.plate("rows", len(y)):
            library.sample("y", dist.Categorical(probs=probs / probs.sum(-1)[:, None]), obs=y)

    return model


@pytest.mark.parametrize("times", [1.0, 1.0 + 1e-6])
@pytest.mark.parametrize("weights", list(WEIGHTS))
def test_a_chance_is_at_its_limit_by_itself_and_not_by_its_weight(
    weights: str, times: float, sides: dict[str, Side]
) -> None:
    rng = np.random.default_rng(9)
    data = {"x": 3 * rng.normal(size=(6, 2)), "y": rng.integers(0, 3, 6), "weights": WEIGHTS[weights]}
    pair = chances("pyro", data["weights"]), chances("numpyro", data["weights"], times=times)
    report = check(*pair, data, level="quick", sides=sides)
    assert report.verdict == ("same" if times == 1.0 else "different"), three_lines(report)
    if times != 1.0:
        assert report.first_difference is not None
        assert report.first_difference["site"] == "y"


def test_of_an_array_of_weights_the_telling_one_is_the_scale() -> None:
    assert scale_and_weights(0.5) == {"scale": 0.5, "weights": None}
    assert scale_and_weights(np.full(3, 2.0)) == {"scale": 2.0, "weights": None}
    assert scale_and_weights(np.zeros(0)) == {"scale": 1.0, "weights": None}
    found = scale_and_weights(np.array([1.0, 0.5, 4.0]))
    assert found["scale"] == 4.0
    assert found["weights"].tolist() == [1.0, 0.5, 4.0]


@pytest.mark.parametrize(
    ("each", "whole"),
    [
        ([(2.0, None), (2.0, None)], None),
        ([(1.0, None), (3.0, None)], [1.0, 3.0]),
        ([(1.0, None), (3.0, [1.0, 3.0])], [[1.0, 1.0], [1.0, 3.0]]),
        ([(2.0, [1.0, 2.0]), (3.0, [1.0, 3.0, 1.0])], None),
    ],
)
def test_steps_have_each_its_own_weights(each: list, whole: list | None) -> None:
    steps = [
        Site(f"y_{i}", "observed", "Normal", (), (), "real", "float64", scale=scale, weights=_array(weights))
        for i, (scale, weights) in enumerate(each)
    ]
    (found,) = merge_sites(steps, [Stack("y", ("y_0", "y_1"), (2,))])
    assert (None if found.weights is None else found.weights.tolist()) == whole


def _array(weights: list | None) -> np.ndarray | None:
    return None if weights is None else np.array(weights)


@pytest.mark.parametrize("whole", [True, False])
def test_numpyro_scales_the_jacobian_of_a_prior_that_is_scaled(whole: bool, sides: dict[str, Side]) -> None:
    """So NUTS draws from another density than Pyro's; a scale of the likelihood alone is the same in both."""

    def model(ppl: str) -> Callable:
        def inner(y):
            library, dist = libraries(ppl)
            sd = library.sample("sd", dist.HalfNormal(1.0))
            if whole:
                library.sample("y", dist.Normal(0.0, sd), obs=y)
                return
            with scaled(ppl, 0.5):
                library.sample("y", dist.Normal(0.0, sd), obs=y)

        return scaled(ppl, 0.5)(inner) if whole else inner

    report = check(model("pyro"), model("numpyro"), {"y": np.array(0.7)}, level="quick", sides=sides)
    assert report.verdict == ("different" if whole else "same")
    if whole:
        first = report.first_difference
        assert first is not None
        assert (first["rung"], first["site"]) == ("gradient", "sd")
        assert first["hint"].startswith("the libraries' own: the prior of 'sd' is scaled")
