"""Rung 2: is the log probability the same, site by site and jointly, up to a constant?

And what the models compute of the same values, at their deterministic sites.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ppl_parity.findings import Finding
from ppl_parity.ladder.changes.change import change_of_variables, no_change
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.blaming import blamed
from ppl_parity.ladder.exact.clamps import level_clamps, told_of_clamps
from ppl_parity.ladder.exact.comparison import Comparison
from ppl_parity.ladder.exact.conditioning import lost_digits, not_by_rounding, told_of_digits
from ppl_parity.ladder.exact.deltas import level_deltas
from ppl_parity.ladder.exact.deterministic import differing
from ppl_parity.ladder.exact.hidden import hidden
from ppl_parity.ladder.exact.hopeless import leave_out
from ppl_parity.ladder.exact.log_probs import (
    Noise,
    SiteLogProbs,
    compare_joint,
    compare_site,
    limit_of,
    names_of,
    ordinary_points,
    resolution_of,
    sums_of,
)
from ppl_parity.ladder.exact.moved import moved
from ppl_parity.ladder.exact.precision import NARROW, drift, narrow_sites, told_of_sharp, too_sharp
from ppl_parity.ladder.exact.remarks import (
    constant_apart,
    constant_sites,
    no_number,
    row_by_row,
    spread_differently,
)
from ppl_parity.ladder.exact.shared_sites import shared_sites
from ppl_parity.ladder.exact.transposes import transposed
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.tolerances import agree, allowed

NAME = "density"

MANY_ROWS, FEW = 200, 1000.0  # of so many rows 99 % say what rounding does; a thousand times that is none


def run(context: Context) -> Iterator[Finding]:
    """Compare at every shared point: first the joint density, then the sites that make it up."""
    change = change_of_variables(context)
    if change is not None:
        clause = change.told().replace("both sides", "Both sides", 1)
        yield Finding(
            "same",
            "change of variables",
            f"{clause}: the densities were compared at {len(change.context.points)} points, with the log "
            "Jacobian taken off; gradients and potentials are held to each side's own density, and no trajectory is "
            "walked."
            + (
                f" Not at {listed(change.lost)}, for which no draws of {change.computed} were found."
                if change.lost
                else ""
            ),
            notable=True,
        )
        yield from _at_points(change.context)
        if (unsteady := change.context.results.get("unsteady")) is not None:
            context.results["unsteady"] = unsteady
        return
    if context.reparameterised:
        why = no_change(context)
        if why is not None and why.site is not None:
            yield Finding("different", "log prob", f"{why.reason}.", site=why.site, hint=why.hint)
            return
        yield from _shared(context)
        told = "" if why is None else f" ({why.reason})"
        yield Finding(
            "unresolved",
            "log joint",
            f"The latent sites differ, so no shared point has a density in both{told}; the sampling rungs decide.",
            hint=None if why is None else why.hint,
            deferred=True,
        )
        return
    if context.enumerated_on_one_side:
        yield _left_to_enumeration(context)
        yield from moved(context, {})
        yield from differing(context)
        return
    yield from _at_points(context)


def _at_points(context: Context) -> Iterator[Finding]:
    unsteady = list(_unsteady(context))
    yield from unsteady
    if unsteady:
        context.results["unsteady"] = unsteady[0]
        return
    points = list(context.points)
    values: SiteLogProbs = context.both(
        lambda side, program: [
            context.pair.from_side(side, program.site_log_probs(context.values(side, point, discrete=True)))
            for point in points
        ]
    )
    level_clamps(context, values)
    level_deltas(context, points, values)
    yield from leave_out(context, {side: sums_of(values, side, None) for side in SIDES})
    values = _kept(context, points, values)
    joint = compare_joint(context, values)
    sites = names_of(values)
    comparisons = {name: compare_site(context, values, name) for name in sites}
    noise: Noise = {}
    if joint.relation == "different":
        noise = lost_digits(context, values, joint, sum(limit_of(context, name) for name in sites))
        joint = compare_joint(context, values, noise)
        comparisons = {name: compare_site(context, values, name, noise=noise) for name in sites}
    if joint.relation == "different":
        drifting = _drifting(context, values, comparisons)
        if not drifting and (blunt := _where_float32_can_tell(context, values)):
            values, drifting, told = blunt
            noise = {}
            yield told
        if not drifting:
            also = differing(context)
            comparisons = not_by_rounding(context, values, comparisons)
            yield from blamed(context, values, comparisons, also)
            yield from also
            # A difference that is known, or found first, is no reason to be silent on others.
            yield from row_by_row(context, values, comparisons)
            yield from constant_sites(context, values, comparisons)
            return
        context.precision = NARROW
        yield from drift(context, drifting)
        joint = compare_joint(context, values)
        comparisons = {name: compare_site(context, values, name) for name in sites}
    if joint.relation == "unusable":
        yield no_number(context, values)
        return
    kept, concealed = hidden(
        context, values, {n: limit_of(context, n) for n in sites}, ordinary_points(context), noise
    )
    if concealed:
        yield from blamed(context, kept, concealed, [])
        return
    if joint.relation == "constant":
        context.results["offset"] = joint.offset
        yield constant_apart(context, values, joint, comparisons)
    yield from told_of_clamps(context)
    yield from told_of_digits(context, values, noise)
    precise = {name: found for name, found in comparisons.items() if not np.any(noise.get(name, 0.0))}
    yield from row_by_row(context, values, precise)
    yield from spread_differently(context, comparisons)
    offsets = {n: c.offset for n, c in [(None, joint), *comparisons.items()] if c.relation == "constant"}
    yield from moved(context, offsets)
    yield from transposed(context, offsets)
    yield from differing(context)
    yield Finding(
        "same",
        "log joint",
        f"{len(sites)} sites agree at {len(context.points)} points.",
        size=joint.size,
        resolution=resolution_of(values),
        numbers={
            "sites": {n: comparisons[n].size for n in sites},
            "points": len(context.points),
            "magnitude": joint.magnitude,
        },
    )


def _shared(context: Context) -> Iterator[Finding]:
    """Where the latent sites differ, the sites of both that hang on none of one side's own."""
    found = shared_sites(context)
    if found is None:
        return
    for apart in found.apart:
        yield Finding(
            "different",
            "log prob",
            f"The log prob of {apart.name!r}, which hangs on no latent site of one side's own, is {apart.pyro:.10g} in "
            f"pyro and {apart.numpyro:.10g} in numpyro at {apart.point}.",
            site=apart.name,
            size=apart.size if math.isfinite(apart.size) else None,
            point=apart.point,
            hint=apart.hint,
        )
    if not found.apart:
        yield Finding(
            "same",
            "log prob",
            f"What hangs on no latent site of one side's own agrees at {found.num_points} points, exactly: "
            f"{listed(found.names)}.",
            site=next(iter(found.names)),
            notable=True,
        )


