"""Rung 3: is the density the same with discrete sites summed out, and are their conditional probabilities?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.changes.change import compared_in_full
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.comparison import Comparison, compare, name_of_constant
from ppl_parity.ladder.exact.hopeless import leave_out
from ppl_parity.ladder.exact.log_probs import ordinary_points
from ppl_parity.ladder.exact.points import impossible
from ppl_parity.ladder.exact.shared_sites import shared_sites
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.tolerances import CLAMP, allowed, library_limit

NAME = "enumeration"
NUM_PATHS = 8
MOST_OFF = 1e-3  # of a conditional probability, whatever the libraries' limits add up to


def run(context: Context) -> Iterator[Finding]:
    """Compare the enumerated log density and the exact marginals of the enumerated sites."""
    change = compared_in_full(context)
    if change is not None and change.can_be_summed:
        context = change.context
    elif context.reparameterised:
        told = "The latent sites differ."
        if change is not None:
            told = f"{change.told()}, and of a site that is summed out: with that summed out it has no density here."
        yield Finding("unresolved", "log density", told, deferred=True)
        return
    enumerated = {
        side: {name for name, site in context.sites[side].items() if site.enumerated} for side in SIDES
    }
    if not enumerated["pyro"] | enumerated["numpyro"]:
        yield Finding(
            "same", "log density", "Neither model has a site to sum out.", numbers={"nothing": True}
        )
        return
    one_sided = set(context.enumerated_on_one_side)
    if enumerated["pyro"] - one_sided != enumerated["numpyro"] - one_sided:
        yield Finding(
            "different",
            "enumeration",
            f"Pyro sums out {sorted(enumerated['pyro'])}, NumPyro {sorted(enumerated['numpyro'])}.",
            site=sorted(enumerated["pyro"] ^ enumerated["numpyro"])[0],
            hint="a site marked for enumeration on one side, or a distribution that cannot be enumerated",
        )
        return
    summed = sorted(enumerated["pyro"] | enumerated["numpyro"])
    points = list(context.points)
    values = context.both(
        lambda side, program: [
            program.log_density(context.values(side, point, discrete=False)) for point in points
        ]
    )
    yield from leave_out(context, values)
    yield from _leave_out_impossible(context, points, values, summed)
    still = {id(point) for point in context.points}
    values = {
        side: [v for v, p in zip(values[side], points, strict=True) if id(p) in still] for side in SIDES
    }
    limit = sum(library_limit(site) for side in SIDES for site in context.sites[side].values())
    found = compare(
        "log density",
        values["pyro"],
        values["numpyro"],
        extra=limit,
        preferred=ordinary_points(context),
        precision=context.precision,
    )
    if found.relation == "different":
        yield _different(context, found, values, enumerated)
        return
    if found.relation == "unusable":
        yield Finding("unresolved", "log density", "The enumerated density is finite at no shared point.")
        return
    if found.relation == "constant":
        yield Finding(
            "same",
            "log density",
            f"The enumerated densities differ by the constant {name_of_constant(found.offset, 1)}.",
            size=abs(found.offset),
            notable=True,
        )
    yield from _marginals(context, enumerated["pyro"] & enumerated["numpyro"], limit)
    told = f"Summed over {listed(summed)}, it agrees at {len(context.points)} points."
    if one_sided:
        told = f"It agrees at {len(context.points)} points: {_who(enumerated)}. No site was compared alone."
    yield Finding("same", "log density", told, size=found.size, numbers={"magnitude": found.magnitude})


def _leave_out_impossible(
    context: Context, points: list[Point], values: Mapping[str, list[float]], summed: list[str]
) -> Iterator[Finding]:
    """Take points away at which torch's clamp decides: a path that cannot be has exp(-36) there, and zero in NumPyro.

    Only where all other paths are less likely than that does it show, so not within 36 nats of the best point.
    """
    side, program = context.asked, context.programs[context.asked]
    seen: set[str] = set()
    for seed in range(NUM_PATHS):  # a state that a path does not visit shows no transition from it
        described = context.pair.from_side(side, {site.name: site for site in program.sites(seed=seed)})
        seen |= {name for name in summed if impossible(described.get(name))}
    names = [name for name in summed if name in seen]
    if not names:
        return
    context.results["impossible"] = names
    best = max((v for side in SIDES for v in values[side] if np.isfinite(v)), default=0.0)
    low = [
        point
        for point, *both in zip(points, *(values[side] for side in SIDES), strict=True)
        if max(both) < best + CLAMP and any(point is kept for kept in context.points)
    ]
    if low and len(low) < len(context.points):
        context.points = [point for point in context.points if all(point is not other for other in low)]
        yield Finding(
            "same",
            "log density",
            f"Not compared at {listed(point.name for point in low)}: {listed(names)} can take a value of probability "
            "zero, which torch takes for 2e-16, and all else is less likely than that there.",
            site=names[0],
            point=low[0].name,
            notable=True,
            numbers={"points": len(context.points)},
        )


def _who(enumerated: Mapping[str, set[str]]) -> str:
    sums = {side: listed(sorted(names)) or "nothing" for side, names in enumerated.items()}
    return f"pyro sums over {sums['pyro']}, numpyro over {sums['numpyro']}"


def _different(
    context: Context, found: Comparison, values: Mapping[str, list[float]], enumerated: Mapping[str, set[str]]
) -> Finding:
    """What is blamed depends on what the density rung has seen: of sites on one side only it saw nothing."""
    a, b = (values[side][found.worst] for side in SIDES)
    point = context.points[found.worst].name
    told = f"the log density is {a:.10g} in pyro and {b:.10g} in numpyro at {point}"
    if context.enumerated_on_one_side:
        site, detail = None, f"T{told[1:]}: {_who(enumerated)}. No site was compared alone."
        hint = (
            "any site may differ, or the sum on one side is not the distribution that the other writes for it"
        )
        shared = shared_sites(context, to_blame=True)
        if shared is not None and shared.apart:
            apart = shared.apart[0]
            site, hint = apart.name, apart.hint
            detail = detail.replace(
                " No site was compared alone.",
                f" Of the sites that hang on none of these, {apart.name!r} differs: its log prob is {apart.pyro:.10g} "
                f"in pyro and {apart.numpyro:.10g} in numpyro at {apart.point}.",
            )
        elif shared is not None:
            # What is left hangs on what is summed out: of one site that is where, of several it is among them.
            left = _not_among(context, [*shared.names, *enumerated["pyro"], *enumerated["numpyro"]])
            site = left[0] if len(left) == 1 else None
            detail = detail.replace(
                " No site was compared alone.",
                f" The log probs of {listed(shared.names)} agree{f', which leaves {listed(left)}' if left else ''}.",
            )
            hint = (
                f"{listed(left) or 'any site'} {'differ' if len(left) > 1 else 'differs'} by what is summed out, its "
                "probabilities or what hangs on them; or the sum on one side is not the distribution that the other "
                "writes for it"
            )
    else:
        summed = sorted(enumerated["pyro"])
        agrees = context.results.get("verdicts", {}).get("density") == "same"
        given = (
            "though it agrees with them given" if agrees else "and it was not found to agree with them given"
        )
        site, detail = summed[0], f"With {listed(summed)} summed out, {told}, {given}."
        hint = "a mask on an enumerated site, a wrong axis in the sum, or a max_plate_nesting too small"
        if names := context.results.get("impossible"):
            hint = (
                f"{listed(names)} can take a value of probability zero, which torch takes for 2e-16: what cannot be "
                "has a density in pyro. Or " + hint
            )
    return Finding("different", "log density", detail, site=site, size=found.size, point=point, hint=hint)


def _not_among(context: Context, names: Collection[str]) -> list[str]:
    """The sites with a log prob that both sides have, without these."""
    there = [context.sites[side] for side in SIDES]
    return [
        name
        for name, site in there[0].items()
        if name in there[1] and name not in names and site.kind in ("latent", "observed", "factor")
    ]


def _without_number(name: str, point: str, alone: np.ndarray, side: str) -> Finding:
    """The probabilities are derivatives of the log density: one side's has none there."""
    index = tuple(int(i) for i in np.argwhere(alone)[0])
    return Finding(
        "different",
        "marginal",
        f"p({name} | rest) is no number in {side} at {point}, though the log density is one in both, and so is its "
        f"derivative in the other.",
        site=name,
        point=point,
        index=index,
        hint="a probability of exactly zero, whose logarithm has no derivative: write a small one in its place, or "
        "leave out what cannot be",
    )


