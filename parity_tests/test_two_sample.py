"""Two sets of independent draws, ranks, and the choice of scalars; with the measured error rates.

Measured over 2,000 scalars of 1,000 draws a side (share of p-values below 0.05, 0.01, 0.003):

    Gaussian 0.039 0.009 0.005    Poisson(2) 0.048 0.012 0.004    Cauchy 0.053 0.008 0.004
    2 % of NaN 0.053 0.011 0.003  Bernoulli(0.001) 0 0 0 (too few to test)

the energy test over 300 pairs of 400 draws: 0.053 0.017 0.003 in one dimension, 0.040 0.007 0.000 in thirty;
uniformity over 3,000 sets of 50 ranks: 0.043 0.008 0.003. The forward rung on two right models, at 5 %: 3 of
200 checks called different (its first look spends half); the posterior rung at 5 %: 8 of 400.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from ppl_parity.ladder.samples.judging import Block, judge
from ppl_parity.statistics.selection import project, select
from ppl_parity.statistics.two_sample import energy_test, rare_events, scalar_p_values
from ppl_parity.statistics.uniformity import ranks, uniformity


def test_the_scalar_tests_hold_their_level() -> None:
    rng = np.random.default_rng(0)
    draws = {
        "continuous": lambda: rng.normal(size=(400, 400)),
        "discrete": lambda: rng.poisson(2.0, size=(400, 400)).astype(float),
        "half NaN": lambda: np.where(rng.uniform(size=(400, 400)) < 0.5, np.nan, rng.normal(size=(400, 400))),
    }
    for name, draw in draws.items():
        rate = np.mean(scalar_p_values(draw(), draw()) < 0.05)
        assert 0.02 < rate < 0.08, name


def test_the_scalar_tests_see_what_is_different() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(1000, 4))
    b = np.column_stack([a[:, 0] + 0.3, 1.5 * a[:, 1], a[:, 2], a[:, 3]])
    b[::10, 2] = np.nan
    assert np.all(scalar_p_values(a, b)[:3] < 1e-3)
    coins = (rng.uniform(size=(1000, 2)) < [[0.3, 0.3]]).astype(float)
    others = (rng.uniform(size=(1000, 2)) < [[0.3, 0.45]]).astype(float)
    p = scalar_p_values(coins, others)
    assert p[0] > 1e-3
    assert p[1] < 1e-6


def test_constants() -> None:
    one = np.ones((50, 1))
    assert scalar_p_values(one, one)[0] == 1.0
    assert scalar_p_values(one, 2 * one)[0] < 1e-12
    assert scalar_p_values(one * np.nan, one * np.nan)[0] == 1.0
    assert scalar_p_values(one * np.nan, one)[0] < 1e-12
    assert scalar_p_values(one * np.inf, -one * np.inf)[0] < 1e-12


def test_the_joint_test_sees_a_correlation_that_no_scalar_shows() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(400, 2)), rng.normal(size=(400, 2))
    p, distance = energy_test(a, b, alpha=0.01, seed=0)
    assert p > 0.01
    assert distance >= 0
    assert energy_test(a, b, alpha=0.01, seed=0) == (p, distance)
    mixed = b @ np.linalg.cholesky([[1.0, 0.8], [0.8, 1.0]]).T
    assert np.all(scalar_p_values(a, mixed) > 1e-3)
    assert energy_test(a, mixed, alpha=0.01, seed=0)[0] < 0.01


def test_the_joint_test_holds_its_level() -> None:
    rng = np.random.default_rng(3)
    p = [energy_test(*rng.normal(size=(2, 60, 3)), alpha=0.05, seed=i)[0] for i in range(300)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09


def test_projections_show_a_correlation_in_their_spread() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 1, 2000, 2))
    b = b @ np.linalg.cholesky([[1.0, 0.8], [0.8, 1.0]]).T
    left, right = project(a, b, seed=0)
    assert left.shape == (1, 2000, 8)
    assert np.max(np.abs(left.var(axis=1) - right.var(axis=1))) > 0.4


def test_ranks_are_uniform_when_the_truth_is_a_draw() -> None:
    rng = np.random.default_rng(5)
    u = np.array([ranks(rng.normal(size=200), rng.normal(size=(30, 200)), i) for i in range(60)])
    assert 0.01 < np.mean(uniformity(u).p_value < 0.05) < 0.1
    assert np.isnan(ranks(np.array([np.nan]), np.zeros((3, 1)), 0))[0]
    # Ties are broken at random, so a constant has uniform ranks too.
    tied = np.array([ranks(np.zeros(1), np.zeros((9, 1)), i) for i in range(200)])
    assert uniformity(tied).p_value[0] > 1e-3


def test_ranks_that_are_shifted_or_crowd_at_the_ends_are_seen() -> None:
    z = np.random.default_rng(6).normal(size=(60, 3))
    found = uniformity(norm.cdf(np.column_stack([z[:, 0], z[:, 1] + 0.7, 1.8 * z[:, 2]])))
    assert found.p_value[0] > 0.01
    assert found.p_value[1] < 1e-4
    assert found.p_value[2] < 1e-4
    assert found.location[1] > 0.4
    assert found.spread[2] > 2


def test_all_of_a_small_site_and_a_stated_part_of_a_large_one() -> None:
    chosen = select({"small": (), "vector": (3,), "large": (100, 50), "none": (0,)}, most=60)
    sizes = {site: len(indices) for site, indices in chosen.flat.items()}
    assert sizes == {"small": 1, "vector": 3, "large": 56, "none": 0}
    assert chosen.names()[0] == ("small", ())
    assert chosen.names()[-1] == ("large", (99, 49))
    values = {
        "small": np.zeros(7),
        "vector": np.ones((7, 3)),
        "large": np.arange(5000.0) * np.ones((7, 1)),
        "none": np.ones((7, 0)),
    }
    assert chosen.columns(values, 1).shape == (7, 60)
    assert chosen.columns(values, 1)[0, -1] == 4999
    assert chosen.total("large") == 5000
    assert chosen.total("vector") == 0


def test_the_mean_of_a_rare_event_is_left_to_the_exact_test() -> None:
    """Of 100 rows of events with p = 0.0037, 0 of 400 sets were called different at 1 %; by their means 1 in 8 was."""
    rng = np.random.default_rng(7)
    a, b = ((rng.uniform(size=(n, 3)) < [0.0037, 0.4, 0.05]).astype(float) for n in (1500, 6000))
    continuous = [np.column_stack([x, rng.exponential(size=len(x)) ** 3]) for x in (a, b)]
    np.testing.assert_array_equal(rare_events(*continuous), [True, False, True, False])
    none, many = np.zeros((1500, 1)), np.concatenate([np.ones((30, 1)), np.zeros((5970, 1))])
    assert 1e-3 < scalar_p_values(none, many)[0] < 0.02
    extra = scalar_p_values(none, many)[None]
    block = Block("y", [("y", ())], none[None], many[None], np.ones(1, bool), extra, np.ones(1, bool), True)
    assert "different" not in judge([block], alpha=2e-3, margin=0.15, look=1).verdicts()
