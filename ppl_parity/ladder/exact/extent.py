"""Which elements of a site differ: all, a slice, or some of them; the largest difference alone says nothing of that."""

from __future__ import annotations

import numpy as np


def extent(differing: np.ndarray) -> str:
    """A clause that names the differing elements among all: ``in rows 37 to 39 of 40``, ``in [:, 0] of (20, 4)``.

    Args:
        differing: booleans, in the shape of the site's log probs.

    Returns:
        An empty text where that says nothing: of a scalar, and where no element differs.
    """
    if differing.ndim == 0 or differing.size == 1 or not differing.any():
        return ""
    every = differing.size
    along = [np.unique(indices) for indices in np.nonzero(differing)]
    one_axis = differing.ndim == 1
    if differing.all():
        return f"in all {every} {'rows' if one_axis else 'elements'}"
    count = int(differing.sum())
    if count == np.prod([len(indices) for indices in along]) and all(map(_run, along)):
        if not one_axis:
            return f"in [{', '.join(map(_slice, along, differing.shape))}] of {differing.shape}"
        first, last = int(along[0][0]), int(along[0][-1])
        return (
            f"in row {first} alone, of {every}" if first == last else f"in rows {first} to {last} of {every}"
        )
    first_of_all = ", ".join(str(int(indices[0])) for indices in np.nonzero(differing))
    if one_axis:
        return f"in {count} of {every} rows, the first {first_of_all}"
    return f"in {count} of {every} elements, the first [{first_of_all}]"


def _run(indices: np.ndarray) -> bool:
    return bool(indices[-1] - indices[0] + 1 == len(indices))


def _slice(indices: np.ndarray, length: int) -> str:
    """One axis as NumPy writes it."""
    if len(indices) == length:
        return ":"
    first, last = int(indices[0]), int(indices[-1])
    if first == last:
        return str(first)
    return f"{first or ''}:{'' if last == length - 1 else last + 1}"
