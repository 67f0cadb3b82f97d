"""What is not compared is asked for convergence, too: one side's own sites, and the rest of a large one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ppl_parity.ladder.samples.convergence import STUCK_RHAT
from ppl_parity.ladder.samples.elsewhere import elsewhere
from ppl_parity.statistics.screening import least_mixed
from ppl_parity.statistics.selection import select

LATENT: Any = SimpleNamespace(kind="latent", support="real")


def _in_modes(places: list[list[float]]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([np.array(place) + 0.1 * rng.normal(size=(600, len(place))) for place in places])


def test_a_site_of_one_side_alone_that_is_stuck_is_found() -> None:
    draws = {"a": _in_modes([[-2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])}
    found, names = elsewhere({"a": LATENT}, draws, select({}))
    assert names == [("a", (0,)), ("a", (1,))]
    assert found.r_hat[0] > STUCK_RHAT > found.r_hat[1]


def test_a_few_components_in_another_order_are_not_stuck() -> None:
    draws = {"a": _in_modes([[-2.0, 2.0], [2.0, -2.0], [2.0, -2.0], [-2.0, 2.0]])}
    assert elsewhere({"a": LATENT}, draws, select({}))[1] == []


def test_one_stuck_scalar_among_those_not_selected_is_found() -> None:
    draws = np.random.default_rng(1).normal(size=(4, 300, 1000))
    draws[:2, :, 537] += 6.0
    compared = select({"v": (1000,)}, 50)
    assert 537 not in compared.flat["v"]
    found, names = elsewhere({"v": LATENT}, {"v": draws}, compared)
    assert names == [("v", (537,))]
    assert found.r_hat[0] > 1.5
    assert 537 in least_mixed(draws, 3)


def test_a_constant_and_what_is_not_finite_come_last() -> None:
    draws = np.random.default_rng(2).normal(size=(4, 100, 3))
    draws[..., 0], draws[0, 0, 1] = 1.0, np.nan
    np.testing.assert_array_equal(least_mixed(draws, 1), [2])
