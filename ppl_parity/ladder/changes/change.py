"""Where one side draws what the other computes: a point of the one is a point of the other, and a density too.

Where Pyro has u ~ p(u | s), and NumPyro z ~ q(z) with u = f(z, s), both say how (s, u) is distributed:

    log p(u | s) = log q(z) - log |det du/dz|

So at any point of NumPyro's sites both log densities are known, and must agree like any others: a non-centred port is
compared exactly, and site by site. Needed is that the computed site is recorded, under the name of the drawn one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.changes.jacobians import Computed, jacobian
from ppl_parity.ladder.changes.points import (
    LEAST_POINTS,
    folds,
    frozen_points,
    given_points,
    points_of,
    prior_points,
    usable,
    why_unusable,
)
from ppl_parity.ladder.changes.program import ChangedProgram, SummedProgram, computed_values
from ppl_parity.ladder.changes.standing import NoChange, grouped, no_stand_in, own_latents, under_own_names
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
        lost: a user's points, or frozen ones, for which nothing was found that the other side could have drawn.
    """

    context: Context
    drawn: str
    computed: str
    groups: tuple[Computed, ...]
    lost: tuple[str, ...] = ()

    @property
    def can_be_summed(self) -> bool:
        """Whether the densities have one with the discrete sites summed out: what is computed hangs on none."""
        names = self.context.pair.from_side(
            self.computed, dict.fromkeys(self.context.programs[self.computed].of_discrete())
        )
        return not any(name in names for group in self.groups for name in group.of)

    def told(self) -> str:
        """A clause: which sites stand for which."""
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
    return min(reasons, key=lambda reason: reason.far)


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
) -> Change:
    rows = [_rows(context, drawn, computed, group, points[0]) for group in groups]
    own = {
        side: [
            (under_own_names(context.pair, side, group), kept)
            for group, kept in zip(groups, rows, strict=True)
        ]
        for side in SIDES
    }
    programs = {
        drawn: cast(Program, SummedProgram(context.programs[drawn], own[drawn])),
        computed: cast(Program, ChangedProgram(context.programs[computed], own[computed])),
    }
    changed = replace(
        context,
        points=points,
        programs={side: programs[side] for side in SIDES},
        results={
            "verdicts": context.results.get("verdicts", {}),
            "follow": partial(_refreshed, context, computed, [name for group in groups for name in group.of]),
            "computes": computed,
            "stands for": {group.of[0]: _of_group(context, group, computed) for group in groups},
        },
    )
    return Change(changed, drawn, computed, groups, tuple(lost))


def _refreshed(context: Context, side: str, of: list[str], point: Point, learned: Arrays) -> Point:
    """The point, with what is computed at these values of the params."""
    values = context.values(side, point, discrete=True) | context.pair.to_side(side, learned)
    computed = context.pair.from_side(side, computed_values(context.programs[side], values))
    return replace(point, values=point.values | {name: computed[name] for name in of})


def _of_group(context: Context, group: Computed, side: str) -> str:
    """What to look at where a group's densities differ, and no pattern is known."""
    are = ", together, are" if len(group.of) > 1 else " is"
    families = ", ".join(dict.fromkeys(context.sites[side][name].family for name in group.by))
    return (
        f"{listed(group.of)}{are} computed of {listed(group.by)} in {side}: compare that map, and the prior of what it "
        f"is made of ({families}), with the other side's prior"
    )


def _rows(context: Context, drawn: str, computed: str, group: Computed, point: Point) -> tuple[int, ...]:
    """The axes that both sides' log probs, and the Jacobian, have in common; none where rows mix."""
    if len(group.of) > 1 or len(group.by) > 1:
        return ()
    shapes = []
    for side, names in ((drawn, group.of), (computed, group.by)):
        (name,) = context.pair.to_side(side, dict.fromkeys(names))
        log_probs: Arrays = context.programs[side].site_log_probs(context.values(side, point, discrete=True))
        shapes.append(np.shape(log_probs[name]))
    own = under_own_names(context.pair, computed, group)
    there = context.pair.to_side(computed, {name: point.values[name] for name in group.of})
    values = context.values(computed, point, discrete=True)
    found = jacobian(context.programs[computed], values, there, own)
    shapes.append(() if found is None else found.rows)
    shortest = min(shapes, key=len)
    return shortest if all(shape[: len(shortest)] == shortest for shape in shapes) else ()
