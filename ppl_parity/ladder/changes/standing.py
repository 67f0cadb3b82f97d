"""Which sites of one side stand for which of the other: what is drawn on the one and computed on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.ladder.changes.jacobians import Computed, depends
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.listing import listed
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


@dataclass(frozen=True)
class NoChange:
    """Why variables are not changed.

    Attributes:
        reason: a clause.
        hint: what would help, if something would.
        far: how far from a change this is; of two directions the nearer one is told.
        site: a computed site that has no density, as one that does not use all that is drawn for it.
    """

    reason: str
    hint: str | None = None
    far: int = 0
    site: str | None = None


def no_stand_in(context: Context, drawn: str, computed: str, of: list[str], by: list[str]) -> NoChange | None:
    """Why what one side draws is not what the other computes of as many numbers; None where it is."""
    there, here = context.sites[computed], context.sites[drawn]
    if not of or not by:
        return NoChange(f"{drawn if by else computed} alone draws {listed(of or by)}", far=9)
    missing = [name for name in of if not _is_computed(there, name)]
    if missing and len(missing) < len(of) and any(_is_computed(here, name) for name in by):
        return NoChange("each side computes some of what the other draws, where one alone may")
    if missing:
        return NoChange(
            f"{computed} does not record {listed(missing)}, as a deterministic site of that name",
            _how_to_record(context, computed, missing, here),
            far=4 if len(missing) < len(of) else 5,
        )
    if computed == context.frozen:
        return NoChange(
            f"{computed} computes {listed(of)} and is a file, which knows no derivative",
            "freeze the side that draws it",
            far=1,
        )
    for name in of:
        if shape_of(there[name]) != shape_of(here[name]):
            shapes = f"{shape_of(here[name])} in {drawn} and {shape_of(there[name])} in {computed}"
            return NoChange(f"the shape of {name!r} is {shapes}", far=3)
    for name, site in [*((n, here[n]) for n in of), *((n, there[n]) for n in by)]:
        if not _is_of_length(site):
            return NoChange(f"{name!r} is {site.support}, whose numbers are not free of each other", far=2)
    sizes = [
        sum(int(np.prod(shape_of(sites[name]))) for name in names)
        for sites, names in ((here, of), (there, by))
    ]
    if sizes[0] != sizes[1]:
        return NoChange(f"{listed(of)} has {sizes[0]:,} numbers, and {listed(by)} has {sizes[1]:,}", far=2)
    return None


def all_of_length(context: Context, names: Mapping[str, list[str]]) -> bool:
    """Whether all these sites, by side, have densities per unit of length."""
    return all(_is_of_length(context.sites[side][name]) for side, own in names.items() for name in own)


def _is_of_length(site: Site) -> bool:
    return not is_discrete(site) and site.support.startswith(OF_LENGTH) and site.support not in NO_LENGTH


def _is_computed(sites: dict[str, Site], name: str) -> bool:
    return name in sites and sites[name].kind == "deterministic"


def _how_to_record(context: Context, side: str, missing: list[str], drawn: dict[str, Site]) -> str:
    """A site that is recorded under another name, or that it is to be recorded."""
    (other,) = (s for s in SIDES if s != side)
    unmatched = {
        name: site
        for name, site in context.sites[side].items()
        if site.kind == "deterministic" and name not in context.sites[other]
    }
    alike = [n for n, site in unmatched.items() if shape_of(site) == shape_of(drawn[missing[0]])]
    if len(missing) == len(alike) == 1:
        pair = (missing[0], alike[0]) if other == "pyro" else (alike[0], missing[0])
        rename = f'rename = {{"{pair[0]}": "{pair[1]}"}}'
        return f"if {side} computes {missing[0]!r} as {alike[0]!r}, give {rename}"
    return f"if {side} computes it, record it: {side}.deterministic({missing[0]!r}, ...)"


def shape_of(site: Site) -> tuple[int, ...]:
    """Of its value."""
    return np.shape(np.asarray(site.value))


def grouped(
    context: Context, side: str, of: list[str], by: list[str], points: list[Point], drawn: dict[str, Site]
) -> tuple[Computed, ...] | NoChange:
    """Each computed site with the drawn one that it alone needs beside those of earlier ones; what is left, together.

    In this order the derivative of all is block triangular, and its determinant the product of the groups'.
    """
    shapes = {name: shape_of(context.sites[side][name]) for name in [*of, *by]}
    moves = moves_with(context, side, of, by, points)
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
                told = f"{side} computes {listed(group.of)} of as many numbers as these have not, {listed(group.by)}"
                return NoChange(told)
        groups.append(group)
        left = [name for name in left if name not in group.of]
        free -= set(group.by)
    return tuple(groups)


def moves_with(
    context: Context, side: str, of: list[str], by: list[str], points: list[Point]
) -> dict[str, set[str]]:
    """Computed site -> which of these drawn ones it moves with, at any of the points."""
    pair, program = context.pair, context.programs[side]
    moves: dict[str, set[str]] = {name: set() for name in of}
    for point in points:
        values = context.values(side, point, discrete=True)
        for name in of:
            (own,) = pair.to_side(side, {name: 0})
            shape = shape_of(context.sites[side][name])
            found = depends(program, values, own, tuple(pair.to_side(side, dict.fromkeys(by))), shape)
            moves[name] |= set(pair.from_side(side, dict.fromkeys(found)))
    return moves


def under_own_names(pair: Pair, side: str, group: Computed) -> Computed:
    """The group under the side's own names."""

    def named(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(pair.to_side(side, dict.fromkeys(names)))

    return replace(group, of=named(group.of), by=named(group.by), shapes=pair.to_side(side, group.shapes))
