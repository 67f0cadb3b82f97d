"""Differences that the sum of a log density cannot show, because one of its numbers is enormous."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from parity_tests import fakes
from parity_tests.written import libraries, told
from ppl_parity import check
from ppl_parity.ladder.exact.hidden import hidden
from ppl_parity.pair.points import Point
from ppl_parity.process.sides import Side


def found(pyro: dict[str, list], numpyro: dict[str, list], ordinary: bool = True) -> set[str]:
    """The sites that are told to differ, of log probs that are the same at three points but for a common number."""
    context = fakes.context()
    context.points = [Point(f"prior {i}", {}) for i in range(3)]
    values = {
        side: [{name: np.array(row, dtype=float) * (1 + i) for name, row in rows.items()} for i in range(3)]
        for side, rows in (("pyro", pyro), ("numpyro", numpyro))
    }
    return set(hidden(context, values, {}, [ordinary] * 3, {})[1])


HUGE = -1e16


def test_a_row_beside_an_enormous_one_is_seen() -> None:
    assert found({"y": [HUGE, -1.0, -2.0]}, {"y": [HUGE + 4, -1.0, -2.0]}) == set()
    assert found({"y": [HUGE, -1.0, -2.0]}, {"y": [HUGE, -1.0, -3.0]}) == {"y"}
    assert found({"y": [HUGE, -1.0]}, {"y": [HUGE, -3.0]}, ordinary=False) == set()


def test_a_site_beside_an_enormous_one_is_seen_unless_another_makes_up_for_it() -> None:
    assert found({"y": [HUGE], "a": [-1.0]}, {"y": [HUGE], "a": [-2.0]}) == {"a"}
    moved = {"y": [HUGE], "a": [-2.0], "b": [-3.0]}
    assert found({"y": [HUGE], "a": [-1.0], "b": [-4.0]}, moved) == set()


def test_rows_in_another_order_and_numbers_at_the_limit_are_no_difference() -> None:
    assert found({"y": [HUGE, -1.0, -2.0]}, {"y": [-2.0, HUGE, -1.0]}) == set()
    assert found({"y": [-1e4 - 1e-9, -1.0]}, {"y": [-1e4 + 1e-9, -1.0]}) == set()


@pytest.mark.pyro
@pytest.mark.parametrize("noise", [1.0, 0.5])
def test_other_sensors_noise_shows_beside_a_precise_one(noise: float, sides: dict[str, Side]) -> None:
    """A reference of sd 1e-8: the joint density at a prior draw is -1e16, to the last two or so."""

    def sensors(ppl: str, last: float) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            sd = np.array([1e-8, 1.0, 1.0, last])
            with library.plate("sensors", 4):
                b = library.sample("b", dist.Normal(0.0, 1.0))
                library.sample(
                    "y", dist.Normal(b, b * 0 + sd if ppl == "numpyro" else b.new_tensor(sd)), obs=y
                )

        return model

    data = {"y": np.array([0.3, -0.2, 1.1, 0.7])}
    models = sensors("pyro", 1.0), sensors("numpyro", noise)
    report = check(*models, data, rungs=["structure", "density"], sides=sides)
    assert report.verdict == ("same" if noise == 1.0 else "different")
    if noise != 1.0:
        (one,) = told(report, "density")
        assert (one.site, one.index) == ("y", (3,))
        assert "0.5 times pyro's" in str(one.hint)


def test_a_constant_stays_one_where_a_number_is_enormous_at_some_points_only() -> None:
    context = fakes.context()
    context.points = [Point(f"prior {i}", {}) for i in range(4)]
    factor = np.array([-3e4, -2e4, -500.0, -20.0])
    values = {side: [{"f": one + off} for one in factor] for side, off in (("pyro", 0.0), ("numpyro", 7.35))}
    assert hidden(context, values, {}, [True] * 4, {})[1] == {}
