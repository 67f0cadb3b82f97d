"""One array on two sides, at several points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NEAR = 1e-6  # relative; what is computed in another way loses digits


@dataclass(frozen=True)
class Pairs:
    """One array on two sides, at the same points.

    Attributes:
        left, right: (P, ...), of one shape; Pyro's and NumPyro's.
        sites: name -> (P, ...), the values at these points of what the arrays may be made from.
    """

    left: np.ndarray
    right: np.ndarray
    sites: Mapping[str, np.ndarray]

    @cached_property
    def apart(self) -> np.ndarray:
        """Where they differ at any point: a mask of one point's shape."""
        return ~np.all(np.isclose(self.left, self.right, rtol=1e-9, atol=1e-12, equal_nan=True), axis=0)

    @property
    def differing(self) -> tuple[np.ndarray, np.ndarray]:
        """Both where they differ: (P, elements)."""
        return self.left[:, self.apart], self.right[:, self.apart]

    @property
    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """Both as (P, all elements)."""
        return tuple(side.reshape(len(side), -1) for side in (self.left, self.right))  # type: ignore[return-value]


def near(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two arrays are the same, as numbers that were computed in different ways are."""
    usable = np.isfinite(y)
    return bool(usable.any() and np.allclose(x, y, rtol=NEAR, atol=1e-12, equal_nan=True))


def shaped(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """(P, ...) values as they broadcast to ``shape``, which leads with P too; None where they do not."""
    missing = len(shape) - values.ndim
    if missing < 0:
        return None
    try:
        return np.broadcast_to(values.reshape(len(values), *(1,) * missing, *values.shape[1:]), shape)
    except ValueError:
        return None
