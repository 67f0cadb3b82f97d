"""Transitions that cannot be: torch takes a probability of zero for 2e-16, and NumPyro's zero has no derivative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro


def left_to_right(ppl: str, back: float = 0.0, scale: float = 0.5) -> Callable:
    """Two states, the second of which is left with probability ``back``."""

    def model(y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        cast = array.as_tensor if ppl == "pyro" else array.asarray
        turn = cast(np.array([[0.7, 0.3], [back, 1 - back]]))
        mu = library.sample("mu", dist.Normal(cast(np.array([-1.0, 1.0])), 1.0).to_event(1))

        def step(z, value, names):
            z = library.sample(names[0], dist.Categorical(turn[z]), infer={"enumerate": "parallel"})
            library.sample(names[1], dist.Normal(mu[z], scale), obs=value)
            return z

        if ppl == "pyro":
            z = 0
            for t in library.markov(range(len(y))):
                z = step(z, y[t], (f"z_{t}", f"y_{t}"))
        else:
            from numpyro.contrib.control_flow import scan

            scan(lambda z, value: (step(z, value, ("z", "y")), None), 0, y)

    return model


IN_ORDER, AGAINST = np.array([-1.0, -0.9, 1.0, 1.1, 0.9]), np.array([-1.0, 6.0, -1.0, 6.0, 6.0])


@pytest.mark.long
def test_what_is_almost_impossible_is_the_same(sides: dict[str, Side]) -> None:
    models = left_to_right("pyro", 0.01), left_to_right("numpyro", 0.01)
    report = check(*models, {"y": IN_ORDER}, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference


def test_a_zero_s_missing_derivative_is_told_as_that(sides: dict[str, Side]) -> None:
    models = left_to_right("pyro"), left_to_right("numpyro")
    report = check(*models, {"y": IN_ORDER}, level="quick", sides=sides)
    first = report.first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("enumeration", "z")
    assert "is no number in numpyro" in first["detail"]
    assert "a probability of exactly zero" in first["hint"]


def test_data_that_need_what_cannot_be_name_the_clamp(sides: dict[str, Side]) -> None:
    models = left_to_right("pyro", scale=0.1), left_to_right("numpyro", scale=0.1)
    report = check(*models, {"y": AGAINST}, rungs=["density", "enumeration"], sides=sides)
    first = report.first_difference
    assert first is not None
    assert (first["rung"], first["quantity"]) == ("enumeration", "log density")
    assert "'z' can take a value of probability zero, which torch takes for 2e-16" in first["hint"]
    left_out = [f.detail for f in told(report, "enumeration") if "Not compared at" in f.detail]
    assert len(left_out) == 1
    assert "2e-16" in left_out[0]
