"""What is worth knowing of log probs whose joint density is the same, or is no number on either side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.comparison import Comparison, compare, name_of_constant
from ppl_parity.ladder.exact.extent import extent
from ppl_parity.ladder.exact.hints import explain_site
from ppl_parity.ladder.exact.log_probs import SiteLogProbs, names_of, ordinary_points, sums_of
from ppl_parity.ladder.exact.precision import NARROW
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.tolerances import allowed, known_limit

OFTEN = 10.0  # times a library's limit for each row: these are what was measured, and no bounds
ROUNDING = (
    1e-12  # of a sum of log probs: what is no more than this is not the library's limit that is told of
)


def constant_apart(
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


def no_number(context: Context, values: SiteLogProbs) -> Finding:
    """Neither side has a density anywhere: which site has none, and in which row."""
    told = "The log density is finite at no shared point on either side"
    for name in names_of(values):
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


def row_by_row(
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
            context.points, ordinary_points(context), *(values[side] for side in SIDES), strict=True
        ):
            a, b = (np.asarray(row[name], dtype=float) for row in rows)
            if not ordinary or a.shape != b.shape or a.size < 2:
                continue
            if not (np.isfinite(np.sum(a)) and np.isfinite(np.sum(b))):  # an overflow, or a density of zero
                continue
            gap = np.abs(a - b)
            apart = gap > allowed("log prob", a, b) + limit
            if np.any(apart):
                if _beyond_limits(context, values, name, apart, limit):
                    yield _in_rows(context, name, apart, a, b, point)
                    break
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


def _beyond_limits(context: Context, values: SiteLogProbs, name: str, rows: np.ndarray, limit: float) -> bool:
    """Whether the sum of these rows alone moves otherwise: over half a million a library's own limit is a nat."""
    sums = [[float(np.sum(np.asarray(row[name])[rows])) for row in values[side]] for side in SIDES]
    whole = [np.isfinite(sums_of(values, side, name)) for side in SIDES]
    kept = np.flatnonzero(ordinary_points(context) & whole[0] & whole[1])
    a, b = ([each[i] for i in kept] for each in sums)
    extra = OFTEN * limit * np.count_nonzero(rows)
    return compare("log density", a, b, extra=extra).relation == "different"


def _in_rows(
    context: Context, name: str, rows: np.ndarray, a: np.ndarray, b: np.ndarray, point: Point
) -> Finding:
    index = tuple(
        int(i) for i in np.unravel_index(int(np.argmax(np.where(rows, np.abs(a - b), 0.0))), a.shape)
    )
    where = f"{name}[{', '.join(map(str, index))}]"
    return Finding(
        "different",
        "log prob by row",
        f"The log prob of {where} is {a[index]:.10g} in pyro and {b[index]:.10g} in numpyro at {point.name}; that of "
        f"all {a.size:,} rows agrees within what the libraries' own limits may add up to over so many. It differs "
        f"{extent(rows)}.",
        site=name,
        size=float(np.abs(a[index] - b[index])),
        point=point.name,
        index=index,
    )


def constant_sites(
    context: Context, values: SiteLogProbs, comparisons: dict[str, Comparison]
) -> Iterator[Finding]:
    """Sites that differ by a constant, beside one that differs by more: no posterior shows it."""
    for name, comparison in comparisons.items():
        if comparison.relation == "constant":
            cause = explain_site(context, name, values, comparison)
            yield Finding(
                "same",
                "log prob",
                f"The log probs of {name!r} differ by the constant "
                f"{name_of_constant(comparison.offset, len(context.points))}, which changes no posterior; draws of it "
                "may differ.",
                site=name,
                size=abs(comparison.offset),
                notable=True,
                hint=cause,
            )


def spread_differently(context: Context, comparisons: dict[str, Comparison]) -> Iterator[Finding]:
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
        if told is not None and len(of_sides) == len(SIDES) and comparisons[name].size > beyond:
            yield Finding(
                "same",
                "log prob",
                f"{name!r} agrees to {comparisons[name].size:.1e}: {told[1]}.",
                site=name,
                size=comparisons[name].size,
                notable=True,
            )
