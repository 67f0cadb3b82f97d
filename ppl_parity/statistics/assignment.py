"""Which component is which: the assignment of least cost, for many draws at once."""

from __future__ import annotations

import numpy as np


def assign(cost: np.ndarray) -> np.ndarray:
    """For each draw, a permutation p with the least sum_j cost[j, p_j].

    Args:
        cost: (S, K, K), of giving component k (the last axis) the place j.

    Returns:
        (S, K), p; among equals any.
    """
    # Where the best place of every component is a different one, no assignment can cost less.
    nearest = cost.argmin(axis=1)
    permutations = np.argsort(nearest, axis=1, kind="stable")
    clash = np.any(np.sort(nearest, axis=1) != np.arange(cost.shape[1]), axis=1)
    if np.any(clash):
        from scipy.optimize import linear_sum_assignment  # slow to import, and seldom needed

        for draw in np.flatnonzero(clash):
            permutations[draw] = linear_sum_assignment(cost[draw])[1]
    return permutations
