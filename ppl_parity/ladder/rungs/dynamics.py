"""Rung 6: the same leapfrog trajectory from the same position, momentum, step size and mass?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Trajectory
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.changes.change import compared_in_full
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.coordinates import Position, dynamic_sites, moved_sites, positions
from ppl_parity.ladder.exact.deltas import delta_sites
from ppl_parity.ladder.exact.scales import own_widths
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Walk
from ppl_parity.tolerances import library_limit

NAME = "dynamics"

NUM_TRAJECTORIES = 2
NUM_STEPS = 20
NUDGE = 1e-9  # how far a position is moved to measure how fast errors grow along a trajectory
DIGITS = (
    1e-3  # of a coordinate: its rounding is 1e-16 of it, and that of a unit is taken to be ROUNDING at most
)
MOST_IN_UNITS = 6  # starts whose widths are measured
ROUNDING = {"float64": 1e-12, "float32": 1e-6}  # relative error of one gradient, at most
LEAST = {"float64": 1e-9, "float32": 1e-5}  # of an energy
APART = {
    "float64": 1e-6,
    "float32": 1e-3,
}  # of the way that a coordinate has gone, as gradients may part by 1e-7


def run(context: Context) -> Iterator[Finding]:
    """Walk in lock step; what still differs between two samplers then is their choices, not their target."""
    if change := compared_in_full(context):
        yield Finding(
            "same",
            "trajectory",
            f"Not walked: {change.told()}, so the sides have coordinates of their own.",
            numbers={"summary": "not walked", "nothing": True},
        )
        return
    if context.reparameterised:
        yield Finding("unresolved", "trajectory", "The latent sites differ.", deferred=True)
        return
    found = positions(context, len(context.points))
    near = sorted(found, key=lambda position: position.point.kind != "near")
    if not near or not near[0].coordinates["pyro"]:
        yield Finding("same", "trajectory", "There is no continuous latent site.", numbers={"nothing": True})
        return
    moved = sorted({*moved_sites(context, found), *dynamic_sites(context)})
    if moved:
        yield Finding(
            "same",
            "trajectory",
            f"Not walked: the sides use different coordinates for {', '.join(map(repr, moved))}.",
            notable=True,
        )
        return
    walks = context.walks or _plan(context, near)
    for index, walk in enumerate(walks):
        yield _compare(context, walk, plot=index == 0)
    if not walks:
        yield Finding(
            "unresolved",
            "trajectory",
            "No shared point has a stable step size.",
            hint=_why_unstable(context),
        )


def _why_unstable(context: Context) -> str:
    """What to change, as far as it can be known."""
    if deltas := delta_sites(context):
        return (
            f"{listed(deltas)}, a Delta in both, has no density beside its value, where NUTS would move it: compute it "
            "(deterministic), and add its log_density as a factor"
        )
    return (
        "NUTS would find none either: centre the predictors and scale them (a calendar year less the mean year, "
        "incomes in units of their sd), or make the priors narrower"
    )


def _plan(context: Context, near: list[Position]) -> tuple[Walk, ...]:
    side = context.asked
    starts = [(p.point.name, context.pair.to_side(side, p.coordinates[context.anchor])) for p in near]
    walks = plan_walks(context.programs[side], starts, context.settings.seed)
    return tuple(walk.presented(lambda values: context.pair.from_side(side, values)) for walk in walks)


def plan_walks(program: Program, starts: list[tuple[str, Arrays]], seed: int) -> list[Walk]:
    """Trajectories from the first starts that have a stable step size; if none has, in units of the posterior's widths.

    Args:
        program: that finds the step sizes.
        starts: names of points, and their unconstrained coordinates under the program's own names.
        seed: of the momenta.
    """
    rng = np.random.default_rng(seed + 2)
    walks: list[Walk] = []
    for name, start in starts:
        momentum = {site: rng.standard_normal(value.shape) for site, value in start.items()}
        walk = _stable(program, Walk(name, start, momentum, np.nan))
        if walk is not None:  # a density without a bound, such as a funnel's, has none near its mode
            walks.append(walk)
        if len(walks) == NUM_TRAJECTORIES:
            break
    return walks or _in_units(program, starts[:MOST_IN_UNITS], rng)


def _in_units(program: Program, starts: list[tuple[str, Arrays]], rng: np.random.Generator) -> list[Walk]:
    """The same where one coordinate reaches so far, and another so little, that no step suits both."""
    walks: list[Walk] = []
    for name, start in starts:
        try:
            widths = own_widths(program, start)
        except InputError:
            continue
        momentum = {site: rng.standard_normal(width.shape) / width for site, width in widths.items()}
        mass = {site: width**2 for site, width in widths.items()}
        walk = _stable(program, Walk(name, start, momentum, np.nan, mass))
        if walk is not None:
            walks.append(walk)
        if len(walks) == NUM_TRAJECTORIES:
            break
    return walks


def _stable(program: Program, walk: Walk) -> Walk | None:
    """With the largest of a few steps that keeps the energy error below one half over the trajectory."""
    for step in (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001):
        tried = replace(walk, step=step)
        try:
            path = walk_along(program, tried)
        except InputError:  # a coordinate that flew off is NaN, which Pyro's distributions refuse
            continue
        if np.all(np.isfinite(path.energy)) and np.max(np.abs(path.energy - path.energy[0])) < 0.5:
            return tried
    return None


def walk_along(program: Program, walk: Walk) -> Trajectory:
    """The trajectory of this rung's length."""
    # What a frozen side was not asked, it cannot answer.
    mass = {} if walk.inverse_mass is None else {"inverse_mass": walk.inverse_mass}
    return program.leapfrog(walk.start, walk.momentum, step_size=walk.step, num_steps=NUM_STEPS, **mass)


