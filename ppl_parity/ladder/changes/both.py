"""Quantities that neither side draws and both compute, each of sites of its own: of these both have a density.

    log p(w) - log |det du/dw| = log q(z) - log |det du/dz|

So two ports that are re-parameterised each in its own way are compared like one that is and one that is not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ppl_parity.ladder.changes.jacobians import Computed
from ppl_parity.ladder.changes.points import prior_points
from ppl_parity.ladder.changes.standing import moves_with, shape_of
from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES

Groups = tuple[Computed, ...]


def computed_by_both(context: Context, by: Mapping[str, list[str]]) -> dict[str, Groups] | None:
    """Of every site that one side has alone, the computed one that stands for it; None where not all have one.

    Each needs one such site alone, beside those of earlier ones, on either side.

    Args:
        by: side -> its own latent sites, under Pyro's names.

    Returns:
        side -> its groups, of the same computed sites in the same order.
    """
    left = _recorded_by_both(context)
    moves = {side: moves_with(context, side, left, by[side], prior_points(context, side)) for side in SIDES}
    free = {side: set(by[side]) for side in SIDES}
    groups: dict[str, list[Computed]] = {side: [] for side in SIDES}
    while all(free.values()):
        for name in left:
            needed = {side: moves[side][name] & free[side] for side in SIDES}
            if all(len(found) == 1 and _fits(context, side, name, *found) for side, found in needed.items()):
                break
        else:
            return None
        left.remove(name)
        for side, (z,) in needed.items():
            shapes = {n: shape_of(context.sites[side][n]) for n in (name, z)}
            groups[side].append(Computed((name,), (z,), shapes))
            free[side].remove(z)
    return None if any(free.values()) else {side: tuple(found) for side, found in groups.items()}


def _recorded_by_both(context: Context) -> list[str]:
    sites = [context.sites[side] for side in SIDES]
    return [
        name
        for name in sites[0]
        if all(
            name in known
            and known[name].kind == "deterministic"
            and known[name].value is not None
            and np.asarray(known[name].value).dtype.kind == "f"
            for known in sites
        )
        if shape_of(sites[0][name]) == shape_of(sites[1][name])
    ]


def _fits(context: Context, side: str, name: str, z: str) -> bool:
    known = context.sites[side]
    return np.prod(shape_of(known[name])) == np.prod(shape_of(known[z]))
