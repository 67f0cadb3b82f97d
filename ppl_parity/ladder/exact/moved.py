"""Are the densities the same at other values of the params? One that starts at zero hides what it is multiplied by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Site
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.blaming import blamed
from ppl_parity.ladder.exact.clamps import level_clamps
from ppl_parity.ladder.exact.comparison import Comparison, compare
from ppl_parity.ladder.exact.deltas import at_their_values, delta_sites, level_deltas
from ppl_parity.ladder.exact.held import held_at
from ppl_parity.ladder.exact.log_probs import SiteLogProbs, compare_site, limit_of, names_of, sums_of
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point

NUM_MOVES = 6
LOST = 1e-6  # of a log density, by rounding: what an initial value hides shows in more digits than that
SUMMED = "log density"  # of a model whose sites cannot be asked for alone

Offsets = dict[str | None, float]
"""site, or None for all together -> numpyro minus pyro at the initial values: a constant, or zero."""


def where_moved(points: Sequence[Point]) -> list[Point]:
    """The points at which params are moved, one value of them at each."""
    return [point for point in points if not point.far][:NUM_MOVES]


def moved_values(program: Program, number: int) -> Arrays:
    """param -> its value for the point of this number, of all that can be moved."""
    at_first = {site.name: site for site in program.params()}
    found = program.params(seed=number)
    return {site.name: site.value for site in found if _is_moved(at_first[site.name], site)}  # type: ignore[misc]


def _is_moved(initial: Site, site: Site) -> bool:
    return site.value is not None and not np.array_equal(np.asarray(initial.value), site.value)


def movable(context: Context) -> list[str]:
    """Params of both sides, of one shape and constraint, in float64 in Pyro; under Pyro's names."""
    if "params" in context.results:
        return context.results["params"]
    if context.reparameterised and "follow" not in context.results:
        return []
    found = [
        context.pair.from_side(side, {site.name: site for site in context.programs[side].params()})
        for side in SIDES
    ]
    shared = [name for name in found[0] if name in found[1] and _alike(found[0][name], found[1][name])]
    moving: dict[str, Arrays] = {side: {} for side in SIDES}
    if shared:
        try:
            for side in SIDES:  # a module of either may keep its own, whatever it is given
                moving[side] = context.pair.from_side(side, moved_values(context.programs[side], number=0))
        except InputError:  # an older file, or a constraint without a map
            shared = []
    found = [name for name in shared if all(name in moving[side] for side in SIDES)]
    if context.frozen and len(found) < len(
        moving[context.frozen]
    ):  # a file has the answers with all of them moved
        found = []
    return context.results.setdefault("params", found)


def _alike(a: Site, b: Site) -> bool:
    return (
        a.support == b.support
        and a.dtype == "float64"
        and b.dtype in ("float64", "float32")  # flax makes it so, and takes what it is given
        and a.value is not None
        and b.value is not None
        and a.value.shape == b.value.shape
    )


def moved(context: Context, offsets: Offsets) -> Iterator[Finding]:
    """Compare the log probs with all params moved; where they differ, each alone says which param it is.

    Args:
        offsets: what the log probs may be apart by: a constant at the initial values is told elsewhere. Empty
            where nothing was compared there.
    """
    names = movable(context)
    points = where_moved(context.results.get("points at first", context.points))
    if not names or not points:
        return
    learned = [_values(context, number, names) for number in range(len(points))]
    both = "are params" if len(names) > 1 else "is a param"
    told = f"{listed(names)} {both} in pyro and numpyro"
    try:
        values = at_moved(context, points, learned)
        joint = compare_moved(context, values, None, offsets)
    except InputError as error:  # a value that the model does not take: no constraint says so
        values, joint, why = {}, None, f" ({error})"
    else:
        why = "" if joint.relation != "unusable" else " (no density is a number at other values)"
    if joint is None or joint.relation == "unusable":
        yield Finding(
            "same",
            "param",
            f"{told}; the models are compared at the initial values, whatever they may learn{why}.",
            site=names[0],
            notable=True,
            hint="give the param its constraint, and other values are compared, too",
            numbers={"unmoved": True},
        )
        return
    if joint.relation != "different":
        count = _usable(values)
        yield Finding(
            "same",
            "param",
            f"{told}: at {count} other values the log densities agree, too; all else is compared at the initial ones.",
            site=names[0],
            size=joint.size,
            notable=True,
        )
        return
    apart = {name: compare_moved(context, values, name, offsets) for name in names_of(values)}
    guilty_sites = {name: found for name, found in apart.items() if found.relation == "different"}
    causes = _causes(context, learned[joint.worst])
    for name, found in (guilty_sites or {None: joint}).items():
        guilty, still = _guilty(context, points[found.worst], learned[found.worst], name, offsets)
        a, b = (sums_of(values, side, name)[found.worst] for side in SIDES)
        what = "log density" if name in (None, SUMMED) else f"log prob of {name!r}"
        yield Finding(
            "different",
            "log prob",
            f"With the {'params' if len(guilty) > 1 else 'param'} {listed(guilty)} away from "
            f"{'their' if len(guilty) > 1 else 'its'} initial value, the {what} is {a:.10g} in pyro and {b:.10g} in "
            f"numpyro at {points[found.worst].name}; at the initial value both agree.",
            site=name if name in guilty_sites and name != SUMMED else guilty[0],
            size=found.size if np.isfinite(found.size) else None,
            point=points[found.worst].name,
            hint=f"{still} does not use {listed(guilty)}"
            if still and name not in delta_sites(context)  # whose value is moved with the param
            else causes.get(name)
            or "what the initial value hides, as zero does: look at what the param is multiplied by, or an exponent",
        )


