"""Draws that differ in their last bits are one value, and a distribution stays one."""

from __future__ import annotations

import numpy as np

from ppl_parity.ladder.samples.judging import Block, judge
from ppl_parity.statistics.rounding import without_rounding
from ppl_parity.statistics.two_sample import scalar_p_values

EPS = np.finfo(np.float64).eps


def _noisy(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """As another order of operations would leave them."""
    return values * (1 + EPS * rng.integers(-3, 4, size=values.shape))


def test_a_constant_up_to_rounding_is_one_value_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    a, b = (_noisy(rng, np.full((4, 500, 2), [1.0, 1e9])) for _ in range(2))
    left, right = without_rounding(a, b)
    for q in range(2):
        assert len(np.unique(np.concatenate([left[..., q].ravel(), right[..., q].ravel()]))) == 1


def test_a_function_of_a_count_is_judged_by_its_values_and_not_by_their_last_bits() -> None:
    rng = np.random.default_rng(1)
    a, b = (np.exp(0.37 * rng.binomial(10, 0.3, size=(n, 1))) for n in (1500, 6000))
    b = _noisy(rng, b)
    assert scalar_p_values(a, b)[0] < 1e-12  # as distributions of bits they are plainly two
    assert scalar_p_values(*without_rounding(a, b))[0] > 0.01


def test_two_constants_further_apart_than_rounding_stay_two() -> None:
    a, b = np.ones((4, 50, 1)), np.full((4, 50, 1), 1 + 1e-12)
    assert np.all(without_rounding(a, b)[1] == b)
    family = judge([Block("prior", [("s", ())], a, b, np.ones(1, bool))], alpha=0.01, margin=0.15, look=1)
    assert "different" in family.verdicts()


def test_what_cancels_is_zero_to_within_the_size_of_its_terms() -> None:
    rng = np.random.default_rng(2)
    a, b = (1e-16 * rng.normal(size=(4, 100, 1)) for _ in range(2))
    assert np.all(without_rounding(a, b)[0] == a)
    left, right = without_rounding(a, b, floor=1.0)
    assert np.ptp(np.concatenate([left, right])) == 0


def test_a_narrow_distribution_of_large_numbers_stays_a_distribution() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(
        2.45e6, 1e-4, size=(2, 4, 1000, 1)
    )  # days, to ten seconds: neighbours are closer than rounding
    left, _ = without_rounding(a, b)
    assert len(np.unique(left)) > 0.7 * a.size
    assert np.max(np.abs(left - a)) < 1e-7


def test_infinities_and_nan_stay_what_they_are() -> None:
    a = np.array([[np.nan], [np.inf], [0.5], [1.0]])
    b = np.array([[-np.inf], [1 + EPS], [np.nan], [0.5]])
    left, right = without_rounding(a, b)
    np.testing.assert_array_equal(left, a)
    np.testing.assert_array_equal(right, [[-np.inf], [1.0], [np.nan], [0.5]])