def _units(walk: Walk) -> Arrays:
    """Of each coordinate: one, or its width, if that is not lost in the coordinate's own digits."""
    if walk.inverse_mass is None:
        return {name: np.ones_like(value) for name, value in walk.start.items()}
    return {
        name: np.maximum(np.sqrt(walk.inverse_mass[name]), DIGITS * np.abs(value))
        for name, value in walk.start.items()
    }


def _compare(context: Context, walk: Walk, *, plot: bool) -> Finding:
    def along(side: str, walk: Walk) -> Trajectory:
        own = walk.presented(lambda values: context.pair.to_side(side, values))
        return walk_along(context.programs[side], own)

    step, point, units = walk.step, walk.point, _units(walk)
    paths = context.both(lambda side, _: along(side, walk))
    # The allowance grows as a nudge of the start grows: chaos is no difference between models.
    nudged = along(
        context.asked, replace(walk, start={n: v + NUDGE * units[n] for n, v in walk.start.items()})
    )
    growth = np.maximum.accumulate(np.abs(nudged.energy - paths[context.asked].energy)) / NUDGE
    scale = 1.0 + np.abs(paths["pyro"].energy)
    limit = sum(library_limit(site) for side in SIDES for site in context.sites[side].values())
    rounding = ROUNDING[context.precision]
    least = LEAST[context.precision] * scale
    allowed = limit + least + rounding * scale * (1.0 + growth) * np.arange(1, NUM_STEPS + 2)
    # A constant offset of the density is no difference of the dynamics.
    drift = {side: paths[side].energy - paths[side].energy[0] for side in SIDES}
    gap = np.abs(drift["numpyro"] - drift["pyro"])
    numbers = {
        "plot": "energy",
        "steps": list(range(NUM_STEPS + 1)),
        "pyro": drift["pyro"],
        "numpyro": drift["numpyro"],
    }
    parted = np.flatnonzero(~(gap <= allowed))
    if parted.size:
        first = int(parted[0])
        return Finding(
            "different",
            "energy",
            f"From {point} the energies part at step {first} of {NUM_STEPS}: {drift['pyro'][first]:.6g} in pyro "
            f"and {drift['numpyro'][first]:.6g} in numpyro, beyond the growth of rounding.",
            size=float(gap[first]),
            point=point,
            index=(first,),
            hint="the gradients differ somewhere along the way, though not at the shared points",
            numbers=numbers,
        )
    strayed = _strayed(context, walk, paths, nudged, limit)
    if strayed is not None:
        return strayed
    scaled = (
        ""
        if walk.inverse_mass is None
        else ", in units of how far the posterior reaches along each coordinate,"
    )
    return Finding(
        "same",
        "energy",
        f"{NUM_STEPS} leapfrog steps of {step:g}{scaled} from {point} stay together.",
        size=float(gap.max()),
        point=point,
        numbers=(numbers if plot else {}) | {"magnitude": float(scale[int(gap.argmax())])},
    )


def _strayed(
    context: Context, walk: Walk, paths: dict[str, Trajectory], nudged: Trajectory, limit: float
) -> Finding | None:
    """The site whose coordinates part along the way; None if none does.

    Energies do not tell: on a slope leapfrog keeps them whatever the slope is.
    """
    units = _units(walk)
    ends, own = (
        context.pair.from_side(context.asked, path.position) for path in (nudged, paths[context.asked])
    )
    # How far a nudge of the start has come to matter, by the step, over all coordinates.
    moved = [
        (np.abs(ends[name] - own[name]) / units[name]).reshape(NUM_STEPS + 1, -1).max(axis=1, initial=0.0)
        for name in own
    ]
    growth = np.maximum.accumulate(np.max(moved, axis=0)) / NUDGE
    named = {side: context.pair.from_side(side, paths[side].position) for side in SIDES}
    steps = np.arange(NUM_STEPS + 1)
    rounding = 10 * ROUNDING[context.precision] * (1.0 + growth) + 10 * limit * (steps * walk.step) ** 2
    for name, position in named["pyro"].items():
        a, b = (np.asarray(x).reshape(NUM_STEPS + 1, -1) for x in (position, named["numpyro"][name]))
        way = np.maximum.accumulate(np.abs(a - a[0]), axis=0)
        allowed = APART[context.precision] * way + rounding[:, None] * (np.ravel(units[name]) + np.abs(a))
        parted = np.argwhere(~(np.abs(a - b) <= allowed))
        if len(parted):
            step, column = map(int, parted[0])
            index = tuple(int(i) for i in np.unravel_index(column, np.shape(position)[1:]))
            return Finding(
                "different",
                "position",
                f"From {walk.point} the coordinates of {name!r} part at step {step} of {NUM_STEPS}: "
                f"{a[step, column]:.10g} in pyro and {b[step, column]:.10g} in numpyro, from {a[0, column]:.10g}.",
                site=name,
                size=float(abs(a[step, column] - b[step, column])),
                point=walk.point,
                index=index,
                hint="the gradients differ somewhere along the way, though not at the shared points",
            )
    return None
