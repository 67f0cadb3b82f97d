"""Which scalars of many sites are looked at: all of a small site, a stated sample and projections of a large one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MOST_SCALARS = 240  # of all sites together: each costs some 10 ms of tests and diagnostics
LEAST_SCALARS = 4  # of a site, however many sites there are
PROJECTIONS = 8


@dataclass(frozen=True)
class Selection:
    """The scalars of each site that are compared.

    Attributes:
        flat: site -> indices into the site's raveled value.
        shapes: site -> the site's shape.
    """

    flat: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]

    def names(self) -> list[tuple[str, tuple[int, ...]]]:
        """(site, index) of each column that ``columns`` returns."""
        return [
            (site, tuple(int(i) for i in np.unravel_index(i, self.shapes[site])) if self.shapes[site] else ())
            for site, indices in self.flat.items()
            for i in indices
        ]

    def columns(self, values: Mapping[str, np.ndarray], lead: int) -> np.ndarray:
        """The chosen scalars, (leading axes..., Q) float64.

        Args:
            values: site -> (leading axes..., *shape).
            lead: the number of leading axes.
        """
        lead_shape = next((np.shape(value)[:lead] for value in values.values()), (0,) * lead)
        parts = [np.empty((*lead_shape, 0))]
        for site, indices in self.flat.items():
            value = np.asarray(values[site])
            parts.append(value.reshape(*value.shape[:lead], -1)[..., indices].astype(np.float64))
        return np.concatenate(parts, axis=-1)

    def total(self, site: str) -> int:
        """The site's number of scalars where not all are looked at; else 0."""
        size = int(np.prod(self.shapes[site]))
        return size if len(self.flat[site]) < size else 0


def select(shapes: Mapping[str, tuple[int, ...]], most: int = MOST_SCALARS) -> Selection:
    """Share ``most`` scalars out among the sites; a site that needs fewer leaves the rest to the others.

    Args:
        shapes: site -> shape of its value.
        most: scalars of all sites together, if every site can have four.

    Returns:
        The ``Selection``: evenly spaced scalars of a site that is too large.
    """
    sizes = {site: int(np.prod(shape)) for site, shape in shapes.items()}
    left, flat = most, {}
    for waiting, site in zip(range(len(sizes), 0, -1), sorted(sizes, key=sizes.__getitem__), strict=True):
        kept = min(sizes[site], max(LEAST_SCALARS, left // waiting))
        left -= kept
        flat[site] = (
            np.unique(np.linspace(0, sizes[site] - 1, kept).astype(int)) if kept else np.empty(0, int)
        )
    return Selection({site: flat[site] for site in shapes}, dict(shapes))


def without_shared_limits(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The log of zero, say: scalars that are one infinity, or NaN, in every draw of both are zero in both.

    Args:
        a, b: (..., Q); both are left as they are.
    """
    if not a.size or not b.size:
        return a, b
    rows = [x.reshape(-1, x.shape[-1]) for x in (a, b)]
    first = rows[0][0]
    with np.errstate(invalid="ignore"):
        alike = [np.all((x == first) | (np.isnan(x) & np.isnan(first)), axis=0) for x in rows]
    limits = ~np.isfinite(first) & alike[0] & alike[1]
    return np.where(limits, 0.0, a), np.where(limits, 0.0, b)


def project(
    a: np.ndarray, b: np.ndarray, seed: int, count: int = PROJECTIONS
) -> tuple[np.ndarray, np.ndarray]:
    """Random projections of all scalars together: their spread moves when any correlation does.

    Args:
        a, b: (C, S, Q), finite; the units are the pooled mean and standard deviation of each scalar.
        seed: of the directions, which are uniform on the sphere.

    Returns:
        Two arrays (C, S, count).
    """
    directions = np.random.default_rng(seed).standard_normal((a.shape[-1], count))
    directions /= np.linalg.norm(directions, axis=0)
    centre = (a.mean(axis=(0, 1)) + b.mean(axis=(0, 1))) / 2
    sd = np.sqrt((a.var(axis=(0, 1)) + b.var(axis=(0, 1))) / 2)
    unit = np.where(sd > 0, sd, 1.0)
    return ((a - centre) / unit) @ directions, ((b - centre) / unit) @ directions
