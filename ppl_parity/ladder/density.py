"""Rung 2: is the log probability the same, site by site and jointly, up to a constant?

And what the models compute of the same values, at their deterministic sites.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ppl_parity.contract import Arrays
from ppl_parity.findings import Finding
from ppl_parity.ladder.clamps import level_clamps, told_of_clamps
from ppl_parity.ladder.comparison import Comparison, compare, name_of_constant
from ppl_parity.ladder.context import SIDES, Context, Point
from ppl_parity.ladder.deterministic import differing
from ppl_parity.ladder.extent import extent
from ppl_parity.ladder.hidden import hidden
from ppl_parity.ladder.hints import explain_site
from ppl_parity.ladder.hopeless import leave_out
from ppl_parity.ladder.precision import NARROW, drift, narrow_sites
from ppl_parity.listing import listed
from ppl_parity.tolerances import agree, allowed, known_limit, library_limit

NAME = "density"

ROUNDING = (
    1e-12  # of a sum of log probs: what is no more than this is not the library's limit that is told of
)

MANY_ROWS, FEW = 200, 1000.0  # of so many rows 99 % say what rounding does; a thousand times that is none

SiteLogProbs = dict[str, list[Arrays]]


def run(context: Context) -> Iterator[Finding]:
    """Compare at every shared point: first the joint density, then the sites that make it up."""
    if context.reparameterised:
        yield Finding(
            "unresolved",
            "log joint",
            "The latent sites differ, so no shared point has a density in both; the sampling rungs decide.",
            deferred=True,
        )
        return
    if context.enumerated_on_one_side:
        yield _left_to_enumeration(context)
        yield from differing(context)
        return
    unsteady = list(_unsteady(context))
    yield from unsteady
    if unsteady:
        return
    points = list(context.points)
    values: SiteLogProbs = context.both(
        lambda side, program: [
            context.pair.from_side(side, program.site_log_probs(context.values(side, point, discrete=True)))
            for point in points
        ]
    )
    level_clamps(context, values)
    yield from leave_out(context, {side: _sums(values, side, None) for side in SIDES})
    values = _kept(context, points, values)
    joint = _compare_joint(context, values)
    sites = _names(values)
    comparisons = {name: _compare_site(context, values, name) for name in sites}
    if joint.relation == "different":
        drifting = _drifting(context, values, comparisons)
        if not drifting:
            also = differing(context)
            yield from _blame(context, values, comparisons, also)
            yield from also
            return
        context.precision = NARROW
        yield from drift(context, drifting)
        joint = _compare_joint(context, values)
        comparisons = {name: _compare_site(context, values, name) for name in sites}
    if joint.relation == "unusable":
        yield _no_number(context, values)
        return
    kept, concealed = hidden(context, values, {n: _limit(context, n) for n in sites}, _ordinary(context))
    if concealed:
        yield from _blame(context, kept, concealed, [])
        return
    if joint.relation == "constant":
        yield _constant(context, values, joint, comparisons)
    yield from told_of_clamps(context)
    yield from _row_by_row(context, values, comparisons)
    yield from _spread(context, comparisons)
    yield from differing(context)
    yield Finding(
        "same",
        "log joint",
        f"{len(sites)} sites agree at {len(context.points)} points.",
        size=joint.size,
        resolution=_resolution(values),
        numbers={
            "sites": {n: comparisons[n].size for n in sites},
            "points": len(context.points),
            "magnitude": joint.magnitude,
        },
    )


def _constant(
    context: Context, values: SiteLogProbs, joint: Comparison, comparisons: dict[str, Comparison]
) -> Finding:
    """The same posterior. Of one family on both sides a constant is a parameter that hangs on no latent site."""
    moved = [name for name, comparison in comparisons.items() if comparison.relation == "constant"]
    where = f", at {', '.join(map(repr, moved))}" if moved else ""
    told = f"differ by the constant {name_of_constant(joint.offset, len(context.points))}{where}"
    hint, draws = "a density that one side does not normalise", ""
    both = [context.sites[side].get(moved[0]) for side in SIDES] if len(moved) == 1 else []
    if both and all(site is not None and site.kind == "observed" for site in both):
        families = {site.family for site in both if site is not None}
        cause = explain_site(context, moved[0], values, comparisons[moved[0]]) if len(families) == 1 else None
        if cause:
            hint, draws = cause, f", and draws of {moved[0]!r} are not: {cause}"
    return Finding(
        "same",
        "log joint",
        f"The log densities {told}; the posterior is the same{draws}.",
        site=moved[0] if len(moved) == 1 else None,
        size=abs(joint.offset),
        notable=True,
        hint=hint,
    )


def _kept(context: Context, before: Sequence[Point], values: SiteLogProbs) -> SiteLogProbs:
    """The rows of those points that are still shared."""
    still = {id(point) for point in context.points}
    rows = [id(point) in still for point in before]
    return {
        side: [row for row, keep in zip(found, rows, strict=True) if keep] for side, found in values.items()
    }


def _no_number(context: Context, values: SiteLogProbs) -> Finding:
    """Neither side has a density anywhere: which site has none, and in which row."""
    told = "The log density is finite at no shared point on either side"
    for name in _names(values):
        rows = [np.asarray(row[name]) for side in SIDES for row in values[side] if name in row]
        if not all(row.shape == rows[0].shape for row in rows):
            continue
        never = np.all([~np.isfinite(row) for row in rows], axis=0)
        if np.any(never):
            index = tuple(int(i) for i in np.argwhere(never)[0])
            value = context.sites["pyro"][name].value if name in context.sites["pyro"] else None
            missing = value is not None and value.dtype.kind == "f" and bool(np.any(np.isnan(value)))
            count = f", in {np.count_nonzero(never)} of {never.size} rows" if never.ndim else ""
            return Finding(
                "unresolved",
                "log joint",
                f"{told}: {name!r} has none{count}.",
                site=name,
                index=index or None,
                hint="NaN in the data: leave these rows out, mask them, or give what is missing a site"
                if missing
                else None,
            )
    return Finding("unresolved", "log joint", f"{told}.")


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
    if not set(apart) <= set(narrow_sites(context)):
        return {}
    found = {}
    for name in apart:
        narrow = _compare_site(context, values, name, NARROW)
        if narrow.relation != "equal" or _stands_out(context, values, name):
            return {}
        found[name] = (narrow.size, abs(_sums(values, "pyro", name)[narrow.worst]))
    return found


def _stands_out(context: Context, values: SiteLogProbs, name: str) -> bool:
    """Whether a few rows differ by what no rounding does to the others: within that of a sum they would not show."""
    for ordinary, *rows in zip(_ordinary(context), *(values[side] for side in SIDES), strict=True):
        a, b = (np.asarray(row.get(name, 0.0), dtype=float) for row in rows)
        if not ordinary or a.shape != b.shape or a.size < MANY_ROWS:
            continue
        with np.errstate(invalid="ignore"):
            gap = np.nan_to_num(np.abs(a - b))
        beyond = gap > np.maximum(allowed("log prob", a, b, NARROW), FEW * np.quantile(gap, 0.99))
        if np.any(beyond):
            return True
    return False


def _row_by_row(
    context: Context, values: SiteLogProbs, comparisons: dict[str, Comparison]
) -> Iterator[Finding]:
    """Sums that agree of rows that do not: the posterior is the same, and draws of the data need not be."""
    if context.precision == NARROW:
        return
    for name, comparison in comparisons.items():
        both = [context.sites[side].get(name) for side in SIDES]
        if comparison.relation != "equal" or any(site is None or site.kind != "observed" for site in both):
            continue
        limit = max((known_limit(site) or (0.0, ""))[0] for site in both if site is not None)
        for point, ordinary, *rows in zip(
            context.points, _ordinary(context), *(values[side] for side in SIDES), strict=True
        ):
            a, b = (np.asarray(row[name], dtype=float) for row in rows)
            if not ordinary or a.shape != b.shape or a.size < 2:
                continue
            with np.errstate(invalid="ignore"):
                gap = np.nan_to_num(np.abs(a - b))
            if np.any(gap > allowed("log prob", a, b) + limit):
                index = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape))
                where = f"{name}[{', '.join(map(str, index))}]"
                yield Finding(
                    "same",
                    "log prob by row",
                    f"The log probs of {name!r} agree in their sum and not row by row: that of {where} is "
                    f"{a[index]:.6g} in pyro and {b[index]:.6g} in numpyro at {point.name}. Of these data the "
                    "posterior is the same; of others it need not be.",
                    site=name,
                    index=index,
                    notable=True,
                    hint="an index that takes another row, or rows in another order",
                )
                break


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


def _names(values: SiteLogProbs) -> list[str]:
    first, second = (values[side][0] for side in SIDES)
    return list(first) + [name for name in second if name not in first]


def _sums(values: SiteLogProbs, side: str, name: str | None) -> list[float]:
    rows = values[side]
    if name is None:
        return [float(sum(np.sum(v) for v in row.values())) for row in rows]
    return [float(np.sum(row[name])) if name in row else 0.0 for row in rows]


def _limit(context: Context, name: str) -> float:
    return max(library_limit(context.sites[side].get(name)) for side in SIDES)


def _compare_joint(context: Context, values: SiteLogProbs) -> Comparison:
    extra = sum(_limit(context, name) for name in _names(values))
    sums = [_sums(values, side, None) for side in SIDES]
    return compare("log density", *sums, extra=extra, precision=context.precision)


def _ordinary(context: Context) -> list[bool]:
    return [not point.name.startswith(("edge", "tail")) for point in context.points]


def _compare_site(
    context: Context, values: SiteLogProbs, name: str, precision: str | None = None
) -> Comparison:
    sums = [_sums(values, side, name) for side in SIDES]
    return compare(
        "log density",
        *sums,
        extra=_limit(context, name),
        preferred=_ordinary(context),
        precision=precision or context.precision,
    )


def _blame(
    context: Context, values: SiteLogProbs, comparisons: dict[str, Comparison], also: list[Finding]
) -> Iterator[Finding]:
    """One finding for each site whose log prob moves differently; the first one first.

    ``also`` are the findings of deterministic sites.
    """
    blamed = [name for name, comparison in comparisons.items() if comparison.relation == "different"]
    computed = ", ".join(repr(finding.site) for finding in also if finding.verdict == "different")
    for name in blamed:
        comparison = comparisons[name]
        point = context.points[comparison.worst]
        index, rows = _worst_element(values, name, comparison.worst)
        a, b = (_sums(values, side, name)[comparison.worst] for side in SIDES)
        present = [side for side in SIDES if name in values[side][0]]
        if len(present) == 1:
            other = SIDES[1 - SIDES.index(present[0])]
            kind = context.sites[present[0]][name].kind
            detail = (
                f"The {kind} site {name!r} is missing from {other}: "
                f"it contributes {a + b:.6g} at {point.name}."
            )
            hint = "a likelihood or factor that the port lost"
        else:
            detail = f"The log prob of {name!r} is {a:.10g} in pyro and {b:.10g} in numpyro at {point.name}"
            detail += _extent(context, values, name, comparison.worst)
            detail += _member(context, name, index)
            hint = explain_site(context, name, values, comparison)
            if computed:
                too = f"what the model computes at {computed} differs too"
                hint = f"{hint}; {too}" if hint else too
        yield Finding(
            "different",
            "log prob",
            detail,
            site=name,
            size=comparison.size if math.isfinite(comparison.size) else None,
            point=point.name,
            index=index,
            hint=hint,
            numbers={"points": len(context.points)}
            | ({} if rows is None else {"plot": "rows", "difference": rows}),
        )
    if not blamed:
        yield Finding(
            "different",
            "log joint",
            "The log joint densities differ, though each site agrees up to a constant of its own.",
        )


def _member(context: Context, name: str, index: tuple[int, ...] | None) -> str:
    """The loop's own name of the step that is shown, where a loop is held to one site."""
    for side, found in context.stacks.items():
        for stack in found:
            (presented,) = context.pair.from_side(side, {stack.name: None})
            member = stack.member(index) if index and presented == name else None
            if member is not None:
                return f" The step shown is {member!r} in {side}."
    return ""