def _kept(context: Context, before: Sequence[Point], values: SiteLogProbs) -> SiteLogProbs:
    """The rows of those points that are still shared."""
    still = {id(point) for point in context.points}
    rows = [id(point) in still for point in before]
    return {
        side: [row for row, keep in zip(found, rows, strict=True) if keep] for side, found in values.items()
    }


def _left_to_enumeration(context: Context) -> Finding:
    """A site that only one side sums over has no value at a shared point, so no log prob can be asked for there."""
    names = listed(context.enumerated_on_one_side)
    told = f"Only one side has {names}, and sums over it, so no log prob was compared here"
    if context.rungs and "enumeration" not in context.rungs:
        return Finding(
            "unresolved",
            "log joint",
            f"{told}, and the enumeration rung, which compares the sums, was not asked for.",
            hint="add enumeration to the rungs (--rungs)",
        )
    return Finding(
        "same",
        "log joint",
        f"{told}; the enumeration rung compares the sums.",
        notable=True,
        numbers={"summary": "left to the enumeration rung"},
    )


def _drifting(
    context: Context, values: SiteLogProbs, comparisons: dict[str, Comparison]
) -> dict[str, tuple[float, float]]:
    """site -> drift and size of the log prob there, if float32 at these sites is all that differs; else nothing."""
    apart = [name for name, comparison in comparisons.items() if comparison.relation != "equal"]
    found = {}
    for name in apart:
        narrow = compare_site(context, values, name, NARROW)
        if narrow.relation != "equal" or _stands_out(context, values, name):
            return {}
        found[name] = (narrow.size, abs(sums_of(values, "pyro", name)[narrow.worst]))
    # Asked last: to see what was cast on its way both models run at many points.
    return found if set(apart) <= set(narrow_sites(context)) else {}


