"""How many digits a log prob has where its own arithmetic loses them: an ill-conditioned covariance, a filter.

The latent values are moved by a few roundings; what that does to a log prob, no two libraries need to agree on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.comparison import Comparison
from ppl_parity.ladder.exact.log_probs import Noise, SiteLogProbs, names_of, sums_of
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.tolerances import allowed

NUDGE, NUM_NUDGES = 1e-15, 4  # relative: a few roundings of a value
TIMES = 10.0  # each side's own arithmetic rounds as often, in an order of its own
MOST_SHOWN = 4  # points at which a site that differs is asked for its digits, the worst ones
ROUNDING_OF_ONE, MOST_ROUNDINGS = 2.0**-53, 4.0  # of a probability just below one, and so many of them
MANY, WHOLE = 2.0**33, 1e-4  # beyond so many they do not show; how near to a whole number their count must be
SMALL = 1e-4  # of a log density: what parts by more is no loss of digits
QUANTITY = "digits"
CONDITIONED = {
    "covariance_matrix": 1,
    "precision_matrix": 1,
    "scale_tril": 2,
}  # the last one's square is the matrix


def lost_digits(context: Context, values: SiteLogProbs, joint: Comparison, extra: float) -> Noise:
    """site, or None for all together -> at each point, what rounding of the latent values leaves open, in nats.

    Args:
        values: both sides' log probs.
        joint: their comparison, which differs.
        extra: the libraries' own limits, in nats.

    Returns:
        nothing where some point parts by more than digits that are lost: by so much of the log density that it is no
        loss of digits, unless rounding moves it as far, as far down a funnel, where nearly all are lost.
    """
    a, b = (np.asarray(sums_of(values, side, None)) for side in SIDES)
    finite = np.isfinite(a) & np.isfinite(b)
    with np.errstate(invalid="ignore"):
        offset = float(np.median((b - a)[finite])) if finite.any() else 0.0
        gap = np.where(finite, np.minimum(np.abs(b - a), np.abs(b - a - offset)), 0.0)
    size = np.where(finite, np.maximum(np.abs(a), np.abs(b)), 0.0)
    apart = gap > allowed("log density", a, b, context.precision) + extra
    if joint.one_sided or not np.any(apart):
        return {}
    share = gap / np.maximum(size, 1.0)
    names: list[str | None] = [*names_of(values), None]
    noise: Noise = {name: np.zeros(len(gap)) for name in names}
    rng = np.random.default_rng(context.settings.seed)
    # At every point, for of a site digits may be lost where the sum of all still has them; the worst one first.
    for i in map(int, sorted(np.flatnonzero(finite), key=lambda i: -share[i])):
        point = context.points[i]
        again = _found_anew(context, point, rng) if apart[i] else ()
        for name, change in [*moved_by_rounding(context, point, rng), *again]:
            if name in noise:
                noise[name][i] = max(noise[name][i], TIMES * change)
        for name, lost_share in _of_covariances(context, point).items():
            if name in noise:
                log_probs = np.asarray(values["pyro"][i].get(name, 0.0))
                lost = lost_share * (float(np.abs(np.sum(log_probs))) + log_probs.size)
                noise[name][i] = max(noise[name][i], lost)
                noise[None][i] = max(noise[None][i], lost)
        for name, lost in _of_survivals(values, i).items():
            noise[name][i] += lost
            noise[None][i] += lost
        if share[i] > SMALL and gap[i] > noise[None][i]:
            return {}
    return noise


def not_by_rounding(
    context: Context, values: SiteLogProbs, comparisons: dict[str, Comparison]
) -> dict[str, Comparison]:
    """The sites without those that differ by lost digits alone, where others differ that have them.

    Down a funnel a prior's rounding would be blamed for what the likelihood below it does.
    """
    apart = [name for name, found in comparisons.items() if found.relation == "different"]
    if len(apart) < 2:
        return comparisons
    rng = np.random.default_rng(context.settings.seed)
    moved: dict[int, dict[str, float]] = {}
    lost = []
    for name in apart:
        a, b = (np.asarray(sums_of(values, side, name)) for side in SIDES)
        with np.errstate(invalid="ignore"):
            gap = np.abs(a - b)
            beyond = gap > allowed("log density", a, b, context.precision)
        for i in sorted(map(int, np.flatnonzero(beyond)), key=lambda i, gap=gap: -gap[i])[:MOST_SHOWN]:
            if i not in moved:
                moved[i] = {}
                for site, change in moved_by_rounding(context, context.points[i], rng):
                    moved[i][str(site)] = max(moved[i].get(str(site), 0.0), TIMES * change)
            if not gap[i] <= moved[i].get(name, 0.0):
                break
        else:
            lost.append(name)
    return (
        {n: found for n, found in comparisons.items() if n not in lost}
        if len(lost) < len(apart)
        else comparisons
    )


def _of_covariances(context: Context, point: Point) -> dict[str, float]:
    """site -> the share of its log prob that its covariance's condition takes: no latent value need move that."""
    side = context.live[-1]
    try:
        described = context.programs[side].sites(context.values(side, point, discrete=True))
    except InputError:
        return {}
    found: dict[str, float] = {}
    for name, site in context.pair.from_side(side, {site.name: site for site in described}).items():
        for key, power in CONDITIONED.items():
            matrix = site.params.get(key)
            if matrix is not None and matrix.ndim > 1 and np.all(np.isfinite(matrix)):
                with np.errstate(all="ignore"):
                    condition = float(np.max(np.linalg.cond(matrix))) ** power
                share = np.finfo(np.float64).eps * condition * np.sqrt(matrix.shape[-1])
                found[name] = max(found.get(name, 0.0), share if np.isfinite(share) else 0.0)
    return found


