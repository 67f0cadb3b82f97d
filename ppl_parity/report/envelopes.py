"""ECDF differences and the envelope that they stay inside, all at once, if what is compared is the same.

Source: Säilynoja, Bürkner and Vehtari 2022, Statistics and Computing 32:32 (simultaneous bands by simulation).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

COVERAGE = 0.99
NUM_POINTS = 100
NUM_SIMULATIONS = 10_000
SEED = 20  # a report looks the same every time


@dataclass(frozen=True)
class Envelope:
    """A band around zero: ``low`` and ``high`` at the fractions ``at``, each (P,)."""

    at: np.ndarray
    low: np.ndarray
    high: np.ndarray


def two_sample_difference(first: np.ndarray, second: np.ndarray, at: np.ndarray) -> np.ndarray:
    """F_first - F_second at the pooled sample's quantiles.

    Args:
        first: (n,) draws, or their ranks in the pooled sample.
        second: (m,), likewise.
        at: (P,) fractions of the pooled sample.

    Returns:
        (P,) differences of the empirical distribution functions.
    """
    pooled = np.sort(np.concatenate([first, second]))
    cuts = pooled[np.minimum(np.ceil(at * len(pooled)).astype(int), len(pooled)) - 1]
    one, two = (np.searchsorted(np.sort(part), cuts, side="right") / len(part) for part in (first, second))
    return one - two


def uniform_difference(ranks: np.ndarray, num_ranks: int | None, at: np.ndarray) -> np.ndarray:
    """The ECDF of ranks minus the uniform one, at the fractions ``at``.

    Args:
        ranks: (n,) integers from 0 to ``num_ranks``, both possible; or fractions in (0, 1).
        num_ranks: L, so that there are L + 1 possible ranks; None for fractions.
        at: (P,) fractions, from ``uniform_envelope``.
    """
    scaled = np.sort(ranks if num_ranks is None else (ranks + 1) / (num_ranks + 1))
    return np.searchsorted(scaled, at + 1e-12, side="right") / len(ranks) - at


@lru_cache(maxsize=32)
def two_sample_envelope(n: int, m: int) -> Envelope:
    """Where ``two_sample_difference`` of n and m independent draws of one distribution lies."""
    at = np.arange(1, NUM_POINTS) / NUM_POINTS
    taken = np.ceil(at * (n + m)).astype(int)
    rng = np.random.default_rng(SEED)
    counts = np.zeros((NUM_SIMULATIONS, len(taken) + 1), dtype=int)
    for i, (before, after) in enumerate(pairwise([0, *taken])):  # how many of the next ones are the first's
        left = n - counts[:, i]
        counts[:, i + 1] = counts[:, i] + rng.hypergeometric(left, n + m - before - left, after - before)
    low, high = _simultaneous(counts[:, 1:], stats.hypergeom(n + m, n, taken))
    # of the j smallest, c are the first's: F_first - F_second = c / n - (j - c) / m
    return Envelope(at, low / n - (taken - low) / m, high / n - (taken - high) / m)


@lru_cache(maxsize=32)
def uniform_envelope(n: int, num_ranks: int | None) -> Envelope:
    """Where ``uniform_difference`` of n uniform ranks lies."""
    at = np.arange(1, NUM_POINTS) / NUM_POINTS
    if num_ranks is not None:
        at = np.unique(np.ceil(at * (num_ranks + 1))) / (num_ranks + 1)
        at = at[at < 1]  # with few ranks the last would be 1 itself, where nothing varies
    shares = np.diff(at, prepend=0.0, append=1.0)
    cells = np.random.default_rng(SEED).multinomial(n, shares, size=NUM_SIMULATIONS)
    low, high = _simultaneous(np.cumsum(cells, axis=1)[:, :-1], stats.binom(n, at))
    return Envelope(at, low / n - at, high / n - at)


def _simultaneous(counts: np.ndarray, pointwise: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise quantiles at the level at which COVERAGE of the simulated counts (S, P) never leave them."""
    least = counts.min(axis=0)
    seen = least + np.arange((counts - least).max() + 1)[:, None]  # each count once: the tails are slow
    tails = np.minimum(pointwise.cdf(seen), pointwise.sf(seen - 1))
    smallest = tails[counts - least, np.arange(counts.shape[1])].min(axis=1)
    level = np.quantile(smallest, 1 - COVERAGE, method="lower") * (1 - 1e-9)  # what attains it is inside
    return pointwise.ppf(level), pointwise.isf(level)
