"""Points of a pair of which one side draws what the other computes, with the values of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.ladder.changes.inverse import made_of
from ppl_parity.ladder.changes.jacobians import Computed, jacobian
from ppl_parity.ladder.changes.program import computed_values
from ppl_parity.ladder.changes.standing import under_own_names
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.points import is_inside, shared_points
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.points import Point

LOST = 1e-9  # of z, that rounding of u may hide at a point that is kept
LEAST_POINTS = 6
NUMBERS = 60_000  # of all Jacobians together: at 600 numbers, what 24 points would have is a minute of Pyro's
FOLDS, ELSEWHERE = (
    4,
    (-1.0, -3.0, 3.0),
)  # points at which a fold is looked for, and what is drawn there, times these


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
    draws = context.programs[side].prior_samples(num_draws=len(SIDES), seed=context.settings.seed)
    latent = [name for name, site in context.sites[side].items() if site.kind == "latent"]
    draws = context.pair.from_side(side, draws)
    return [Point(f"prior draw {i}", {n: draws[n][i] for n in latent}, "prior") for i in range(len(SIDES))]


def frozen_points(
    context: Context, side: str, groups: tuple[Computed, ...], prior: list[Point]
) -> list[Point]:
    """The frozen side's points, with what the live side would have drawn for them."""
    pair, sites, program = context.pair, context.sites, context.programs[side]
    by = [name for group in groups for name in group.by]
    if context.frozen is None or not all(sites[side][name].support in ("real", "positive") for name in by):
        return []
    own = [under_own_names(pair, side, group) for group in groups]
    positive = pair.to_side(side, {name: sites[side][name].support == "positive" for name in by})
    found = []
    for point in cast(Any, context.sides[context.frozen]).points(pair):
        start = context.values(side, replace(point, values=prior[0].values | point.values), discrete=True)
        of = pair.to_side(side, {name: point.values[name] for group in groups for name in group.of})
        made = made_of(program, start, of, own, positive)
        if made is not None:
            found.append(replace(point, values=point.values | pair.from_side(side, made)))
    return found


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
