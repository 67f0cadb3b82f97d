"""The shared points of the deterministic rungs: prior draws, near the mode, tails, edges, a user's own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Site
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import is_discrete
from ppl_parity.ladder.exact.curvature import Curvature, Layout, curvature
from ppl_parity.ladder.exact.descent import HOPELESS, badly_scaled_mode, descend
from ppl_parity.pair.pairs import Pair
from ppl_parity.pair.points import Point, PointKind
from ppl_parity.tolerances import CLAMPED_FAMILIES

TAIL = 3.0  # unconstrained prior draws are moved this many times as far out
MODE_STEPS = 100
SHRUNK = (0.1, 1e-2, 1e-4, 0.0)  # of a prior draw's coordinates, where the search for a mode may begin, too
NEAR = 0.1  # unconstrained: how far from the mode points near it are, at most; else a standard deviation
VANISHING = 1e-140  # a value whose square is no number: most draws of a Gamma(0.001, 0.001)
EDGE = 8.0  # unconstrained coordinates of this size: exp(8), a probability of 0.0003


def shared_points(
    pair: Pair,
    programs: Mapping[str, Program],
    sites: Mapping[str, Mapping[str, Site]],
    num_points: int,
    seed: int,
) -> list[Point]:
    """At least ``num_points`` parameter values, under Pyro's names; the same latent sites on all sides.

    Prior draws are every given side's that has some; where the others lie is found by the first one's program.

    Raises:
        InputError: no side has a draw, nor a starting point.
    """
    rng = np.random.default_rng(seed)
    lead = next(iter(programs))
    latent = [name for name, site in sites[lead].items() if site.kind == "latent"]
    draws = _every_prior(pair, programs, sites, max(4, num_points // 3), seed)
    latent = [name for name in latent if all(name in drawn for drawn in draws.values())]
    points = [
        Point(f"prior draw {i} of {side}", {name: drawn[name][i] for name in latent}, "prior")
        for side, drawn in draws.items()
        for i in range(len(drawn[latent[0]]) if latent else 1)
    ]
    # A discrete site that cannot be summed out leaves no potential, nor a way back from unconstrained coordinates.
    if all(s.enumerated for s in sites[lead].values() if s.kind == "latent" and is_discrete(s)):
        points += _moved(programs[lead], sites[lead], points, num_points - len(points), rng)
    # Torch clamps probabilities at 2e-16, NumPyro at 1e-308: nearer to an edge each has its own density.
    points = [point for point in points if is_inside(point, sites[lead])] or points
    if clamps_are_summed(sites[lead]):
        points = [point for point in points if not point.far]
    taken = {point.name for point in points}
    return points + [
        Point(f"{name} (given)" if name in taken else name, {k: np.asarray(v) for k, v in values.items()})
        for name, values in pair.points.items()
    ]


def _every_prior(
    pair: Pair,
    programs: Mapping[str, Program],
    sites: Mapping[str, Mapping[str, Site]],
    count: int,
    seed: int,
) -> dict[str, Arrays]:
    """side -> its prior draws; a side that has none is left out, for the other's are values of its sites, too."""
    draws: dict[str, Arrays] = {}
    refused: list[InputError] = []
    for side, program in programs.items():
        try:
            draws[side] = _prior(pair, program, side, sites, count, seed)
        except InputError as error:
            refused.append(error)
    if not draws:
        raise refused[0]
    return draws


def _prior(
    pair: Pair, program: Program, side: str, sites: Mapping[str, Mapping[str, Site]], count: int, seed: int
) -> Arrays:
    try:
        return pair.from_side(side, program.prior_samples(num_draws=count, seed=seed))
    except InputError:
        # An improper prior cannot be drawn from; a box in unconstrained coordinates can.
        starts = program.initial("uniform", num_chains=count, seed=seed)
        rows = [program.constrain({n: v[i] for n, v in starts.items()}) for i in range(count)]
        stacked = pair.from_side(side, {name: np.stack([row[name] for row in rows]) for name in rows[0]})
        for name, site in sites[side].items():
            if site.kind == "latent" and name not in stacked and site.value is not None:
                stacked[name] = np.stack([site.value] * count)
        return stacked


