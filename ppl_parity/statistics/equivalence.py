"""Is a mean the same in two sets of draws? Different, same within a margin, or not shown either way.

    different    the difference is significant, after Holm, whatever its size
    same         its confidence interval lies inside the margin
    unresolved   neither: more draws could tell

A difference that is significant and still inside the margin is called ``different``. The claim that is
tested is that two models are one, and then every mean is equal; a proven difference is evidence against
that however small it is, and calling it ``same`` would be to know better and say nothing. Its size is
stated beside the margin, so that a reader can decide that it does not matter. Sampling stops as soon as
every interval lies inside the margin, so such cases are rare unless the draws are very many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ppl_parity.statistics.diagnostics import mcse_mean
from ppl_parity.statistics.rounding import ROUNDING
from ppl_parity.statistics.scores import heavy_tailed, normal_scores

# The probability of saying "same" of a difference that lies just outside the margin.
FALSE_SAME = 0.05
POWER = 0.8  # at which the smallest visible difference is stated
# Of the t distribution that z is compared with: the standard errors are estimates from a few hundred
# effective draws. Measured, see parity_tests/test_equivalence.py.
DEGREES_OF_FREEDOM = 100


@dataclass(frozen=True)
class Comparison:
    """Differences of means in units of the pooled standard deviation, each with its standard error.

    Attributes:
        difference: (Q,) (mean_a - mean_b) / sd.
        error: (Q,) sqrt(mcse_a^2 + mcse_b^2) / sd.
        p_value: (Q,) two-sided, of no difference.
    """

    difference: np.ndarray
    error: np.ndarray
    p_value: np.ndarray


@dataclass(frozen=True)
class Decision:
    """What follows for each quantity of one family.

    Attributes:
        verdict: (Q,) of ``same``, ``different``, ``unresolved``.
        resolution: (Q,) the difference that would have been called different with probability 0.8, in
            pooled standard deviations.
        upper: (Q,) the far end of the confidence interval of |difference|.
    """

    verdict: np.ndarray
    resolution: np.ndarray
    upper: np.ndarray


def compare_means(a: np.ndarray, b: np.ndarray, *, independent: bool = False) -> Comparison:
    """Compare the means of Q scalars in two independent sets of chains.

        z = (mean_a - mean_b) / sqrt(v / ess_a + v / ess_b),    v = (n_a var_a + n_b var_b) / (n_a + n_b),  n = C S

    Args:
        a, b: (C, S, Q); the numbers of chains and draws may differ.
        independent: the draws are no chains, and worth as many as they are.

    Returns:
        A ``Comparison``; a scalar that never moves has no error, and differs if it is another number.

    Source: Vehtari et al. 2021, Bayesian Analysis 16:667, for the Monte Carlo standard errors.
    """
    a, b = (np.asarray(draws, dtype=np.float64) for draws in (a, b))
    means, variances = zip(*(_moments(draws.reshape(-1, draws.shape[-1])) for draws in (a, b)), strict=True)
    counts = [draws.shape[0] * draws.shape[1] for draws in (a, b)]
    # Of one distribution, if the models are one: the larger sample tells the smaller one's variance, too, which of a
    # rare event may be 0.
    pooled = np.average(variances, axis=0, weights=counts)
    worth = (
        [np.full(pooled.shape, float(count)) for count in counts] if independent else _worth(a, b, variances)
    )
    errors = [np.sqrt(pooled / effective) for effective in worth]
    sd = np.sqrt(np.mean(variances, axis=0))
    gap = means[0] - means[1]
    size = np.maximum(np.abs(means[0]), np.abs(means[1]))
    constant = sd <= ROUNDING * size
    gap = np.where(constant & (np.abs(gap) <= ROUNDING * size), 0.0, gap)
    unit = np.where(constant, np.where(size > 0, size, 1.0), sd)
    difference, error = gap / unit, np.where(constant, 0.0, np.hypot(*errors) / unit)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(difference == 0, 0.0, np.abs(difference) / error)
    return Comparison(difference, error, 2 * stats.t.sf(z, DEGREES_OF_FREEDOM))


def compare_unequal_means(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Compare the means of Q scalars in two sets of independent draws that need not be of one distribution.

        z = (mean_a - mean_b) / sqrt(var_a / n_a + var_b / n_b)

    Args:
        a: (n, Q). b: (m, Q).

    Returns:
        A ``Comparison``, in units of sqrt((var_a + var_b) / 2); a scalar that never moves is compared as it is.

    Source: Welch 1947, Biometrika 34:28; the t distribution's degrees of freedom are at most 100 here.
    """
    means, variances = zip(*(_moments(np.asarray(x, dtype=np.float64)) for x in (a, b)), strict=True)
    sd = np.sqrt(np.mean(variances, axis=0))
    size = np.maximum(*np.abs(means))
    constant = sd <= ROUNDING * size
    gap = means[0] - means[1]
    gap = np.where(constant & (np.abs(gap) <= ROUNDING * size), 0.0, gap)
    unit = np.where(constant, np.where(size > 0, size, 1.0), sd)
    error = np.where(constant, 0.0, np.sqrt(variances[0] / len(a) + variances[1] / len(b)) / unit)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(gap == 0, 0.0, np.abs(gap / unit) / error)
    return Comparison(gap / unit, error, 2 * stats.t.sf(z, DEGREES_OF_FREEDOM))


