"""Points of a pair of which one side draws what the other computes, with the values of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.ladder.changes.inverse import made_of
from ppl_parity.ladder.changes.jacobians import MOST, Computed, jacobian
from ppl_parity.ladder.changes.program import computed_values
from ppl_parity.ladder.changes.singular import lost_direction
from ppl_parity.ladder.changes.standing import NoChange, under_own_names
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.points import is_inside, shared_points
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.points import Point

LOST = 1e-9  # of z, that rounding of u may hide at a point that is kept
LEAST_POINTS = 6
NUMBERS = 60_000  # of all Jacobians together: at 600 numbers, what 24 points would have is a minute of Pyro's
FOLDS = 4  # points at which a fold is looked for, with what is drawn at the others
ELSEWHERE = (-1.0, -3.0, 3.0)  # and with what is drawn there, times these
PROBES = 2  # prior draws at which is asked what hangs on what


def points_of(context: Context, side: str, of: list[str]) -> list[Point]:
    """Points of the side that computes, with what it computes there."""
    pair, program, sites = context.pair, context.programs[side], context.sites[side]
    latent = {name for name, site in sites.items() if site.kind == "latent"}
    given = {name: pair.to_side(side, at) for name, at in pair.points.items() if latent <= set(at)}
    # All in the side's own names, for there is no other side's point among them.
    own: Pair = replace(pair, rename={}, points=given)
    own_sites, settings = {side: pair.to_side(side, sites)}, context.settings
    found = []
    for own_point in shared_points(own, {side: program}, own_sites, settings.num_points, settings.seed):
        point = replace(own_point, values=pair.from_side(side, own_point.values))
        try:
            computed = computed_values(program, context.values(side, point, discrete=True))
        except InputError:
            continue
        there = {name: value for name, value in pair.from_side(side, computed).items() if name in of}
        if all(np.all(np.isfinite(value)) for value in there.values()):
            found.append(replace(point, values={**point.values, **there}))
    return [point for point in found if is_inside(point, context.sites[SIDES[1 - SIDES.index(side)]])]


def prior_points(context: Context, side: str) -> list[Point]:
    """Prior draws of one side, to ask what hangs on what, and to begin a search at."""
    draws = context.programs[side].prior_samples(num_draws=PROBES, seed=context.settings.seed)
    latent = [name for name, site in context.sites[side].items() if site.kind == "latent"]
    draws = context.pair.from_side(side, draws)
    return [Point(f"prior draw {i}", {n: draws[n][i] for n in latent}, "prior") for i in range(PROBES)]


def frozen_points(
    context: Context, side: str, groups: tuple[Computed, ...], prior: list[Point]
) -> tuple[list[Point], list[str]]:
    """The frozen side's points, with what the live side would have drawn for them; and those without."""
    frozen = cast(Any, context.sides[str(context.frozen)])
    return followed_back(context, side, groups, frozen.points(context.pair), prior)


def given_points(
    context: Context, drawn: str, side: str, groups: tuple[Computed, ...], points: list[Point]
) -> tuple[list[Point], list[str]]:
    """A user's points of the side that draws, likewise."""
    latent = {name for name, site in context.sites[drawn].items() if site.kind == "latent"}
    taken = {point.name for point in points}
    given = [
        Point(f"{name} (given)" if name in taken else name, {k: np.asarray(v) for k, v in values.items()})
        for name, values in context.pair.points.items()
        if latent <= set(values)
    ]
    return followed_back(context, side, groups, given, points)


def own_points(context: Context, side: str, of: list[str]) -> list[Point]:
    """A user's points of one side alone, with what it computes there."""
    latent = {name: {n for n, site in context.sites[name].items() if site.kind == "latent"} for name in SIDES}
    (other,) = (name for name in SIDES if name != side)
    found = []
    for name, values in context.pair.points.items():
        if latent[side] <= set(values) and not latent[other] <= set(values):
            point = Point(name, {n: np.asarray(value) for n, value in values.items()})
            computed = computed_values(context.programs[side], context.values(side, point, discrete=True))
            there = context.pair.from_side(side, computed)
            found.append(replace(point, values=point.values | {n: there[n] for n in of}))
    return found


def followed_back(
    context: Context, side: str, groups: tuple[Computed, ...], points: Sequence[Point], begin: list[Point]
) -> tuple[list[Point], list[str]]:
    """Points with what the side would have drawn for them; and the names of those for which nothing was found."""
    found, lost = [], []
    for point in points:
        made = drawn_for(context, side, groups, replace(point, values=begin[0].values | point.values))
        if made is None:
            lost.append(point.name)
        else:
            found.append(replace(point, values=point.values | made))
    return found, lost


