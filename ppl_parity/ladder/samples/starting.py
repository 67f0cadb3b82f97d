"""Where chains begin: the same dispersed points on both sides, none of them in a mode that holds no mass."""

from __future__ import annotations

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.exact.points import descend
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.references import MixtureReference
from ppl_parity.starts import kmeans_start

CANDIDATES = 3  # for each chain
DESCENT = 60  # steps of the walk downhill that finds a candidate's mode
# A mode this many nats below the best one weighs 1e-4 of it, were it as wide: a chain that begins there stays
# there on both sides, and speaks for nothing. Modes of nearly equal height, as of exchangeable components, stay.
LOST = 10.0


def shared_starts(context: Context, num_chains: int) -> dict[str, Arrays] | None:
    """side -> site -> (num_chains, ...), the same on both sides; None where the sides differ in what they have.

    k-means++ for the mixture; for any other model, uniform unconstrained points, or else shared ones, from which the
    potential leads downhill to the best mode that was found, or to one that is nearly as good.
    """
    model = context.pair.models["pyro"]
    if isinstance(model, MixtureReference):
        x = np.asarray(context.pair.data["pyro"]["x"], dtype=np.float64)
        start, _ = kmeans_start(model.spec, x, num_chains, context.settings.seed)
        return dict.fromkeys(SIDES, start)
    # A file has a potential at its own points only.
    if context.reparameterised or context.frozen == "numpyro":
        return None
    program = context.programs["numpyro"]
    found = _found(context, program, CANDIDATES * num_chains)
    if not found:
        return None
    rows = [program.constrain(point) for point in _dispersed(program, found, num_chains)]
    latent = latent_sites(context, "numpyro")
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    start = {
        name: value for name, value in context.pair.from_side("numpyro", stacked).items() if name in latent
    }
    return dict.fromkeys(SIDES, start) if set(start) == set(latent) else None


def latent_sites(context: Context, side: str) -> list[str]:
    """The continuous latent sites of a side, under Pyro's names."""
    return [n for n, s in context.sites[side].items() if s.kind == "latent" and not is_discrete(s)]


def _found(context: Context, program: Program, number: int) -> list[Arrays]:
    """Unconstrained points with a finite potential: uniform ones, or, where there are none, the shared points."""
    try:
        drawn = program.initial("uniform", num_chains=number, seed=context.settings.seed)
    except InputError:  # a support that data cut short may lie elsewhere, where a prior draw is
        points = [
            program.unconstrain(context.values("numpyro", point, discrete=False)) for point in context.points
        ]
        return [point for point in points if _is_finite(program, point)][:number]
    return [{name: value[i] for name, value in drawn.items()} for i in range(number)]


def _is_finite(program: Program, point: Arrays) -> bool:
    value, gradient = program.potential_and_gradient(point)
    return bool(np.isfinite(value)) and all(np.all(np.isfinite(g)) for g in gradient.values())


def _dispersed(program: Program, points: list[Arrays], num_chains: int) -> list[Arrays]:
    """The first candidates whose mode is not lost; where too few are left, these again."""
    lowest = []
    for point in points:
        value, _, settled = descend(program, point, DESCENT)
        if not settled:  # as in a funnel, whose density has no bound: there are no modes to weigh
            lowest = [0.0] * len(points)
            break
        lowest.append(value)
    kept = [point for point, value in zip(points, lowest, strict=True) if value <= min(lowest) + LOST]
    return [kept[i % len(kept)] for i in range(num_chains)]