def _moments(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of (n, Q), without what a sum of thousands of equal numbers loses: 0.7, say, 6,000 times."""
    first = draws[:1]
    rest = draws - first
    return first[0] + rest.mean(axis=0), rest.var(axis=0)


def _worth(a: np.ndarray, b: np.ndarray, variances: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The effective sample sizes, (Q,) of each; of draws that never move as many a draw as the other side's are."""
    counts = [draws.shape[0] * draws.shape[1] for draws in (a, b)]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [v / mcse_mean(x) ** 2 / n for x, v, n in zip((a, b), variances, counts, strict=True)]
    shares = [np.where(np.isfinite(x) & (x > 0), x, np.nan) for x in shares]
    shares = [np.where(np.isnan(x), np.nan_to_num(other, nan=1.0), x) for x, other in (shares, shares[::-1])]
    return [share * count for share, count in zip(shares, counts, strict=True)]


def moments(
    a: np.ndarray, b: np.ndarray, *, independent: bool = False
) -> tuple[Comparison, Comparison, np.ndarray]:
    """Compare location and spread of Q scalars.

        location: x;    spread: (x - m)^2, m the pooled mean

    of the draws themselves, or of their pooled normal scores where the tails are heavy. The spread is a mean
    like any other, so its standard error needs no formula of its own.

    Args:
        a, b: (C, S, Q), finite.
        independent: the draws are no chains.

    Returns:
        The location's and the spread's ``Comparison``, and (Q,) whether normal scores stand for the draws.
    """
    a, b = (np.asarray(draws, dtype=np.float64) for draws in (a, b))
    heavy = heavy_tailed(a, b)
    if np.any(heavy):
        a, b = a.copy(), b.copy()
        a[..., heavy], b[..., heavy] = normal_scores(a[..., heavy], b[..., heavy])
    centre = (a.mean(axis=(0, 1)) + b.mean(axis=(0, 1))) / 2
    constant = (np.ptp(a, axis=(0, 1)) == 0) & (np.ptp(b, axis=(0, 1)) == 0)
    # Two constants differ in their location; their distance from the middle is the same by construction.
    spread = [np.where(constant, 0.0, (draws - centre) ** 2) for draws in (a, b)]
    location = compare_means(a, b, independent=independent)
    return location, compare_means(spread[0], spread[1], independent=independent), heavy


def decide(
    comparison: Comparison,
    adjusted: np.ndarray,
    *,
    alpha: float,
    margin: float,
    num_tests: int | None = None,
    false_same: float = FALSE_SAME,
) -> Decision:
    """Apply the rule at the head of this file to every quantity of a family.

        different:  adjusted p < alpha
        same:       |difference| + z_{1 - false_same} error < margin      (two one-sided tests)
        resolution: (t_{1 - alpha / (2 num_tests)} + z_{0.8}) error

    Args:
        comparison: of Q quantities.
        adjusted: (Q,) p-values after Holm, of this family or of a larger one that it is part of.
        alpha: the family's false-alarm probability.
        margin: in pooled standard deviations.
        num_tests: of the family that Holm's method was used on; None is Q.
        false_same: the probability of saying ``same`` of a difference as large as the margin.

    Returns:
        A ``Decision``; what is not finite is ``unresolved``.

    Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15:657.
    """
    upper = np.abs(comparison.difference) + stats.norm.isf(false_same) * comparison.error
    verdict = np.where(adjusted < alpha, "different", np.where(upper < margin, "same", "unresolved"))
    tests = max(1, num_tests or len(adjusted))
    factor = stats.t.isf(alpha / 2 / tests, DEGREES_OF_FREEDOM) + stats.norm.ppf(POWER)
    return Decision(verdict, factor * comparison.error, upper)
