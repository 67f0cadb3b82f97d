"""Which sites two densities part at: one finding a site, with the row, the size and the probable cause."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.comparison import Comparison, compare
from ppl_parity.ladder.exact.extent import extent
from ppl_parity.ladder.exact.hints import explain_site
from ppl_parity.ladder.exact.log_probs import (
    NO_NUMBER,
    SiteLogProbs,
    compare_site,
    limit_of,
    ordinary_points,
    sums_of,
    worst_element,
)
from ppl_parity.ladder.exact.precision import NARROW, narrow_sites
from ppl_parity.listing import listed
from ppl_parity.pair.decentred import DECENTRED
from ppl_parity.pair.pairs import SIDES
from ppl_parity.tolerances import allowed, known_limit


def _drifts(context: Context, values: SiteLogProbs, name: str) -> bool:
    """Whether a site differs by no more than the float32 in which a side stores it."""
    narrow = compare_site(context, values, name, NARROW)
    return narrow.relation != "different" and name in narrow_sites(context)


def blamed(
    context: Context, values: SiteLogProbs, comparisons: dict[str, Comparison], also: list[Finding]
) -> Iterator[Finding]:
    """One finding for each site whose log prob moves differently; the first one first.

    ``also`` are the findings of deterministic sites.
    """
    blamed = [name for name, comparison in comparisons.items() if comparison.relation == "different"]
    drifting = [name for name in blamed if _drifts(context, values, name)]
    if len(drifting) < len(blamed):
        blamed = [name for name in blamed if name not in drifting]
    alone = {side: [n for n in blamed if n not in values[SIDES[1 - i]][0]] for i, side in enumerate(SIDES)}
    if all(alone.values()):
        together = list(_in_place_of(context, values, alone))
        yield from together
        blamed = [name for name in blamed if name not in [*alone["pyro"], *alone["numpyro"]]]
        if together and not blamed:
            return
    computed = ", ".join(repr(finding.site) for finding in also if finding.verdict == "different")
    for name in blamed:
        comparison = comparisons[name]
        point = context.points[comparison.worst]
        index, rows = worst_element(values, name, comparison.worst)
        a, b = (sums_of(values, side, name)[comparison.worst] for side in SIDES)
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
            detail = _with_the_worst(detail, index, rows)
            detail += _member(context, name, index)
            hint = explain_site(context, name, values, comparison)
            hint = hint or context.results.get("stands for", {}).get(name)
            if name.endswith(DECENTRED):
                hint = (
                    f"{name!r} is LocScaleReparam's, and another quantity on each side where 'centered' is another: "
                    f"give both the same, or leave it out on one side, and {name.removesuffix(DECENTRED)!r} is "
                    "compared exactly"
                )
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


def _in_place_of(context: Context, values: SiteLogProbs, alone: dict[str, list[str]]) -> Iterator[Finding]:
    """Sites of one side that stand where others of the other side do: their sums are what can be compared."""
    sums = [[float(sum(np.sum(row[name]) for name in alone[side])) for row in values[side]] for side in SIDES]
    extra = sum(limit_of(context, name) for names in alone.values() for name in names)
    found = compare(
        "log density", *sums, extra=extra, preferred=ordinary_points(context), precision=context.precision
    )
    if found.relation != "different":
        return
    a, b = (each[found.worst] for each in sums)
    every = [*alone["pyro"], *alone["numpyro"]]
    declared = (name for name in every if f"density/{name}" in context.pair.known_differences)
    many = "together " if max(map(len, alone.values())) > 1 else ""
    yield Finding(
        "different",
        "log prob",
        f"{listed(alone['pyro'])}, in pyro alone, and {listed(alone['numpyro'])}, in numpyro alone, may stand for each "
        f"other: {many}{a:.10g} in pyro and {b:.10g} in numpyro at {context.points[found.worst].name}.",
        site=next(declared, every[0]),
        size=found.size if math.isfinite(found.size) else None,
        point=context.points[found.worst].name,
        hint="what one side observes the other may have as a factor, or under another name: look at both",
        numbers={"points": len(context.points)},
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


def _with_the_worst(detail: str, index: tuple[int, ...] | None, rows: np.ndarray | None) -> str:
    """The sentence, whose numbers are sums over the site, with the element that is furthest apart."""
    if not index or rows is None or np.count_nonzero(rows) < 2:
        return detail
    where = f"row {index[0]}" if len(index) == 1 else f"[{', '.join(map(str, index))}]"
    if abs(rows[index]) == NO_NUMBER:
        return f"{detail.removesuffix('.')}, the most in {where}, where one of them is infinite."
    gap = f"{abs(float(rows[index])):.3g}".replace("e+0", "e").replace("e+", "e")
    return f"{detail.removesuffix('.')}, the most in {where}, by {gap}."


def _extent(context: Context, values: SiteLogProbs, name: str, worst: int) -> str:
    """The end of the sentence: which elements differ at the point that is shown, or at an ordinary one."""
    limit = max((known_limit(context.sites[side][name]) or (0.0, ""))[0] for side in SIDES)
    found = None
    for i, (ordinary, *rows) in enumerate(
        zip(ordinary_points(context), *(values[side] for side in SIDES), strict=True)
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