def _of_survivals(values: SiteLogProbs, point: int) -> dict[str, float]:
    """site -> nats by which it parts where it is log(1 - p), and p on either side one of the last numbers before 1.

    1 - p is then a whole number of roundings of one, few of them, and the next number is as good: no latent value need
    move p by so much.
    """
    first, second = (values[side][point] for side in SIDES)
    found: dict[str, float] = {}
    for name in set(first) & set(second):
        a, b = (np.asarray(row[name], dtype=float) for row in (first, second))
        if a.shape != b.shape:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            counts = [np.exp(one) / ROUNDING_OF_ONE for one in (a, b)]
            near = np.abs(counts[0] - counts[1]) <= MOST_ROUNDINGS
            for count in counts:
                near &= (count > 0.5) & (count < MANY) & (np.abs(count - np.round(count)) < WHOLE)
        lost = float(np.sum(np.abs(a - b)[near]))
        if lost > 0:
            found[name] = lost
    return found


def moved_by_rounding(
    context: Context, point: Point, rng: np.random.Generator, nudge: float = NUDGE
) -> Iterator[tuple[str | None, float]]:
    """What a change of all latent values, relative and of this size, does to each site's log prob, and to all."""
    nudged = [_nudged(point, rng, nudge) for _ in range(NUM_NUDGES)]
    for side in context.live:
        first, *rows = _asked(context, side, [point, *nudged])
        for row in rows:
            with np.errstate(invalid="ignore"):
                moved = {name: abs(float(np.sum(row[name] - first[name]))) for name in row}
            for name, change in [*moved.items(), (None, sum(moved.values()))]:
                if np.isfinite(change):
                    yield name, change


def _found_anew(
    context: Context, point: Point, rng: np.random.Generator
) -> Iterator[tuple[str | None, float]]:
    """Where one side's values are found from what the other computes: what a rounding of that does to a log prob."""
    if len(context.results.get("computes", ())) < len(SIDES):
        return
    _, side = context.results["computes"]
    computed, find_back = context.results["find back"]
    of = replace(point, values={name: point.values[name] for name in computed})
    moved = [replace(point, values=point.values | _nudged(of, rng, NUDGE).values) for _ in range(NUM_NUDGES)]
    try:
        at = [find_back(each) for each in (point, *moved)]
    except InputError:
        return
    first, *rows = _asked(context, side, at)
    for row in rows:
        changes = {name: abs(float(np.sum(row[name] - first[name]))) for name in row}
        for name, change in [*changes.items(), (None, sum(changes.values()))]:
            if np.isfinite(change):
                yield name, change


def _nudged(point: Point, rng: np.random.Generator, nudge: float) -> Point:
    values: Arrays = {
        name: value * (1 + nudge * rng.choice([-1.0, 1.0], size=value.shape))
        if value.dtype.kind == "f"
        else value
        for name, value in ((name, np.asarray(value)) for name, value in point.values.items())
    }
    return Point(point.name, values, point.kind)


def _asked(context: Context, side: str, points: list[Point]) -> list[Arrays]:
    program: Program = context.programs[side]
    found = []
    for point in points:
        try:
            log_probs = program.site_log_probs(context.values(side, point, discrete=True))
        except InputError:  # such as a whole number that is kept as a float, and is none any more
            continue
        found.append(context.pair.from_side(side, log_probs))
    return found


def told_of_digits(context: Context, values: SiteLogProbs, noise: Noise) -> Iterator[Finding]:
    """At how many points the sides part by more than usual, and no more than that, and how much it is."""
    if None not in noise:
        return
    a, b = (np.asarray(sums_of(values, side, None)) for side in SIDES)
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b) > allowed("log density", a, b, context.precision)
    whole = np.where(apart, noise[None], 0.0)
    if not np.any(whole):
        return
    # What the density has lost of its digits there its gradient has lost of its own.
    size = np.maximum(np.maximum(np.abs(a), np.abs(b)), 1.0)
    context.results["digits"] = {
        # Of the log of what is rounded itself the derivative has lost as much as that number.
        point.name: float(share) + sum(_of_survivals(values, i).values())
        for i, (point, share) in enumerate(zip(context.points, whole / size, strict=True))
        if np.isfinite(share) and share > 0
    }
    where = int(np.argmax(whole))
    name = max((n for n in noise if n is not None), key=lambda n: noise[n][where], default=None)
    survival = name in _of_survivals(values, where)
    of = (
        "a probability, which is all but one"
        if survival
        else "the latent values, or of a covariance made of them"
    )
    yield Finding(
        "same",
        QUANTITY,
        f"At {np.count_nonzero(whole)} of {len(whole)} points a rounding of {of}, moves the log density by up to "
        f"{whole[where] / TIMES:.1g} on either side"
        f"{f', most of it at {name!r}' if name else ''}; it was held to no more digits there.",
        site=name,
        size=float(whole[where] / TIMES),
        point=context.points[where].name,
        notable=True,
        hint="the log of one minus a probability: a survival function's own log keeps its digits"
        if survival
        else "an ill-conditioned matrix, or a recursion that loses digits: a larger jitter",
    )