def _causes(context: Context, learned: Arrays) -> dict[str | None, str]:
    """Site -> why it differs where the params have these values, of the causes that are known anywhere.

    Of a file there are no answers at other points, and what one side computes of what it draws is another's there.
    """
    if context.frozen or "follow" in context.results or context.enumerated_on_one_side:
        return {}
    try:
        there = held_at(context, learned)
        if not all(_is_held(context, there, side, learned) for side in SIDES):
            return {}
        points = [at_their_values(there, point, {}) for point in where_moved(context.points)]
        there.points = points
        values = there.both(
            lambda side, program: [
                there.pair.from_side(side, program.site_log_probs(there.values(side, point, discrete=True)))
                for point in points
            ]
        )
    except InputError:
        return {}
    found = {name: compare_site(there, values, name) for name in names_of(values)}
    told = blamed(there, values, found, []) if any(c.relation == "different" for c in found.values()) else ()
    return {one.site: one.hint for one in told if one.hint is not None}


def _is_held(context: Context, there: Context, side: str, learned: Arrays) -> bool:
    """Whether the models that were handed the values use them: a module of torch's may keep its own."""
    given = context.values(side, context.points[0], discrete=True)
    asked = context.programs[side].site_log_probs(given | context.pair.to_side(side, learned))
    held = there.programs[side].site_log_probs(given)
    return all(np.allclose(held[name], asked[name], equal_nan=True) for name in asked)


def _usable(values: SiteLogProbs) -> int:
    """At how many of the points both densities are numbers."""
    a, b = (np.asarray(sums_of(values, side, None)) for side in SIDES)
    return int(np.count_nonzero(np.isfinite(a) & np.isfinite(b)))


def _values(context: Context, number: int, names: Sequence[str]) -> Arrays:
    anchor = context.anchor
    found = context.pair.from_side(anchor, moved_values(context.programs[anchor], number))
    return {name: found[name] for name in names}


def at_moved(context: Context, points: Sequence[Point], learned: Sequence[Arrays]) -> SiteLogProbs:
    """Both sides' log probs with these values of the params; or their log densities, where one side alone sums."""
    summed = bool(context.enumerated_on_one_side)

    follow = context.results.get("follow")
    if follow is not None:  # what one side computes at these values the other is to be given
        points = [follow(point, values) for point, values in zip(points, learned, strict=True)]
    elif not context.frozen:  # a file was not asked there
        points = [at_their_values(context, *each) for each in zip(points, learned, strict=True)]

    def ask(side: str, program: Program) -> list[Any]:
        rows = []
        for point, values in zip(points, learned, strict=True):
            given = context.values(side, point, discrete=not summed) | context.pair.to_side(side, values)
            if summed:
                rows.append({SUMMED: np.asarray(program.log_density(given))})
            else:
                rows.append(context.pair.from_side(side, program.site_log_probs(given)))
        return rows

    values = context.both(ask)
    if not summed:
        at = replace(context, points=points, results={})
        level_clamps(at, values)
        if not context.frozen:
            level_deltas(at, points, values)
    return values


def compare_moved(context: Context, values: SiteLogProbs, name: str | None, offsets: Offsets) -> Comparison:
    sites = names_of(values) if name in (None, SUMMED) else [name]
    if SUMMED in sites:
        sites = list(dict.fromkeys(site for side in SIDES for site in context.sites[side]))
    extra = sum(limit_of(context, site) for site in sites)
    a, b = (sums_of(values, side, name) for side in SIDES)
    extra = extra + LOST * np.abs(np.nan_to_num(a, posinf=0.0, neginf=0.0))
    b = [value - offsets.get(name, 0.0) for value in b]
    return compare("log density", a, b, extra=extra, precision=context.precision)


def _guilty(
    context: Context, point: Point, learned: Arrays, name: str | None, offsets: Offsets
) -> tuple[list[str], str | None]:
    """The params that make the difference, each moved alone; and the side whose log probs none of them moves."""
    if context.frozen:
        return list(learned), None
    alone = [{param: value} for param, value in learned.items()]
    values = at_moved(context, [point] * (len(alone) + 1), [*alone, {}])
    guilty, still = [], []
    for i, param in enumerate(learned):
        one = {side: [values[side][i]] for side in SIDES}
        if compare_moved(context, one, name, offsets).relation == "different":
            guilty.append(param)
            still.append(
                {side for side in SIDES if sums_of(values, side, None)[i] == sums_of(values, side, None)[-1]}
            )
    common = set.intersection(*still) if still else set()
    return guilty or list(learned), next(iter(common)) if len(common) == 1 else None
