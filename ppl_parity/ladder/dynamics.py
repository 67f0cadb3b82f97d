"""Rung 6: the same leapfrog trajectory from the same position, momentum, step size and mass?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppl_parity.contract import Arrays, Program, Trajectory
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import SIDES, Context
from ppl_parity.ladder.coordinates import dynamic_sites, moved_sites, positions
from ppl_parity.tolerances import library_limit

NAME = "dynamics"

NUM_TRAJECTORIES = 2
NUM_STEPS = 20
NUDGE = 1e-9  # how far a position is moved to measure how fast errors grow along a trajectory
ROUNDING = 1e-12  # relative error of one gradient, at most


def run(context: Context) -> Iterator[Finding]:
    """Walk in lock step; what still differs between two samplers then is their choices, not their target."""
    if context.reparameterised:
        yield Finding("unresolved", "trajectory", "The latent sites differ.", deferred=True)
        return
    found = positions(context, len(context.points))
    near = sorted(found, key=lambda position: not position.point.name.startswith("near"))
    if not near or not near[0].coordinates["pyro"]:
        yield Finding("same", "trajectory", "There is no continuous latent site.")
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
    rng = np.random.default_rng(context.settings.seed + 2)
    walked = 0
    for position in near:
        start = position.coordinates["pyro"]
        momentum = {name: rng.standard_normal(value.shape) for name, value in start.items()}
        step = _step_size(context, start, momentum)
        if step is not None:  # a density without a bound, such as a funnel's, has none near its mode
            yield _compare(context, start, momentum, step, position.point.name, plot=walked == 0)
            walked += 1
        if walked == NUM_TRAJECTORIES:
            return
    if not walked:
        yield Finding("unresolved", "trajectory", "No shared point has a stable step size.")


def _step_size(context: Context, start: Arrays, momentum: Arrays) -> float | None:
    """The largest of a few steps that keeps NumPyro's energy error below one half over the trajectory."""
    own = [context.pair.to_side("numpyro", values) for values in (start, momentum)]
    for step in (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001):
        path = _walk(context.programs["numpyro"], own[0], own[1], step)
        if np.all(np.isfinite(path.energy)) and np.max(np.abs(path.energy - path.energy[0])) < 0.5:
            return step
    return None


def _walk(program: Program, start: Arrays, momentum: Arrays, step: float) -> Trajectory:
    return program.leapfrog(start, momentum, step_size=step, num_steps=NUM_STEPS)


def _compare(
    context: Context, start: Arrays, momentum: Arrays, step: float, point: str, *, plot: bool
) -> Finding:
    paths = {
        side: _walk(
            context.programs[side],
            context.pair.to_side(side, start),
            context.pair.to_side(side, momentum),
            step,
        )
        for side in SIDES
    }
    # The allowance grows as a nudge of the start grows: chaos is no difference between models.
    off = context.pair.to_side("numpyro", {n: v + NUDGE for n, v in start.items()})
    nudged = _walk(context.programs["numpyro"], off, context.pair.to_side("numpyro", momentum), step)
    growth = np.maximum.accumulate(np.abs(nudged.energy - paths["numpyro"].energy)) / NUDGE
    scale = 1.0 + np.abs(paths["pyro"].energy)
    limit = sum(library_limit(site) for side in SIDES for site in context.sites[side].values())
    allowed = limit + 1e-9 * scale + ROUNDING * scale * (1.0 + growth) * np.arange(1, NUM_STEPS + 2)
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
    return Finding(
        "same",
        "energy",
        f"{NUM_STEPS} leapfrog steps of {step:g} from {point} stay together.",
        size=float(gap.max()),
        point=point,
        numbers=numbers if plot else {},
    )
