"""Which far points are left out of the density rung: where digits end, and never where two models differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parity_tests import fakes
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.hopeless import leave_out
from ppl_parity.pair.points import Point, PointKind


def left(pyro: float, numpyro: float, kind: PointKind = "tail", support: str = "positive") -> list[str]:
    """The names of the points that are compared, of three ordinary ones and one at which the sides have these."""
    context: Context = fakes.context()
    context.sites["numpyro"]["w"] = replace(context.sites["numpyro"]["w"], support=support)
    context.points = [Point(f"prior {i}", {}) for i in range(3)] + [Point("far", {}, kind)]
    findings = list(
        leave_out(context, {"pyro": [0.0, -1.0, -2.0, pyro], "numpyro": [0.0, -1.0, -2.0, numpyro]})
    )
    assert len(findings) == 4 - len(context.points)
    return [point.name for point in context.points]


@pytest.mark.parametrize(
    ("pyro", "numpyro"),
    [
        (-3.0e18, -2.9e18),
        (-1.0747e15, -1.0739e15),
        (-8000.0, np.nan),
        (np.nan, -8000.0),
        (-8000.0, -np.inf),
        (-8000.0, np.inf),
    ],
)
def test_lost_digits_are_no_difference(pyro: float, numpyro: float) -> None:
    assert "far" not in left(pyro, numpyro)
    assert "far" in left(pyro, numpyro, "prior")  # only tails and edges are, whatever their names


@pytest.mark.parametrize(
    ("pyro", "numpyro"),
    [
        (-9000.0, -8000.0),
        (-9.0e6, -8.0e6),
        (-6.08e14, -2.14e13),  # a Poisson's rate that one side clips
        (-20.0, -np.inf),
        (-20.0, np.inf),
        (-20.0, np.nan),
        (-20.0, -30.0),
        (-9000.0, -9000.0),
    ],
)
def test_what_no_lost_digits_explain_is_compared(pyro: float, numpyro: float) -> None:
    """A clamp on one side shows at far points alone, and is another model, however large the numbers are there."""
    assert "far" in left(pyro, numpyro)


def test_an_infinity_counts_where_the_supports_are_not_the_same() -> None:
    """Beyond its end a truncated distribution has none, however unlikely the other side calls it."""
    assert "far" in left(-8000.0, -np.inf, support="interval(0, 50)")
