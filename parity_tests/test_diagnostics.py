"""ESS, R-hat and MCSE against ArviZ's own, over lengths, chains, ties and correlations, and of nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ppl_parity.statistics import diagnostics
from ppl_parity.statistics.diagnostics import ess, mcse_mean, rhat

COEFFICIENTS = (-0.9, -0.5, 0.0, 0.5, 0.9, 0.99)


def autoregressive(num_chains: int, num_draws: int, seed: int = 0) -> np.ndarray:
    """(C, S, 6, 5): for each coefficient a chain of standard normals, and what ties, skews and shifts make of it."""
    rng = np.random.default_rng(seed)
    coefficient = np.array(COEFFICIENTS)
    noise = rng.normal(size=(num_draws, num_chains, len(coefficient)))
    noise[1:] *= np.sqrt(1 - coefficient**2)
    for before, now in itertools.pairwise(noise):
        now += coefficient * before
    x = np.swapaxes(noise, 0, 1)
    apart = x + np.arange(num_chains)[:, None, None]
    return np.stack([x, np.round(x), x > 1, np.exp(3 * x), apart], axis=-1)


def of_arviz(name: str, draws: np.ndarray, **options: Any) -> np.ndarray:
    from arviz_stats.base import array_stats

    with np.errstate(invalid="ignore", divide="ignore"):
        return getattr(array_stats, name)(draws, chain_axis=0, draw_axis=1, **options)


STATISTICS: list[tuple[Callable[[np.ndarray], np.ndarray], str, dict[str, Any]]] = [
    (ess, "ess", {"method": "bulk"}),
    (lambda draws: ess(draws, "tail"), "ess", {"method": "tail", "prob": (0.05, 0.95)}),
    (lambda draws: ess(draws, "mean"), "ess", {"method": "mean"}),
    (rhat, "rhat", {"method": "rank"}),
    (mcse_mean, "mcse", {"method": "mean"}),
]


@pytest.mark.parametrize("num_chains", [1, 2, 4])
@pytest.mark.parametrize("num_draws", [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 21, 200, 501])
def test_numbers_are_those_of_arviz(num_chains: int, num_draws: int) -> None:
    draws = autoregressive(num_chains, num_draws)
    for mine, name, options in STATISTICS:
        theirs = of_arviz(name, draws, **options)
        # Chains that are all constant within, at different values, have an R-hat of something over rounding.
        endless = theirs > 1e12
        np.testing.assert_array_equal(mine(draws) > 1e12, endless)
        np.testing.assert_allclose(
            np.where(endless, 0, mine(draws)),
            np.where(endless, 0, theirs),
            rtol=1e-9,
            err_msg=str((name, options)),
        )


def test_independent_draws_are_worth_their_number() -> None:
    draws = np.random.default_rng(1).normal(size=(4, 1000, 200))
    assert abs(ess(draws).mean() / 4000 - 1) < 0.05
    assert rhat(draws).max() < 1.01
    np.testing.assert_allclose(mcse_mean(draws).mean(), 1 / np.sqrt(4000), rtol=0.05)


def test_an_autoregressive_chain_is_worth_what_theory_says() -> None:
    # ESS / S = (1 - a) / (1 + a), for the mean of an AR(1) process with coefficient a
    worth = ess(autoregressive(4, 20_000)[..., 0], "mean") / 80_000
    theory = (1 - np.array(COEFFICIENTS)) / (1 + np.array(COEFFICIENTS))
    # antithetic chains are cut off at log10 of the number of draws
    np.testing.assert_allclose(worth, np.minimum(theory, np.log10(80_000)), rtol=0.15)


def test_a_scalar_does_not_depend_on_its_neighbours_or_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = autoregressive(2, 100)
    whole = [mine(draws) for mine, *_ in STATISTICS]
    monkeypatch.setattr(diagnostics, "BLOCK", 1)
    for (mine, name, _), expected in zip(STATISTICS, whole, strict=True):
        assert expected.shape == draws.shape[2:]
        np.testing.assert_allclose(mine(draws), expected, rtol=1e-12)  # sums are in another order
        small = mine(2.0**-100 * draws[..., :2])
        np.testing.assert_allclose(small, (2.0**-100 if name == "mcse" else 1) * expected[..., :2], rtol=1e-9)


def test_what_nothing_can_be_said_of() -> None:
    draws = np.random.default_rng(2).normal(size=(2, 50, 4))
    draws[0, 3, 1] = np.nan
    draws[..., 2] = 7.0
    draws[0, 3, 3] = np.inf
    np.testing.assert_array_equal(np.isnan(ess(draws)), [False, True, False, False])
    np.testing.assert_array_equal(np.isnan(rhat(draws)), [False, True, True, False])
    np.testing.assert_array_equal(np.isnan(mcse_mean(draws)), [False, True, False, True])
    assert ess(draws)[2] == 100
    assert mcse_mean(draws)[2] == 0
    assert np.isnan(rhat(draws[:1])).all()
    for empty in (np.empty((0, 0, 2)), np.empty((2, 3, 2))):
        assert np.isnan([mine(empty) for mine, *_ in STATISTICS]).all()
    assert ess(np.empty((2, 50, 0))).shape == (0,)
    assert ess(np.zeros((2, 50))).shape == ()
