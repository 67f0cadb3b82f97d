"""One array on two sides, at several points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NEAR = 1e-6  # relative; what is computed in another way loses digits
MOST_ELEMENTS = 4096  # of a large array: a relation is one of all elements, and as many show it


@dataclass(frozen=True)
class Pairs:
    """One array on two sides, at the same points.

    Attributes:
        left, right: (P, ...), of one shape; Pyro's and NumPyro's.
        sites: name -> (P, ...), the values at these points of what the arrays may be made from.
        key: the parameter's name, where it is known.
    """

    left: np.ndarray
    right: np.ndarray
    sites: Mapping[str, np.ndarray]
    key: str = ""

    @cached_property
    def apart(self) -> np.ndarray:
        """Where they differ at any point: a mask of one point's shape."""
        return ~np.all(np.isclose(self.left, self.right, rtol=1e-9, atol=1e-12, equal_nan=True), axis=0)

    @cached_property
    def at(self) -> tuple[np.ndarray, ...]:
        """The indices of the elements that differ, or of ``MOST_ELEMENTS`` of them, evenly spread."""
        if not self.apart.ndim:
            return ()
        where = np.nonzero(self.apart)
        count = len(where[0])
        rows = np.unique(np.linspace(0, count - 1, min(count, MOST_ELEMENTS)).astype(int))
        return tuple(axis[rows] for axis in where)

    def picked(self, array: np.ndarray, most: int = MOST_ELEMENTS) -> np.ndarray:
        """An array of this shape at those elements, or at some ``most`` of them: (P, elements)."""
        step = max(1, len(self.at[0]) // most) if self.at else 1
        found = array[(slice(None), *(axis[::step] for axis in self.at))]
        return found.reshape(len(array), -1)

    @property
    def differing(self) -> tuple[np.ndarray, np.ndarray]:
        """Both where they differ: (P, elements)."""
        return self.picked(self.left), self.picked(self.right)


def near(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two arrays are the same, as numbers that were computed in different ways are."""
    usable = np.isfinite(y)
    if not usable.any():
        return False
    size = float(np.max(np.abs(y[usable])))
    return bool(np.allclose(x, y, rtol=NEAR, atol=1e-12 * size, equal_nan=True))


def shaped(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """(P, ...) values as they broadcast to ``shape``, which leads with P too; None where they do not."""
    missing = len(shape) - values.ndim
    if missing < 0:
        return None
    try:
        return np.broadcast_to(values.reshape(len(values), *(1,) * missing, *values.shape[1:]), shape)
    except ValueError:
        return None
