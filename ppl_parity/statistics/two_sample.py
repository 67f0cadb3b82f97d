"""Do two sets of independent draws come from one distribution? Scalar by scalar, and all scalars at once."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist

from ppl_parity.statistics.scores import normal_scores, skewness

# Above this many different values the order says more than the categories do. Ties only make the test of
# Kolmogorov and Smirnov more careful.
MOST_CATEGORIES = 40
# In a cell of a contingency table: below it chi2 is no approximation far out, where a family of tests looks. Of 1,500
# draws against 6,000 and five cells, p < 1e-5 came 2.9 times as often as it should with 10, 3.8 times with 5.
LEAST_EXPECTED = 10.0
SKEWED = 0.1  # of a mean's distribution: its tail beyond 4.5 standard errors is then some three times a normal one's
MOST_ROWS = 400  # of each side in the joint test, whose cost is quadratic
BLOCK = 1000  # permutations at a time
ENOUGH = (
    100  # permuted distances above the observed one: the p-value is then known to be large, and how large
)


def scalar_p_values(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two-sided p-value of equal distributions, for each of Q scalars.

    Kolmogorov and Smirnov's test where the values are many, a chi-squared test of the contingency table of
    values where they are few; infinities are values like any other, and NaN is
    one too: in a discrete scalar a category, in a continuous one compared by its share (half of Bonferroni).

    Args:
        a: (n, Q) independent draws. b: (m, Q).

    Returns:
        (Q,); 1 for a constant that both agree on, 0 for two different constants.
    """
    return np.array([_scalar(a[:, q], b[:, q]) for q in range(a.shape[1])])


def rare_events(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether a scalar has few values, and a mean too skewed for a normal test of it.

        |skewness| / sqrt(min(n, m)) > 0.1    with at most 40 values

    The test of its table of values, which is exact where counts are small, is then the one to believe.

    Args:
        a: (n, Q) independent draws. b: (m, Q).

    Returns:
        (Q,) of bool.
    """
    pooled = np.concatenate([a, b])
    with np.errstate(all="ignore"):
        skewed = np.abs(skewness(pooled)) > SKEWED * np.sqrt(min(len(a), len(b)))
    found = np.zeros(pooled.shape[1], dtype=bool)
    for q in np.flatnonzero(skewed):
        found[q] = len(np.unique(pooled[:, q])) <= MOST_CATEGORIES
    return found


def energy_test(a: np.ndarray, b: np.ndarray, *, alpha: float, seed: int) -> tuple[float, float]:
    """Permutation test of equal joint distributions by the energy distance of pooled normal scores.

        E = 2 mean |a - b| - mean |a - a'| - mean |b - b'|,    p = (1 + #{E_perm >= E}) / (1 + B)

    Args:
        a: (n, Q) independent draws, finite. b: (m, Q). More than 400 rows are thinned evenly.
        alpha: at which the p-value will be judged; B is chosen so that it can be ten times smaller, and
            fewer are drawn where it is plainly larger.
        seed: of the permutations.

    Returns:
        The p-value, and the energy distance itself.

    Source: Szekely and Rizzo 2013, Journal of Statistical Planning and Inference 143:1249; Besag and
    Clifford 1991, Biometrika 78:301 (stopping early).
    """
    scores = normal_scores(_thinned(a), _thinned(b))
    pooled = np.concatenate(scores)
    distance = cdist(pooled, pooled)
    weights = np.concatenate(
        [np.full(len(scores[0]), 1 / len(scores[0])), np.full(len(scores[1]), -1 / len(scores[1]))]
    )
    # With weights +1/n and -1/m the distance is the quadratic form -w D w.
    observed = float(-weights @ distance @ weights)
    most, rng = int(np.ceil(10 / alpha)), np.random.default_rng(seed)
    at_least = count = 0
    while count < most and at_least < ENOUGH:
        shuffled = rng.permuted(np.tile(weights, (min(BLOCK, most - count), 1)), axis=1)
        at_least += np.count_nonzero(-np.sum((shuffled @ distance) * shuffled, axis=1) >= observed - 1e-12)
        count += len(shuffled)
    return (1 + at_least) / (1 + count), observed


def _scalar(a: np.ndarray, b: np.ndarray) -> float:
    lost = np.array([np.count_nonzero(np.isnan(x)) for x in (a, b)])
    finite = [x[~np.isnan(x)] for x in (a, b)]
    table = np.stack([lost, [len(x) for x in finite]])
    if not np.any(lost):
        return _values(*finite)
    share = _chi2(table)
    return share if min(table[1]) == 0 else min(1.0, 2 * min(share, _values(*finite)))


def _values(a: np.ndarray, b: np.ndarray) -> float:
    values, where = np.unique(np.concatenate([a, b]), return_inverse=True)
    if len(values) > MOST_CATEGORIES:
        return float(stats.ks_2samp(a, b, method="asymp").pvalue)  # type: ignore[attr-defined]
    table = np.stack(
        [np.bincount(part, minlength=len(values)) for part in (where[: len(a)], where[len(a) :])], axis=1
    )
    return _chi2(_merged(table))


def _merged(table: np.ndarray) -> np.ndarray:
    """Neighbouring values are put together until every cell can expect enough draws.

    Where that leaves one cell, the commonest value is held against all others, of which there is an exact test.
    """
    share = table.sum(axis=0).min() / table.sum()
    rows, current = [], np.zeros(2)
    for row in table:
        current = current + row
        if current.sum() * share >= LEAST_EXPECTED:
            rows.append(current)
            current = np.zeros(2)
    if len(rows) > 1:
        rows[-1] = rows[-1] + current  # what is left at the upper end
        return np.stack(rows)
    commonest = table[np.argmax(table.sum(axis=1))]
    return np.stack([commonest, table.sum(axis=0) - commonest])


def _chi2(table: np.ndarray) -> float:
    """Of a (categories, 2) table; Fisher's exact test of two categories."""
    table = table[table.sum(axis=1) > 0]
    if len(table) < 2 or np.any(table.sum(axis=0) == 0):
        return 1.0
    if table.shape == (2, 2):
        return float(stats.fisher_exact(table.astype(int)).pvalue)  # type: ignore[union-attr]
    return float(stats.chi2_contingency(table, correction=False).pvalue)  # type: ignore[union-attr]


def _thinned(draws: np.ndarray) -> np.ndarray:
    if len(draws) <= MOST_ROWS:
        return draws
    return draws[np.linspace(0, len(draws) - 1, MOST_ROWS).astype(int)]