def drawn_for(
    context: Context,
    side: str,
    groups: tuple[Computed, ...],
    point: Point,
    learned: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, np.ndarray] | None:
    """What the side would have drawn to compute what the point has; None where that is not found.

    Args:
        point: with values of the side's sites, where the search begins.
        learned: param -> value, under Pyro's names.
    """
    pair, sites, program = context.pair, context.sites[side], context.programs[side]
    by = [name for group in groups for name in group.by]
    if not all(sites[name].support in ("real", "positive") for name in by):
        return None
    own = [under_own_names(pair, side, group) for group in groups]
    positive = pair.to_side(side, {name: sites[name].support == "positive" for name in by})
    start = context.values(side, point, discrete=True) | pair.to_side(side, learned)
    of = pair.to_side(side, {name: point.values[name] for group in groups for name in group.of})
    made = made_of(program, start, of, own, positive)
    return None if made is None else pair.from_side(side, made)


def usable(context: Context, side: str, points: list[Point], groups: tuple[Computed, ...]) -> list[Point]:
    """Those at which the computed values still say what they were made of: 1 + 1e-20 z is 1 for any z."""
    pair, program = context.pair, context.programs[side]
    own = [under_own_names(pair, side, group) for group in groups]
    kept, numbers = [], 0
    for point in points:
        if numbers > NUMBERS and len(kept) >= LEAST_POINTS:
            break
        values = context.values(side, point, discrete=True)
        computed = pair.to_side(side, {n: point.values[n] for group in groups for n in group.of})
        found = [jacobian(program, values, computed, group) for group in own]
        numbers += sum(one.blocks.shape[-1] ** 2 for one in found if one is not None)
        if all(one is not None and np.all(one.lost < LOST) for one in found):
            kept.append(point)
    return kept


def folds(context: Context, side: str, points: list[Point], groups: tuple[Computed, ...]) -> bool:
    """Whether some map turns back, as |z| does, so that a value is computed of two.

    Its derivative then changes its sign with what is drawn, all else held.
    """
    program = context.programs[side]
    own = [under_own_names(context.pair, side, group) for group in groups]
    largest = max(group.size(group.by) for group in groups)
    count = int(np.clip(NUMBERS // largest**2, 1, FOLDS))
    given = [context.values(side, point, discrete=True) for point in points[:count]]
    for held in given:
        for group in own:
            signs = []
            known = context.pair.to_side(side, context.sites[side])
            others = [{name: at[name] for name in group.by} for at in given]
            if all(known[name].support == "real" for name in group.by):
                others += [{name: times * held[name] for name in group.by} for times in ELSEWHERE]
            for other in others:
                values = {**held, **other}
                found = jacobian(program, values, computed_values(program, values), group)
                if found is not None:
                    signs.append(np.linalg.slogdet(found.blocks)[0])
            if any(sign.shape == signs[0].shape and np.any(sign != signs[0]) for sign in signs):
                return True
    return False


def why_unusable(
    context: Context, drawn: str, side: str, points: list[Point], groups: tuple[Computed, ...]
) -> NoChange:
    """Why at too few points the computed values say what they were made of."""
    program = context.programs[side]
    large = [group for group in groups if group.size(group.by) > MOST]
    for group in groups:
        own = under_own_names(context.pair, side, group)
        given = [context.values(side, point, discrete=True) for point in points[:FOLDS]]
        found = {lost_direction(program, values, own) for values in given}
        told = f"{side} computes {listed(group.of)} of {listed(group.by)}"
        if found == {"unused"}:
            return NoChange(
                f"{told}, and not of every number of it: along one direction nothing moves, so that "
                f"{listed(group.of)} has no density there, as it has in {drawn}",
                "an index or a running sum that is off, a number that is used twice, or another site's",
                site=group.of[0],
            )
        if "detached" in found:
            return NoChange(
                f"{told}; these move with it, though their derivative says that they do not",
                "a detached value in what is recorded",
            )
    if large:
        return NoChange(
            f"{side} computes {listed(large[0].of)} by a map that mixes {large[0].size(large[0].by):,} numbers; "
            f"up to {MOST} are followed"
        )
    return NoChange(f"rounding of what {side} computes leaves open what it was made of, at nearly all points")