def _has_slope(context: Context, side: str, point: Point) -> bool:
    """Whether a side's sampler has a gradient there, whatever a derivative in the probabilities is."""
    try:
        program = context.programs[side]
        u = program.unconstrain(context.values(side, point, discrete=False))
        value, slope = program.potential_and_gradient(u)
    except InputError:
        return False
    return bool(np.isfinite(value) and all(np.all(np.isfinite(each)) for each in slope.values()))


def _not_derived(name: str, point: str, side: str) -> Finding:
    return Finding(
        "same",
        "marginal",
        f"The conditional probabilities of {name!r} were not compared: at {point} they are no numbers in {side}, whose "
        "gradient for the other sites is one.",
        site=name,
        notable=True,
        hint="a probability of exactly zero",
    )


def _marginals(context: Context, names: set[str], limit: float) -> Iterator[Finding]:
    """The conditional probabilities of the sites that both sides sum over.

    Args:
        limit: how far the libraries' own limits may move a log density, and so a probability at the most.
    """
    if not names:
        return
    largest = 0.0
    points = list(context.points)
    try:
        marginals = context.both(
            lambda side, program: [
                context.pair.from_side(
                    side, program.discrete_marginals(context.values(side, point, discrete=False))
                )
                for point in points
            ]
        )
    except InputError as error:  # the densities decide; this names what a sum over the wrong axis would hide
        yield Finding(
            "same",
            "marginal",
            f"The conditional probabilities of {listed(sorted(names))} were not compared: {error}",
            notable=True,
        )
        return
    for i, point in enumerate(points):
        both = {side: marginals[side][i] for side in SIDES}
        for name in sorted(names):
            a, b = (both[side][name] for side in SIDES)
            if a.shape != b.shape:
                yield Finding(
                    "different",
                    "marginal",
                    f"p({name} | rest) has shape {a.shape} in pyro and {b.shape} in numpyro.",
                    site=name,
                )
                return
            gap = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b))
            if np.any(alone := np.isnan(a) ^ np.isnan(b)):
                side = "pyro" if np.isnan(a[alone][0]) else "numpyro"
                if _has_slope(context, side, point):
                    yield _not_derived(name, point.name, side)
                    names = names - {name}
                    continue
                yield _without_number(name, point.name, alone, side)
                return
            # A probability is off by less than its log odds, whose every term a library's limit may have moved.
            if np.any(~(gap <= allowed("marginal", a, b, context.precision) + min(limit, MOST_OFF))):
                index = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(gap)), gap.shape))
                yield Finding(
                    "different",
                    "marginal",
                    f"p({name} | rest) is {a[index]:.6g} in pyro and {b[index]:.6g} in numpyro at {point.name}.",
                    site=name,
                    size=float(gap[index]),
                    point=point.name,
                    index=index,
                )
                return
            largest = max(largest, float(gap.max(initial=0.0)))
    if not names:
        return
    told = f"The conditional probabilities of {listed(sorted(names))} agree."
    yield Finding("same", "marginal", told, size=largest)