def _extent(context: Context, values: SiteLogProbs, name: str, worst: int) -> str:
    """The end of the sentence: which elements differ at the point that is shown, or at an ordinary one."""
    limit = max((known_limit(context.sites[side][name]) or (0.0, ""))[0] for side in SIDES)
    found = None
    for i, (ordinary, *rows) in enumerate(
        zip(_ordinary(context), *(values[side] for side in SIDES), strict=True)
    ):
        a, b = (np.asarray(row[name], dtype=float) for row in rows)
        if a.shape != b.shape:
            return "."
        if ordinary or i == worst:
            with np.errstate(invalid="ignore"):
                near = (np.abs(a - b) <= allowed("log prob", a, b) + limit) | (a == b)
            apart = ~near & ~(np.isnan(a) & np.isnan(b))
            found = apart if found is None else found | apart
    told = "" if found is None else extent(found)
    return f"; it differs {told}." if told else "."


def _worst_element(
    values: SiteLogProbs, name: str, point: int
) -> tuple[tuple[int, ...] | None, np.ndarray | None]:
    rows = [values[side][point].get(name) for side in SIDES]
    if rows[0] is None or rows[1] is None or rows[0].shape != rows[1].shape or rows[0].ndim == 0:
        return None, None
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(rows[1] - rows[0], nan=0.0, posinf=1e300, neginf=-1e300)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(gap))), gap.shape))
    return index, gap


def _spread(context: Context, comparisons: dict[str, Comparison]) -> Iterator[Finding]:
    """Sites that differ while the joint agrees: the same density, written otherwise."""
    moved = [name for name, comparison in comparisons.items() if comparison.relation == "different"]
    if moved:
        yield Finding(
            "same",
            "log prob",
            f"The joint density agrees, spread differently over {', '.join(map(repr, moved))}.",
            site=moved[0],
            notable=True,
        )
    for name in comparisons:
        of_sides = [context.sites[side][name] for side in SIDES if name in context.sites[side]]
        told = max((limit for site in of_sides if (limit := known_limit(site))), default=None)
        beyond = 1e-9 + ROUNDING * comparisons[name].magnitude
        if told is not None and comparisons[name].size > beyond:
            yield Finding(
                "same",
                "log prob",
                f"{name!r} agrees to {comparisons[name].size:.1e}: {told[1]}.",
                site=name,
                size=comparisons[name].size,
                notable=True,
            )


def _resolution(values: SiteLogProbs) -> float:
    largest = max(abs(v) for v in _sums(values, "pyro", None) if math.isfinite(v))
    return 1e-8 + 1e-10 * largest
