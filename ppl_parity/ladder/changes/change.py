"""Where one side draws what the other computes: a point of the one is a point of the other, and a density too.

Where Pyro has u ~ p(u | s), and NumPyro z ~ q(z) with u = f(z, s), both say how (s, u) is distributed:

    log p(u | s) = log q(z) - log |det du/dz|

So at any point of NumPyro's sites both log densities are known, and must agree like any others: a non-centred port is
compared exactly, and site by site. Needed is that the computed site is recorded, under the name of the drawn one; or by
both sides, where each computes it of sites of its own (``both``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.changes.both import computed_by_both
from ppl_parity.ladder.changes.jacobians import Computed, jacobian
from ppl_parity.ladder.changes.points import (
    LEAST_POINTS,
    drawn_for,
    folds,
    followed_back,
    frozen_points,
    given_points,
    own_points,
    points_of,
    prior_points,
    usable,
    why_unusable,
)
from ppl_parity.ladder.changes.program import ChangedProgram, SummedProgram, computed_values
from ppl_parity.ladder.changes.standing import (
    NoChange,
    all_of_length,
    grouped,
    no_stand_in,
    own_latents,
    under_own_names,
)
from ppl_parity.ladder.context import Context
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.process.sides import SideError


@dataclass(frozen=True)
class Change:
    """A pair in coordinates that both sides have.

    Attributes:
        context: its points have values of both sides' sites, and its programs densities of the drawn ones.
        drawn: the side that draws. computed: the side that computes.
        groups: what is computed, and of what, under Pyro's names.
        also: likewise of the side that draws, where it does not, but computes the same of sites of its own.
        lost: a user's points, or frozen ones, for which nothing was found that the other side could have drawn.
    """

    context: Context
    drawn: str
    computed: str
    groups: tuple[Computed, ...]
    lost: tuple[str, ...] = ()
    also: tuple[Computed, ...] = ()

    @property
    def can_be_summed(self) -> bool:
        """Whether the densities have one with the discrete sites summed out: what is computed hangs on none."""
        sides = (self.computed, self.drawn) if self.also else (self.computed,)
        names = {
            name
            for side in sides
            for name in self.context.pair.from_side(
                side, dict.fromkeys(self.context.programs[side].of_discrete())
            )
        }
        return not any(name in names for group in self.groups for name in group.of)

    def told(self) -> str:
        """A clause: which sites stand for which."""
        if self.also:
            of = listed(name for group in self.groups for name in group.of)
            by = {
                side: listed(name for group in groups for name in group.by)
                for side, groups in ((self.drawn, self.also), (self.computed, self.groups))
            }
            return (
                f"both sides compute {of}, {' and '.join(f'{side} of {names}' for side, names in by.items())}"
            )
        pairs = (f"{listed(group.of)} of {listed(group.by)}" for group in self.groups)
        return f"{self.computed} computes {', and '.join(pairs)}"


def compared_in_full(context: Context) -> Change | None:
    """The same, where the density rung is climbed: what the other rungs leave to it is compared there."""
    return change_of_variables(context) if not context.rungs or "density" in context.rungs else None


def change_of_variables(context: Context) -> Change | None:
    """The pair where the sites that one side has alone are computed on the other; None where they are not, or cannot
    be followed, for which ``no_change`` has the reason.
    """
    return _looked_for(context)[0]


def no_change(context: Context) -> NoChange | None:
    """Why variables are not changed; None where they are, or where the latent sites do not differ."""
    return _looked_for(context)[1]


def _looked_for(context: Context) -> tuple[Change | None, NoChange | None]:
    if "change of variables" not in context.results:
        found: tuple[Change | None, NoChange | None] = None, None
        if context.reparameterised and not context.misshapen:
            looked = _found(context)
            found = (looked, None) if isinstance(looked, Change) else (None, looked)
        context.results["change of variables"] = found
    return context.results["change of variables"]


def _found(context: Context) -> Change | NoChange:
    if alone := context.enumerated_on_one_side:
        return NoChange(f"one side alone sums over {listed(alone)}")
    reasons = []
    for drawn, computed in (SIDES, SIDES[::-1]):
        of, by = (own_latents(context, side) for side in (drawn, computed))
        reason = no_stand_in(context, drawn, computed, of, by)
        if reason is not None:
            reasons.append(reason)
            continue
        # What a model of the user's raises is the user's to know, as where the latent sites are the same.
        points = points_of(context, computed, of) if context.frozen is None else None
        try:
            return _followed(context, drawn, computed, of, by, points)
        except (InputError, SideError) as error:  # no prior draws, or a derivative that cannot be taken
            return NoChange(f"what {computed} computes cannot be followed ({str(error).rstrip('.')})")
    return _of_both(context) or min(reasons, key=lambda reason: reason.far)


def _of_both(context: Context) -> Change | NoChange | None:
    """The pair where neither side draws what both compute; None where they compute no such thing."""
    by = {side: own_latents(context, side) for side in SIDES}
    if context.frozen is not None or not all(by.values()) or not all_of_length(context, by):
        return None
    drawn, computed = SIDES  # what Pyro's was made of is found back, for NumPyro is the faster one to ask
    try:
        groups = computed_by_both(context, by)
        if groups is None:
            return None
        of = [name for group in groups[computed] for name in group.of]
        points = points_of(context, computed, of)
        kept = usable(context, computed, points, groups[computed])
        if len(kept) < min(LEAST_POINTS, len(points)):
            return why_unusable(context, drawn, computed, points, groups[computed])
        found, lost = followed_back(context, drawn, groups[drawn], kept, prior_points(context, drawn))
        given, others = followed_back(
            context, computed, groups[computed], own_points(context, drawn, of), points
        )
        kept = usable(context, drawn, [*given, *found], groups[drawn])
        if len(kept) < LEAST_POINTS:
            return NoChange(f"what {drawn} computes {listed(of)} of was not found back at most points")
        if any(folds(context, side, kept, groups[side]) for side in SIDES):
            return NoChange(f"both sides compute {listed(of)}, and one by a map that turns back")
        return _changed(context, drawn, computed, groups[computed], kept, [*others, *lost], groups[drawn])
    except (InputError, SideError) as error:
        return NoChange(f"what both sides compute cannot be followed ({str(error).rstrip('.')})")


def _followed(
    context: Context, drawn: str, computed: str, of: list[str], by: list[str], found: list[Point] | None
) -> Change | NoChange:
    points = prior_points(context, computed) if found is None else found
    groups = grouped(context, computed, of, by, points[:2], context.sites[drawn])
    if isinstance(groups, NoChange):
        return groups
    if found is None:
        points, lost = frozen_points(context, computed, groups, points)
    else:
        given, lost = given_points(context, drawn, computed, groups, points)
        points = [*given, *points]
    kept = usable(context, computed, points, groups)
    if not kept or len(kept) < min(LEAST_POINTS, len(points)):
        return why_unusable(context, drawn, computed, points, groups)
    if folds(context, computed, kept, groups):
        return NoChange(
            f"{computed} computes {listed(of)} of {listed(by)} by a map that turns back, as an absolute value does"
        )
    return _changed(context, drawn, computed, groups, kept, lost)


def _changed(
    context: Context,
    drawn: str,
    computed: str,
    groups: tuple[Computed, ...],
    points: list[Point],
    lost: list[str],
    also: tuple[Computed, ...] = (),
) -> Change:
    of_side = {computed: groups, drawn: also or groups}
    computing = (computed, drawn) if also else (computed,)
    rows = [
        _rows(context, {side: of_side[side][i] for side in SIDES}, computing, points[0])
        for i in range(len(groups))
    ]
    own = {
        side: [
            (under_own_names(context.pair, side, group), kept)
            for group, kept in zip(of_side[side], rows, strict=True)
        ]
        for side in SIDES
    }
    programs = {
        side: cast(
            Program,
            (ChangedProgram if side in computing else SummedProgram)(context.programs[side], own[side]),
        )
        for side in SIDES
    }
    changed = replace(
        context,
        points=points,
        programs={side: programs[side] for side in SIDES},
        results={
            "verdicts": context.results.get("verdicts", {}),
            "follow": partial(_refreshed, context, of_side, computing),
            "find back": (
                [name for group in groups for name in group.of],
                partial(_found_back, context, of_side, computing[1:]),
            ),
            "computes": computing,
            "stands for": {
                group.of[0]: _of_groups(context, group, other)
                if also
                else _of_group(context, group, computed)
                for group, other in zip(groups, of_side[drawn], strict=True)
            },
        },
    )
    return Change(changed, drawn, computed, groups, tuple(lost), also)


def _refreshed(
    context: Context,
    groups: dict[str, tuple[Computed, ...]],
    computing: tuple[str, ...],
    point: Point,
    learned: Arrays,
) -> Point:
    """The point, with what is computed at these values of the params, and what the other side makes that of."""
    side, *others = computing
    values = context.values(side, point, discrete=True) | context.pair.to_side(side, learned)
    computed = context.pair.from_side(side, computed_values(context.programs[side], values))
    of = [name for group in groups[side] for name in group.of]
    moved = replace(point, values=point.values | {name: computed[name] for name in of})
    return _found_back(context, groups, others, moved, learned)


def _found_back(
    context: Context,
    groups: dict[str, tuple[Computed, ...]],
    others: Sequence[str],
    point: Point,
    learned: Arrays | None = None,
) -> Point:
    """The point, with what the others would have drawn to compute what it has."""
    for other in others:
        made = drawn_for(context, other, groups[other], point, learned or {})
        if made is None:
            of = listed(name for group in groups[other] for name in group.of)
            raise InputError(f"{other}: what {of} is computed of was not found at these params.")
        point = replace(point, values=point.values | made)
    return point


def _of_groups(context: Context, group: Computed, other: Computed) -> str:
    """The same where both sides compute it."""
    made = " and ".join(
        f"of {listed(each.by)} ({context.sites[side][each.by[0]].family}) in {side}"
        for side, each in zip(SIDES, (other, group), strict=True)
    )
    return f"{listed(group.of)} is computed {made}: compare the two maps, and the priors of what they are made of"


def _of_group(context: Context, group: Computed, side: str) -> str:
    """What to look at where a group's densities differ, and no pattern is known."""
    are = ", together, are" if len(group.of) > 1 else " is"
    families = ", ".join(dict.fromkeys(context.sites[side][name].family for name in group.by))
    return (
        f"{listed(group.of)}{are} computed of {listed(group.by)} in {side}: compare that map, and the prior of what it "
        f"is made of ({families}), with the other side's prior"
    )


def _rows(
    context: Context, groups: dict[str, Computed], computing: tuple[str, ...], point: Point
) -> tuple[int, ...]:
    """The axes that both sides' log probs, and the Jacobians, have in common; none where rows mix."""
    if any(len(group.of) > 1 or len(group.by) > 1 for group in groups.values()):
        return ()
    shapes = []
    for side, group in groups.items():
        (name,) = context.pair.to_side(side, dict.fromkeys(group.by if side in computing else group.of))
        values = context.values(side, point, discrete=True)
        shapes.append(np.shape(context.programs[side].site_log_probs(values)[name]))
        if side in computing:
            there = context.pair.to_side(side, {name: point.values[name] for name in group.of})
            own = under_own_names(context.pair, side, group)
            found = jacobian(context.programs[side], values, there, own)
            shapes.append(() if found is None else found.rows)
    shortest = min(shapes, key=len)
    return shortest if all(shape[: len(shortest)] == shortest for shape in shapes) else ()