def _where_float32_can_tell(
    context: Context, values: SiteLogProbs
) -> tuple[SiteLogProbs, dict[str, tuple[float, float]], Finding] | None:
    """What ``_drifting`` finds without the points where no digit of float32 is left; None if that is nothing."""
    a, b = (np.asarray(sums_of(values, side, None)) for side in SIDES)
    limit = allowed("log density", a, b, NARROW) + sum(limit_of(context, name) for name in names_of(values))
    with np.errstate(invalid="ignore"):
        blunt = ~(np.abs(a - b) <= limit) & (np.isfinite(a) | np.isfinite(b))
    if 2 * np.count_nonzero(blunt) > len(blunt):
        return None
    narrow = narrow_sites(context)
    if not narrow:
        return None
    before = list(context.points)
    points = too_sharp(context, values)
    sharp = {id(point) for point in points}
    if not sharp or 2 * len(sharp) > len(before):
        return None
    context.points = [point for point in before if id(point) not in sharp]
    values = _kept(context, before, values)
    drifting = _drifting(
        context, values, {name: compare_site(context, values, name) for name in names_of(values)}
    )
    if not drifting:
        context.points = before
        return None
    return values, drifting, told_of_sharp(points, next(iter(narrow)))


def _stands_out(context: Context, values: SiteLogProbs, name: str) -> bool:
    """Whether a few rows differ by what no rounding does to the others: within that of a sum they would not show."""
    for ordinary, *rows in zip(ordinary_points(context), *(values[side] for side in SIDES), strict=True):
        a, b = (np.asarray(row.get(name, 0.0), dtype=float) for row in rows)
        if not ordinary or a.shape != b.shape or a.size < MANY_ROWS:
            continue
        with np.errstate(invalid="ignore"):
            gap = np.nan_to_num(np.abs(a - b))
        beyond = gap > np.maximum(allowed("log prob", a, b, NARROW), FEW * np.quantile(gap, 0.99))
        if np.any(beyond):
            return True
    return False


def _unsteady(context: Context) -> Iterator[Finding]:
    """A side that answers the same question differently cannot be compared with anything."""
    points = context.points[:3]
    twice = context.both(
        lambda side, program: [
            [program.site_log_probs(context.values(side, point, discrete=True)) for _ in range(2)]
            for point in points
        ]
    )
    for side in SIDES:
        for point, (first, second) in zip(points, twice[side], strict=True):
            for name in first:
                a, b = (np.nan_to_num(v[name], nan=0.0) for v in (first, second))
                if not agree("self", a, b):
                    yield Finding(
                        "unresolved",
                        "self-consistency",
                        f"The {side} model is not deterministic: the log prob of {name!r} changed from "
                        f"{np.sum(a):.6g} to {np.sum(b):.6g} between two calls at {point.name}.",
                        site=name,
                        hint="a random number drawn outside a sample statement, or state kept between calls",
                    )
                    return
