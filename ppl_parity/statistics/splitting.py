"""A rung's share of the false-alarm probability, split over its looks beforehand and by Holm within a look.

The ladder splits the whole over the rungs. Who gets how much is fixed before anything runs, so the shares add
up to at most the whole, whatever depends on what.
"""

from __future__ import annotations

import numpy as np


def share_of_look(alpha: float, look: int) -> float:
    """What a rung that looks again after drawing more may spend at its look number ``look`` (1, 2, ...).

        alpha_look = alpha / 2^look,    so that    sum_look alpha_look <= alpha

    however many looks there are; the first one gets half.
    """
    return alpha / 2.0**look


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values of one family, in the order given.

        p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))

    Args:
        p_values: (m,); NaN counts as 1, for a test that could not be made has shown nothing.

    Returns:
        (m,): rejecting where they are below alpha is wrong anywhere with probability alpha at most.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    p_values = np.where(np.isnan(p_values), 1.0, np.asarray(p_values, dtype=np.float64))
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(1.0, np.maximum.accumulate(factors * p_values[order]))
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result
