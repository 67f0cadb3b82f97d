"""Many scalars looked through at little cost: which of them are the furthest apart in two sets of chains."""

from __future__ import annotations

import numpy as np

from ppl_parity.statistics.rounding import ROUNDING

BATCHES = 20  # of all chains together: means of so many parts tell a standard error, whatever depends on what within
MOST_NUMBERS = 10_000_000  # at once


def most_apart(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """The scalars whose means or spreads are the most standard errors apart.

        z = |mean_a - mean_b| / sqrt(se_a^2 + se_b^2),   se^2 = var(batch means) / batches

    No verdict: with 20 batches each z is rough, and of many the largest is large by chance.

    Args:
        a, b: (C, S, M), finite; the numbers of chains and draws may differ.
        count: how many.

    Returns:
        At most ``count`` indices into M.
    """
    scalars = a.shape[-1]
    width = max(1, MOST_NUMBERS // max(1, a.shape[0] * a.shape[1], b.shape[0] * b.shape[1]))
    z = np.concatenate(
        [_apart(a[..., i : i + width], b[..., i : i + width]) for i in range(0, scalars, width)]
        or [np.empty(0)]
    )
    return np.sort(np.argsort(-z, kind="stable")[:count])


def least_mixed(draws: np.ndarray, count: int) -> np.ndarray:
    """The scalars whose half chains' means are the furthest apart for the spread within them.

        var(means of half chains) / mean(variances within them)

    No verdict: plain draws have no ranks, and heavy tails hide what is apart.

    Args:
        draws: (C, S, M).
        count: how many.

    Returns:
        At most ``count`` indices into M; what is not finite or never moves comes last.
    """
    chains, length, scalars = draws.shape
    width = max(1, MOST_NUMBERS // max(1, chains * length))
    half = length // 2
    ratios = [np.empty(0)]
    for i in range(0, scalars if half else 0, width):
        block = np.asarray(draws[..., i : i + width], dtype=np.float64)
        halves = np.concatenate([block[:, :half], block[:, -half:]])
        with np.errstate(all="ignore"):
            ratio = halves.mean(axis=1).var(axis=0) / halves.var(axis=1).mean(axis=0)
        ratios.append(np.nan_to_num(ratio, nan=0.0, posinf=1e300))
    return np.sort(np.argsort(-np.concatenate(ratios), kind="stable")[:count])


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (np.asarray(draws, dtype=np.float64) for draws in (a, b))
    centre = (a.mean(axis=(0, 1)) + b.mean(axis=(0, 1))) / 2
    # What moves within rounding alone is a constant, whose spread would stand out as anything may.
    still = np.ptp(a, axis=(0, 1)) + np.ptp(b, axis=(0, 1)) <= ROUNDING * np.abs(centre)
    return np.maximum(_z(a, b), np.where(still, 0.0, _z((a - centre) ** 2, (b - centre) ** 2)))


def _z(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (mean_a, error_a), (mean_b, error_b) = _batch_means(a), _batch_means(b)
    gap, error = np.abs(mean_a - mean_b), np.hypot(error_a, error_b)
    rounding = 1e-12 * np.maximum(np.abs(mean_a), np.abs(mean_b))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(gap <= rounding, 0.0, np.nan_to_num(gap / error, nan=0.0, posinf=1e300))


def _batch_means(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean, and its standard error from the means of batches; a chain is cut into equal ones."""
    chains, length = draws.shape[:2]
    per_chain = max(1, min(BATCHES // chains, length))
    size = length // per_chain
    means = draws[:, : per_chain * size].reshape(chains * per_chain, size, -1).mean(axis=1)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(len(means))
