"""Means in two sets of chains: different, same, or not shown either way; with the measured error rates.

Measured with AR(1) chains, 4 a side (one run of 3,000 scalars each; rejection rate over its nominal level):

    transform      rho    ESS     level 0.05: mean, spread    level 0.01: mean, spread
    Gaussian       0      2,000   0.97, 1.02                  0.90, 0.83
    Gaussian       0.5      670   0.84, 1.04                  0.67, 0.50
    Gaussian       0.8      225   1.00, 0.89                  1.23, 0.77
    lognormal      0.5      670   1.03, 0.98                  0.97, 1.10
    Student t(3)   0.5      670   0.88, 0.87                  0.80, 0.77
    exponential    0.5      670   0.95, 0.83                  1.00, 0.87

and in 200 families of 20 scalars, Holm at 0.0025, margin 0.15 sd, false "same" 0.025, ESS 865 and 1,580:

    shift          ESS 865: same, different        ESS 1,580: same, different
    0              0.743    0.000                  0.977      0.000
    0.15 = margin  0.026    0.218                  0.023      0.722
    0.30           0.000    0.9995                 0.000      1.000

No family without a shift had a scalar called different. The tests below assert the same at a smaller size.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from parity_tests.fakes import chains
from ppl_parity.statistics.equivalence import (
    Comparison,
    Decision,
    compare_means,
    compare_unequal_means,
    decide,
    moments,
)
from ppl_parity.statistics.scores import heavy_tailed, normal_scores
from ppl_parity.statistics.splitting import holm, share_of_look

ALPHA, MARGIN = 0.0025, 0.15


def many(seed: int, count: int, num_draws: int, rho: float) -> np.ndarray:
    """(4, S, count) AR(1) chains."""
    rng = np.random.default_rng(seed)
    return np.stack([chains(rng, 4, num_draws, rho) for _ in range(count)], axis=-1)


def judge(a: np.ndarray, b: np.ndarray, false_same: float = 0.025) -> Decision:
    comparison = compare_means(a, b)
    adjusted = holm(comparison.p_value)
    return decide(comparison, adjusted, alpha=ALPHA, margin=MARGIN, false_same=false_same)


@pytest.mark.parametrize(
    "transform",
    [lambda x: x, np.exp, lambda x: np.sign(x) * np.abs(x) ** 3],
    ids=["Gaussian", "lognormal", "heavy"],
)
def test_the_p_values_hold_their_level(transform) -> None:
    a, b = (transform(many(seed, 800, 250, 0.5)) for seed in (1, 2))
    for comparison in moments(a, b)[:2]:
        # 40 expected of 800, give or take 6
        assert 0.025 < np.mean(comparison.p_value < 0.05) < 0.075
        assert np.mean(comparison.p_value < 0.001) < 0.006


def test_twice_the_margin_is_seen_and_never_called_same() -> None:
    decision = judge(many(3, 100, 400, 0.3), many(4, 100, 400, 0.3) + 2 * MARGIN)
    assert np.mean(decision.verdict == "different") > 0.95
    assert not np.any(decision.verdict == "same")


def test_at_the_margin_same_is_as_rare_as_stated() -> None:
    decision = judge(many(5, 1000, 250, 0.0), many(6, 1000, 250, 0.0) + MARGIN, false_same=0.05)
    assert 0.03 < np.mean(decision.verdict == "same") < 0.075


def test_no_difference_is_same_with_enough_draws_and_unresolved_with_few() -> None:
    enough = judge(many(7, 60, 1000, 0.0), many(8, 60, 1000, 0.0))
    few = judge(many(7, 60, 60, 0.0), many(8, 60, 60, 0.0))
    assert np.all(enough.verdict == "same")
    assert np.all(few.verdict == "unresolved")
    assert np.all(enough.resolution < 0.15)
    assert np.all(few.resolution > 0.4)


def test_the_resolution_is_the_difference_that_is_seen_four_times_in_five() -> None:
    a, b = many(9, 400, 400, 0.3), many(10, 400, 400, 0.3)
    resolution = float(np.median(judge(a, b).resolution))
    comparison = compare_means(a, b + resolution)
    # Each against the level that Holm gives the first of 400.
    assert 0.7 < np.mean(comparison.p_value < ALPHA / 400) < 0.87


def test_a_proven_difference_is_different_even_inside_the_margin() -> None:
    a, b = many(11, 1, 20_000, 0.0), many(12, 1, 20_000, 0.0) + 0.1
    decision = judge(a, b)
    assert decision.verdict[0] == "different"
    assert decision.upper[0] < MARGIN


def test_a_spread_is_compared_like_a_mean() -> None:
    a, b = many(13, 20, 800, 0.3), 1.3 * many(14, 20, 800, 0.3)
    location, spread, heavy = moments(a, b)
    assert np.all(spread.p_value < 1e-4)
    assert np.all(location.p_value > 1e-4)
    assert not np.any(heavy)
    assert np.all(spread.difference < 0)


def test_independent_draws_need_no_chains() -> None:
    rng = np.random.default_rng(15)
    a, b = rng.normal(size=(1, 500, 3)), rng.normal(size=(1, 700, 3))
    comparison = compare_means(a, b, independent=True)
    sd = np.sqrt((a[0].var(axis=0) + b[0].var(axis=0)) / 2)
    pooled = (
        500 * a[0].var(axis=0) + 700 * b[0].var(axis=0)
    ) / 1200  # of one distribution, if nothing differs
    expected = np.sqrt(pooled / 500 + pooled / 700) / sd
    np.testing.assert_allclose(comparison.error, expected)
    np.testing.assert_allclose(comparison.difference, (a[0].mean(axis=0) - b[0].mean(axis=0)) / sd)


def test_constants_are_equal_or_not() -> None:
    a = np.broadcast_to([1.0, 1.0, 0.0, 3.0], (4, 50, 4))
    b = np.broadcast_to([1.0, 1.0 + 1e-15, 0.0, 3.1], (4, 50, 4))
    location, spread, _ = moments(a, b)
    decision = decide(location, holm(location.p_value), alpha=ALPHA, margin=MARGIN)
    assert decision.verdict.tolist() == ["same", "same", "same", "different"]
    assert np.all(spread.difference == 0)


def test_thousands_of_one_number_are_that_number() -> None:
    """A sum of 6,000 times 0.7 is off by more than the last digit of each."""
    values = np.array([0.7, 0.1, -1.3])
    a, b = (np.tile(values, (1, count, 1)) for count in (1500, 6000))
    for comparison in moments(a, b, independent=True)[:2]:
        assert np.all(comparison.difference == 0)
        assert np.all(comparison.p_value == 1)
    assert np.all(compare_unequal_means(a[0], b[0]).p_value == 1)


def test_means_of_draws_that_scatter_by_more_on_one_side_hold_their_level() -> None:
    rng = np.random.default_rng(16)
    a, b = 5 * rng.normal(size=(400, 3000)), rng.normal(size=(1600, 3000))
    comparison = compare_unequal_means(a, b)
    assert 0.03 < np.mean(comparison.p_value < 0.05) < 0.07
    np.testing.assert_allclose(comparison.error * np.sqrt(13), np.sqrt(25 / 400 + 1 / 1600), rtol=0.2)


def test_what_is_not_finite_is_never_same() -> None:
    nothing = np.array([np.nan])
    decision = decide(Comparison(nothing, nothing, nothing), holm(nothing), alpha=ALPHA, margin=MARGIN)
    assert decision.verdict[0] == "unresolved"


def test_heavy_tails_are_compared_by_their_normal_scores() -> None:
    rng = np.random.default_rng(16)
    a, b = rng.standard_cauchy(size=(4, 500, 30)), rng.standard_cauchy(size=(4, 500, 30))
    location, spread, heavy = moments(a, b)
    assert np.all(heavy)
    assert np.all(location.error < 0.05)
    assert np.all(spread.error < 0.05)
    assert np.all(moments(a, 2 * b)[1].p_value < 1e-6)
    assert not np.any(heavy_tailed(rng.normal(size=(4, 500, 5)), rng.uniform(size=(4, 500, 5))))


def test_normal_scores_keep_order_and_ties() -> None:
    a, b = normal_scores(np.array([[3.0], [1.0]]), np.array([[2.0], [2.0], [np.inf]]))
    assert a[1] < b[0] == b[1] < a[0] < b[2]
    np.testing.assert_allclose(a[0], norm.ppf((4 - 0.375) / 5.25))  # the fourth of five


def test_holm() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, np.nan])), [0.04, 0.09, 0.09, 1.0])
    assert sum(share_of_look(0.01, look) for look in range(1, 60)) <= 0.01
