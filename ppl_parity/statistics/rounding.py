"""Draws that differ in their last bits only are one value, which a rank or a category would not know.

A sum of a simplex, the diagonal of ``L @ L.T`` or a function of a discrete site takes one value in exact arithmetic,
and a few neighbouring ones in each library's own order of operations. Tests of distributions see those.
"""

from __future__ import annotations

import numpy as np

# Differences of this many spacings of float64, of either number's size, are rounding.
ROUNDING = 64 * np.finfo(np.float64).eps
MOST_ROWS = 400  # of each side, in which a scalar that has such draws would show some


def without_rounding(
    a: np.ndarray, b: np.ndarray, floor: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Give pooled draws of a scalar that lie within rounding of each other one value, the least of them.

        x_max - x_min <= 64 eps max(|x_min|, |x_max|, floor)    of a run of neighbours

    A run that reaches further is a distribution, however close its neighbours are: it stays.

    Args:
        a, b: (..., Q), any number of leading axes; infinities and NaN stay what they are.
        floor: (Q,), the size of what a scalar was computed from, where that is known: a sum that cancels is zero to
            within the rounding of its terms.

    Returns:
        Arrays of the same shapes, as they were given where nothing is that close.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    rows = [x.reshape(-1, x.shape[-1]) for x in (a, b) if x.size]
    if not rows:
        return a, b
    pooled = np.concatenate(rows)
    some = np.sort(np.concatenate([part[:: -(-len(part) // MOST_ROWS)] for part in rows]), axis=0)
    touched = np.flatnonzero(np.any(_near(some[:-1], some[1:], floor) & (some[1:] > some[:-1]), axis=0))
    floors = np.broadcast_to(floor, pooled.shape[-1:])
    for q in touched:
        column = np.sort(pooled[:, q])
        starts = np.flatnonzero(np.concatenate([[True], ~_near(column[:-1], column[1:], floors[q])]))
        lengths = np.diff(np.append(starts, len(column)))
        least, most = column[starts], column[starts + lengths - 1]
        settled = np.where(
            np.repeat(_near(least, most, floors[q]), lengths), np.repeat(least, lengths), column
        )
        finite = np.isfinite(pooled[:, q])
        pooled[finite, q] = settled[np.searchsorted(column, pooled[finite, q])]
    if not len(touched):
        return a, b
    parts = iter(np.split(pooled, np.cumsum([len(part) for part in rows])[:-1]))
    left, right = (next(parts).reshape(x.shape) if x.size else x for x in (a, b))
    return left, right


def _near(lower: np.ndarray, upper: np.ndarray, floor: np.ndarray | float) -> np.ndarray:
    """Equal ones are near; what is not finite is near to nothing else."""
    with np.errstate(invalid="ignore"):
        size = np.maximum(np.maximum(np.abs(lower), np.abs(upper)), floor)
        return (upper == lower) | ((upper - lower <= ROUNDING * size) & np.isfinite(size))