def _moved(
    program: Program, sites: Mapping[str, Site], prior: list[Point], count: int, rng: np.random.Generator
) -> list[Point]:
    """Points near the mode, in the tails and at the edges, in about equal numbers."""
    discrete = [name for name, site in sites.items() if site.kind == "latent" and is_discrete(site)]
    points: list[Point] = []
    mode, spread = _mode(program, [point.values for point in prior], discrete, rng)
    for i in range(max(count, 6)):
        values = prior[i % len(prior)].values
        continuous = {name: value for name, value in values.items() if name not in discrete}
        start = program.unconstrain(continuous)
        if not start:
            break
        if i % 3 == 0 and mode is not None and spread is not None:
            kind: PointKind = "near"
            where = {n: v + spread[n] * rng.standard_normal(v.shape) for n, v in mode.items()}
        elif i % 3 == 1:
            kind, where = "tail", {n: TAIL * v for n, v in start.items()}
        else:
            kind = "edge"
            where = {
                n: rng.choice([-EDGE, EDGE], size=v.shape) * rng.uniform(0.9, 1.1, size=v.shape)
                for n, v in start.items()
            }
        try:
            moved = program.constrain(where)
        except InputError:  # a model that cannot be run there: a covariance that rounding leaves indefinite
            continue
        moved = {n: moved[n] for n in continuous if n in moved}
        if all(np.all(np.isfinite(v)) for v in moved.values()):
            number = sum(point.kind == kind for point in points)
            name = f"near the mode, {number}" if kind == "near" else f"{kind} {number}"
            points.append(Point(name, values | moved, kind))
    return points


def _mode(
    program: Program, draws: list[Arrays], discrete: list[str], rng: np.random.Generator
) -> tuple[Arrays | None, Arrays | None]:
    """A mode of the posterior, unconstrained, from the best of some prior draws, and its spread; None if there is none.

    Args:
        rng: of the directions in which the spread is looked for.
    """
    starts = [program.unconstrain({n: v for n, v in d.items() if n not in discrete}) for d in draws[:6]]
    # And towards the origin: where every row of a prior draw is certain and clamped, nothing leads downhill.
    starts += [{n: share * v for n, v in start.items()} for start in starts[:1] for share in SHRUNK]
    values = [program.potential(start) for start in starts]
    if not starts or not starts[0] or not np.any(np.isfinite(values)):
        return None, None
    start = starts[int(np.nanargmin(np.where(np.isfinite(values), values, np.nan)))]
    value, where, _ = descend(program, start, MODE_STEPS)
    if not value < HOPELESS:
        return None, None
    bends = curvature(program, where, rng)
    found = badly_scaled_mode(program, value, where, bends)
    if found is None:
        return where, _spread(bends, where)
    return found.where, found.scale.layout.parts(np.minimum(NEAR, found.scale.widths))


def _spread(bends: Curvature, mode: Arrays) -> Arrays:
    """How far from the mode the posterior reaches along each coordinate, the others held; ``NEAR`` at most.

    A coefficient of incomes in dollars has a posterior sd of 1e-4: 0.1 away all rows are certain, and as far from
    data as a prior draw.
    """
    return Layout.of(mode).parts(np.minimum(NEAR, 1 / np.sqrt(np.maximum(bends.diagonal, 1.0))))


def is_inside(point: Point, sites: Mapping[str, Site]) -> bool:
    """Whether no value is so near to an edge, or to zero, that each library has a density of its own there."""
    for name, value in point.values.items():
        if name not in sites:
            continue
        if value.dtype.kind == "f" and np.any(
            (np.abs(value) < VANISHING) & ((value != 0) | _from_zero(sites[name]))
        ):
            return False
        if sites[name].support in ("simplex", "interval(0, 1)") and value.size:
            if min(np.min(value), np.min(1 - value) if sites[name].support != "simplex" else 1.0) < 1e-12:
                return False
    return True


def _from_zero(site: Site) -> bool:
    return site.support.startswith("positive") or site.support.startswith("interval(0,")


def clamps_are_summed(sites: Mapping[str, Site]) -> bool:
    """Whether an impossible event's clamped probability enters a sum over states, beside what is all but so."""
    some = [
        site.family in CLAMPED_FAMILIES and (not site.enumerated or impossible(site))
        for site in sites.values()
    ]
    return any(some) and any(site.enumerated for site in sites.values())


def impossible(site: Site | None) -> bool:
    """Whether a site's probabilities have one below torch's clamp, as a transition that cannot be."""
    return (
        site is not None
        and "probs" in site.params
        and bool(np.any(site.params["probs"] < np.finfo(np.float64).eps))
    )
