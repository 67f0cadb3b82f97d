"""Which sites of one side stand for which of the other: what is drawn on the one and computed on the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.ladder.changes.jacobians import Computed, depends
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.points import Point

# Whose densities are per unit of length of each number: not a simplex's, nor a correlation matrix's.
OF_LENGTH = ("real", "positive", "interval(", "greater_than(", "less_than(", "ordered_vector")
NO_LENGTH = ("positive_definite", "positive_semidefinite")


def own_latents(context: Context, side: str) -> list[str]:
    """Its latent sites that the other side does not draw; sites that are summed out are no part of a density."""
    other = context.sites[SIDES[1 - SIDES.index(side)]]
    return [
        name
        for name, site in context.sites[side].items()
        if site.kind == "latent" and not site.enumerated
        if name not in other or other[name].kind != "latent"
    ]


def stand_in(context: Context, drawn: str, computed: str, of: list[str], by: list[str]) -> bool:
    """Whether each of these is recorded where it is computed, in its shape, and in all as many numbers are drawn."""
    there = context.sites[computed]
    recorded = all(
        name in there and there[name].kind == "deterministic" and _shape(there[name]) == _shape(site)
        for name, site in ((name, context.sites[drawn][name]) for name in of)
    )
    every = [*(context.sites[drawn][name] for name in of), *(there[name] for name in by)]
    dense = all(
        site.support.startswith(OF_LENGTH) and site.support not in NO_LENGTH and not is_discrete(site)
        for site in every
    )
    sizes = [
        sum(int(np.prod(_shape(context.sites[side][name]))) for name in names)
        for side, names in ((drawn, of), (computed, by))
    ]
    return recorded and dense and sizes[0] == sizes[1]


def _shape(site: Site) -> tuple[int, ...]:
    return np.shape(np.asarray(site.value))


def grouped(
    context: Context, side: str, of: list[str], by: list[str], points: list[Point], drawn: dict[str, Site]
) -> tuple[Computed, ...]:
    """Each computed site with the drawn one that it alone needs beside those of earlier ones; what is left, together.

    In this order the derivative of all is block triangular, and its determinant the product of the groups'.
    """
    pair, program = context.pair, context.programs[side]
    shapes = {name: _shape(context.sites[side][name]) for name in [*of, *by]}
    moves: dict[str, set[str]] = {name: set() for name in of}
    for point in points:
        values = context.values(side, point, discrete=True)
        for name in of:
            (own,) = pair.to_side(side, {name: 0})
            found = depends(program, values, own, tuple(pair.to_side(side, dict.fromkeys(by))), shapes[name])
            moves[name] |= set(pair.from_side(side, dict.fromkeys(found)))
    groups: list[Computed] = []
    left, free = list(of), set(by)
    while left:
        alone = [(n, moves[n] & free) for n in left if len(moves[n] & free) == 1]
        fitting = [(n, z) for n, (z,) in alone if np.prod(shapes[n]) == np.prod(shapes[z])]
        if fitting:
            name, z = fitting[0]
            site = drawn[name]
            own_shapes = {n: shapes[n] for n in (name, z)}
            group = Computed((name,), (z,), own_shapes, tuple(site.batch_shape), site.family)
        else:
            group = Computed(tuple(left), tuple(n for n in by if n in free), shapes)
            if group.size(group.of) != group.size(group.by):
                return ()
        groups.append(group)
        left = [name for name in left if name not in group.of]
        free -= set(group.by)
    return tuple(groups)


def under_own_names(pair: Pair, side: str, group: Computed) -> Computed:
    """The group under the side's own names."""

    def named(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(pair.to_side(side, dict.fromkeys(names)))

    return replace(group, of=named(group.of), by=named(group.by), shapes=pair.to_side(side, group.shapes))
