"""A Delta has a density at one value alone, which each side computes: where these differ by rounding, they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point

FAMILY, VALUE, DENSITY = "Delta", "v", "log_density"
ROUNDING = 1e-9  # relative, of two values that are computed alike


def delta_sites(context: Context) -> list[str]:
    """Latent sites that are a Delta on both sides."""
    return [
        name for name in context.shared if all(context.sites[side][name].family == FAMILY for side in SIDES)
    ]


def level_deltas(context: Context, points: Sequence[Point], values: dict[str, list[Arrays]]) -> None:
    """Give a Delta its log density where a side has none at the value that the other side computed, by rounding alone.

    Args:
        points: where.
        values: side -> at each point, site -> its log probs; changed in place.
    """
    names = delta_sites(context)
    for i, point in enumerate(points if names else ()):
        rows = {side: values[side][i] for side in SIDES}
        apart = [
            name
            for name in names
            if all(name in row for row in rows.values())
            and np.any(np.isneginf(rows["pyro"][name]) != np.isneginf(rows["numpyro"][name]))
        ]
        if not apart:
            continue
        described = {side: _described(context, side, point, {}) for side in SIDES}
        for name in apart:
            pyro, numpyro = (described[side][name] for side in SIDES)
            near = _near(point.values[name], pyro, numpyro, rows["pyro"][name].shape)
            for side in SIDES:
                site = described[side][name]
                density = site.scale * _density(site, np.shape(point.values[name]), np.ndim(rows[side][name]))
                rows[side][name] = np.where(near, density, rows[side][name])


def _density(site: Site, shape: tuple[int, ...], batch_ndim: int) -> np.ndarray:
    """The log density that it was given, of each event: of many independent Deltas their sum."""
    density = np.asarray(site.params.get(DENSITY, 0.0))
    if density.ndim <= batch_ndim:
        return density
    return np.sum(
        np.broadcast_to(density, shape[: density.ndim]), axis=tuple(range(batch_ndim, density.ndim))
    )


def at_their_values(context: Context, point: Point, learned: Arrays) -> Point:
    """The point with the Deltas' values as they are at these values of the params, where else they have no density."""
    names = delta_sites(context)
    for _ in names:  # one may hang on another
        described = _described(context, context.asked, point, learned)
        found = {n: described[n].params[VALUE] for n in names if VALUE in described[n].params}
        moved = {n: np.broadcast_to(v, np.shape(point.values[n])).copy() for n, v in found.items()}
        point = replace(point, values={**point.values, **moved})
    return point


def _described(context: Context, side: str, point: Point, learned: Arrays) -> dict[str, Site]:
    given = context.values(side, point, discrete=True) | context.pair.to_side(side, learned)
    return context.pair.from_side(side, {site.name: site for site in context.programs[side].sites(given)})


def _near(value: np.ndarray, a: Site, b: Site, shape: tuple[int, ...]) -> np.ndarray:
    """Which elements of a batch of this shape have one value on both sides, and at the point."""
    if VALUE not in a.params or VALUE not in b.params:
        return np.zeros(shape, dtype=bool)
    left, right = (np.broadcast_to(site.params[VALUE], np.shape(value)) for site in (a, b))
    size = ROUNDING * np.maximum(np.abs(value), 1e-3)
    near = (np.abs(left - right) <= size) & (np.abs(left - value) <= size)
    return np.all(near.reshape(*shape, -1), axis=-1)
