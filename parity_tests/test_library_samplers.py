"""Samplers of the libraries that do not follow their own densities: no fault of a port, and said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines
from ppl_parity.tolerances import SAMPLER_LIMITS


@pytest.mark.pyro
def test_counts_that_a_library_cannot_draw_are_left_to_the_density(sides: dict[str, Side]) -> None:
    """exp(N(0, 50)): JAX draws 0 in half of the cases beyond 1e19, which torch does not."""

    def model(ppl: str, scale: float = 1.0) -> Callable:
        def written(y):
            library, dist = libraries(ppl)
            b = library.sample("b", dist.Normal(0.0, 50.0))
            a = library.sample("a", dist.Normal(0.0, 1.0))
            with library.plate("rows", len(y)):
                library.sample("y", dist.Poisson(numbers(ppl).exp(b)), obs=y)
            library.sample("x", dist.Normal(a, scale), obs=numbers(ppl).ones(()))

        return written

    asked: dict[str, Any] = {"rungs": ["structure", "density", "forward"], "sides": sides}
    data = {"y": np.array([3.0, 4.0, 7.0])}
    report = check(model("pyro"), model("numpyro"), data, **asked)
    assert report.verdict == "same", three_lines(report)
    (said,) = (
        each for each in told(report, "forward") if each.quantity == "prior draws" and each.site == "y"
    )
    assert "JAX draws counts from rates in float32" in said.detail
    compared = {each.site for each in told(report, "forward") if each.quantity.endswith("mean")}
    assert {"a", "b", "x"} <= compared


def test_a_sampler_is_wrong_for_the_draws_that_it_is_wrong_for() -> None:
    holds = {limit.family: limit.holds for limit in SAMPLER_LIMITS}
    assert not holds["LKJCholesky"](np.zeros((5, 2, 2)))
    assert holds["LKJCholesky"](np.zeros((5, 3, 3)))
    assert not holds["Poisson"](np.full(4, 1e6))
    assert holds["Poisson"](np.array([3.0, 1e8]))
