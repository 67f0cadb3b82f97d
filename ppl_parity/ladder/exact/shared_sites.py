"""What can be compared exactly where a side has latent sites of its own: the sites that hang on none of these.

Take sites F that both sides have, none of which moves with a latent site that is not in F. Then their joint prior,
and what is observed of them alone, is the product of their own densities, whatever else a side draws:

    p(F, y_F) = prod_{s in F} p(s | F),    for sum_E p(E | F) = 1

so that one number of it that differs is another model. A factor, a mask or a scale makes no such promise.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.clamps import level_clamps
from ppl_parity.ladder.exact.comparison import Comparison
from ppl_parity.ladder.exact.conditioning import lost_digits
from ppl_parity.ladder.exact.hints import explain_site
from ppl_parity.ladder.exact.log_probs import SiteLogProbs, compare_joint, compare_site, limit_of, sums_of
from ppl_parity.ladder.exact.points import is_inside
from ppl_parity.ladder.exact.precision import narrow_sites
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.process.sides import SideError

NUM_DRAWS, OTHERS = 4, 8  # prior draws of each side; and other values of what is not shared, at each of them
MANY = 400  # of these, before a difference is told: a site may hang on another in one draw of a hundred alone


@dataclass(frozen=True)
class Apart:
    """A shared site whose log probs differ: where, what they are, and probably why."""

    name: str
    point: str
    pyro: float
    numpyro: float
    size: float
    hint: str | None


@dataclass(frozen=True)
class Shared:
    """What hangs on nothing of one side's own, and what of it differs."""

    names: tuple[str, ...]
    apart: tuple[Apart, ...]
    num_points: int


def shared_sites(context: Context, *, to_blame: bool = False) -> Shared | None:
    """Find these sites, and compare them at prior draws of both sides; None where there are none, or no draws.

    Args:
        to_blame: the models are known to differ, and who it is may be told whatever else they hold.
    """
    if _promises_nothing(context) and not to_blame:
        return None
    cached = context.results.get("shared sites")
    if cached is None:
        try:
            cached = context.results["shared sites"] = (_found(context),)
        except (InputError, SideError):  # no prior draws, or a draw that the other model cannot take
            cached = context.results["shared sites"] = (None,)
    return cached[0]


def _found(context: Context) -> Shared | None:
    if context.frozen or not context.shared:
        return None
    draws = context.both(
        lambda side, program: context.pair.from_side(
            side, program.prior_samples(num_draws=NUM_DRAWS + OTHERS, seed=context.settings.seed)
        )
    )
    closed = set(context.shared)
    while closed:
        probes = [_points(context, draws, closed, other) for other in range(1 + OTHERS)]
        kept = set.intersection(*({point.name for point in points} for points in probes))
        probes = [[point for point in points if point.name in kept] for points in probes]
        asked = [_asked(context, points) for points in probes]
        still = {name for name in closed if not _moves(asked, name)}
        if still == closed:
            break
        closed = still
    if not closed or not probes[0]:
        return None
    observed = {
        name
        for name, site in context.sites["pyro"].items()
        if site.kind == "observed" and name in context.sites["numpyro"]
        if context.sites["numpyro"][name].kind == "observed" and not _moves(asked, name)
    }
    names = [name for name in context.sites["pyro"] if name in closed | observed]
    values = {side: [{n: row[n] for n in names} for row in asked[0][side]] for side in SIDES}
    own = replace(context, points=probes[0], results={})
    level_clamps(own, values)
    joint = compare_joint(own, values)
    if joint.relation == "unusable":
        return None
    if joint.relation != "different":
        return Shared(tuple(names), (), len(probes[0]))
    noise = lost_digits(own, values, joint, sum(limit_of(own, name) for name in names))
    apart = {name: compare_site(own, values, name, noise=noise) for name in names}
    apart = {name: found for name, found in apart.items() if found.relation == "different"}
    narrow = set(narrow_sites(context))
    # What is not shown beyond float32, or a limit, is left to the draws; so is what may hang on more than was seen.
    if not apart or set(apart) & narrow or _moves(_more(own, draws, closed), *apart):
        return None
    return Shared(
        tuple(names), tuple(_told(own, values, name, found) for name, found in apart.items()), len(probes[0])
    )


def _more(context: Context, draws: dict[str, Arrays], closed: Collection[str]) -> list[SiteLogProbs]:
    """The log probs at one point, with everything that is not shared moved as often as a prior's rare cases ask for."""
    more = context.both(
        lambda side, program: context.pair.from_side(
            side, program.prior_samples(num_draws=MANY, seed=context.settings.seed + 1)
        )
    )
    first = _points(context, draws, closed, 0)[0]
    others = [
        Point(
            first.name,
            {
                **first.values,
                **{
                    name: more[owner][name][i]
                    for owner in SIDES
                    for name, site in context.sites[owner].items()
                    if site.kind == "latent" and name not in closed
                },
            },
        )
        for i in range(MANY)
    ]
    rows = _asked(context, others)
    return [{side: [rows[side][i]] for side in SIDES} for i in range(MANY)]


def _promises_nothing(context: Context) -> bool:
    """Whether a side's density is not the product of what it draws from, or has data that the other has not."""
    seen = [{n for n, site in context.sites[s].items() if site.kind == "observed"} for s in SIDES]
    return seen[0] != seen[1] or any(
        site.kind == "factor" or site.masked or site.scale != 1
        for side in SIDES
        for site in context.sites[side].values()
    )


def _points(context: Context, draws: dict[str, Arrays], closed: Collection[str], other: int) -> list[Point]:
    """Each side's draws of the closed sites, with all others taken from another draw of the side that has them."""
    found = []
    for side in SIDES:
        for i in range(NUM_DRAWS):
            values = {name: draws[side][name][i] for name in closed}
            for owner in SIDES:
                for name, site in context.sites[owner].items():
                    if site.kind == "latent" and name not in closed:
                        values[name] = draws[owner][name][(i + other) % (NUM_DRAWS + OTHERS)]
            found.append(Point(f"prior draw {i} of {side}", values, "prior"))
    return [point for point in found if all(is_inside(point, context.sites[side]) for side in SIDES)]


def _asked(context: Context, points: list[Point]) -> SiteLogProbs:
    return context.both(
        lambda side, program: [
            context.pair.from_side(side, program.site_log_probs(context.values(side, point, discrete=True)))
            for point in points
        ]
    )


def _moves(asked: list[SiteLogProbs], *names: str) -> bool:
    """Whether one of these sites' log probs changes, on either side, with what is not shared."""
    first, *others = asked
    return any(
        not np.array_equal(row[name], again[name], equal_nan=True)
        for name in names
        for other in others
        for side in SIDES
        for row, again in zip(first[side], other[side], strict=True)
    )


def _told(context: Context, values: SiteLogProbs, name: str, found: Comparison) -> Apart:
    a, b = (sums_of(values, side, name)[found.worst] for side in SIDES)
    hint = explain_site(context, name, values, found)
    return Apart(name, context.points[found.worst].name, a, b, found.size, hint)
