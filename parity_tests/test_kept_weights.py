"""Guides that keep their weights themselves, that take rows of a plate, or that are a point: moved, and held apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.findings import Report
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro

DATA = {"y": np.array([0.4, 1.3, 0.9, -0.2])}


def regression(ppl: str) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        w = library.sample("w", dist.Normal(numbers(ppl).zeros(2), 1.0).to_event(1))
        with library.plate("rows", 4):
            library.sample("y", dist.Normal(w[0] + w[1], 1.0), obs=y)

    return model


def of_a_module(y) -> None:
    """In Pyro's usual form: the distribution is made of a parameter itself, and of one with a constraint."""
    import torch
    from pyro.nn import PyroModule, PyroParam

    pyro, dist = libraries("pyro")

    class Guide(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.loc = torch.nn.Parameter(torch.zeros(2))
            self.scale = PyroParam(torch.full((2,), 0.1), constraint=dist.constraints.positive)

        def forward(self) -> None:
            pyro.sample("w", dist.Normal(self.loc, self.scale).to_event(1))

    Guide()()


def of_params(turned: bool) -> Callable:
    def guide(y):
        numpyro, dist = libraries("numpyro")
        loc = numpyro.param("loc", numbers("numpyro").zeros(2))
        scale = numpyro.param("scale", numbers("numpyro").full(2, 0.1), constraint=dist.constraints.positive)
        numpyro.sample("w", dist.Normal(loc[::-1] if turned else loc, scale).to_event(1))

    return guide


def judged(models: Callable, pyro: Callable, numpyro: Callable, sides: dict[str, Side]) -> Report:
    return check(
        models("pyro"),
        models("numpyro"),
        DATA,
        guides={"pyro": pyro, "numpyro": numpyro},
        rungs=["structure", "density", "guide"],
        sides=sides,
    )


def test_a_distribution_that_holds_a_parameter_itself_is_moved_with_it(sides: dict[str, Side]) -> None:
    report = judged(regression, of_a_module, of_params(turned=False), sides)
    assert report.verdict == "same", report.first_difference
    assert any(
        "'loc', 'scale' are params in pyro and numpyro: at 6 other values the log densities agree" in f.detail
        for f in told(report, "guide")
    )


def test_where_a_module_keeps_its_values_no_cause_is_looked_for(sides: dict[str, Side]) -> None:
    first = judged(regression, of_a_module, of_params(turned=True), sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("guide", "w")
    assert "With the param 'loc' away from its initial value" in first["detail"]
    assert "in pyro" not in first["hint"]


def local(ppl: str) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        with library.plate("rows", 4, subsample_size=2) as i:
            z = library.sample("z", dist.Normal(0.0, 1.0))
            library.sample("y", dist.Normal(z, 1.0), obs=y[i])

    return model


def of_rows(ppl: str, count: int) -> Callable:
    def guide(y):
        library, dist = libraries(ppl)
        loc = library.param("loc", numbers(ppl).zeros(4))
        with library.plate("rows", 4, subsample_size=count) as i:
            library.sample("z", dist.Normal(loc[i], 1.0))

    return guide


@pytest.mark.parametrize(("count", "verdict"), [(2, "same"), (3, "different")])
def test_a_guide_takes_as_many_rows_on_both_sides(count: int, verdict: str, sides: dict[str, Side]) -> None:
    report = judged(local, of_rows("pyro", 2), of_rows("numpyro", count), sides)
    assert report.verdict == verdict
    found = [f.detail for f in told(report, "guide") if f.verdict == "different"]
    assert (
        found
        == ["The plate 'rows' of the guide takes 2 of 4 rows in pyro and 3 of 4 in numpyro."][: count - 2]
    )


def test_a_point_s_value_is_the_cause_where_its_param_is_moved(sides: dict[str, Side]) -> None:
    def point(ppl: str, power: int) -> Callable:
        def guide(y):
            library, dist = libraries(ppl)
            at = library.param("at", numbers(ppl).ones(2), constraint=dist.constraints.positive)
            library.sample("w", dist.Delta(at**power).to_event(1))

        return guide

    first = judged(regression, point("pyro", 1), point("numpyro", 2), sides).first_difference
    assert first is not None
    assert first["hint"].startswith("its v is ")
    assert "squared" in first["hint"]
