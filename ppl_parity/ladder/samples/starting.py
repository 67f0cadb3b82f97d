"""Where chains begin: the same dispersed points on both sides, none of them in a mode that holds no mass.

And in which units they go: the posterior's own, where it is badly scaled (``scales``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.exact.descent import Mode, badly_scaled_mode, descend
from ppl_parity.ladder.exact.scales import Scale, bad_scale
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.stacked_side import StackedProgram
from ppl_parity.process.references import MixtureReference
from ppl_parity.starts import kmeans_start

CANDIDATES = 3  # for each chain
DESCENT = 60  # steps of the walk downhill that finds a candidate's mode
# A mode this many nats below the best one weighs 1e-4 of it, were it as wide: a chain that begins there stays
# there on both sides, and speaks for nothing. Modes of nearly equal height, as of exchangeable components, stay.
LOST = 10.0
DISPERSED, HALVINGS = 2.0, 5  # of a badly scaled posterior's widths; how often less where there is no density


@dataclass(frozen=True)
class Starts:
    """Where the chains of both sides begin.

    Attributes:
        values: side -> site (Pyro's names) -> (num_chains, ...); a side that is not there begins where it likes.
        masses: side -> the inverse mass of a badly scaled posterior, over the side's own numbers (``contract``).
        scale: of it, in the coordinates of the side that was asked; or None.
    """

    values: dict[str, Arrays]
    masses: dict[str, np.ndarray] = field(default_factory=dict)
    scale: Scale | None = None


def shared_starts(context: Context, num_chains: int) -> Starts | None:
    """The same on both sides; None where the sides differ in what they have.

    k-means++ for the mixture; for any other model, uniform unconstrained points, or else shared ones, from which the
    potential leads downhill to the best mode that was found, or to one that is nearly as good. Where the posterior is
    badly scaled these are as far from it as from another, so there chains begin around the modes themselves.
    """
    model = context.pair.models["pyro"]
    if isinstance(model, MixtureReference):
        x = np.asarray(context.pair.data["pyro"]["x"], dtype=np.float64)
        start, _ = kmeans_start(model.spec, x, num_chains, context.settings.seed)
        return Starts(dict.fromkeys(SIDES, start))
    # A file has a potential at its own points only.
    if context.reparameterised or context.frozen == "numpyro":
        return _of_each(context, num_chains)
    program = context.programs["numpyro"]
    found = _found(context, program, CANDIDATES * num_chains)
    if not found:
        return None
    points, mode = _dispersed(program, found, num_chains, context.settings.seed)
    values = _constrained(context, program, points)
    if set(values) != set(latent_sites(context, "numpyro")):
        return None
    starts = dict.fromkeys(SIDES, values)
    if mode is None:
        return Starts(starts)
    at = {name: value[0] for name, value in _constrained(context, program, [mode.where]).items()}
    masses = {side: mass for side in context.live if (mass := _mass(context, side, at)) is not None}
    return Starts(starts, masses, mode.scale)


def _of_each(context: Context, num_chains: int) -> Starts | None:
    """Of sides that share no coordinates, those whose posterior is badly scaled: each has its own."""
    values, masses, scale = {}, {}, None
    for side in context.live:
        found = scaled_starts(context.programs[side], num_chains, context.settings.seed)
        if found is not None:
            values[side] = context.pair.from_side(side, found[0])
            masses[side], scale = found[1:]
    return Starts(values, masses, scale) if values else None


def scaled_starts(program: Program, num_chains: int, seed: int) -> tuple[Arrays, np.ndarray, Scale] | None:
    """Starts (num_chains, ...) and inverse mass of a side by itself, and its scale; None unless that is bad."""
    try:
        drawn = program.initial("uniform", num_chains=CANDIDATES * num_chains, seed=seed)
    except InputError:
        return None
    points = [{name: value[i] for name, value in drawn.items()} for i in range(CANDIDATES * num_chains)]
    if not points[0] or badly_scaled_mode(program, *descend(program, points[0], DESCENT)[:2]) is None:
        return None
    starts, mode = _dispersed(program, points, num_chains, seed)
    if mode is None:
        return None
    rows = [program.constrain(point) for point in starts]
    return (
        {name: np.stack([row[name] for row in rows]) for name in points[0]},
        _ordered(program, mode.scale),
        mode.scale,
    )


def _constrained(context: Context, program: Program, points: list[Arrays]) -> Arrays:
    """Latent site (Pyro's names) -> (number of points, ...)."""
    rows = [program.constrain(point) for point in points]
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    latent = latent_sites(context, "numpyro")
    return {
        name: value for name, value in context.pair.from_side("numpyro", stacked).items() if name in latent
    }


def _mass(context: Context, side: str, mode: Arrays) -> np.ndarray | None:
    """The inverse mass of a side at a mode, in its own coordinates; None where these are not badly scaled."""
    program = context.programs[side]
    scale = bad_scale(program, program.unconstrain(context.pair.to_side(side, mode)))
    if scale is None:
        return None
    return _ordered(program, scale)


def _ordered(program: Program, scale: Scale) -> np.ndarray:
    """The inverse mass over the sampler's numbers: the side's own sites by name, each in C order."""
    row = scale.layout.parts(np.arange(len(scale.widths)))
    own = program.own(row) if isinstance(program, StackedProgram) else row
    order = np.concatenate([np.ravel(own[name]) for name in sorted(own)])
    mass = scale.inverse_mass()
    return mass[order] if mass.ndim == 1 else mass[np.ix_(order, order)]


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


def _dispersed(
    program: Program, points: list[Arrays], num_chains: int, seed: int = 0
) -> tuple[list[Arrays], Mode | None]:
    """The first candidates whose mode is not lost; where too few are left, these again. And a badly scaled mode."""
    lowest, ends = [], []
    for point in points:
        value, where, settled = descend(program, point, DESCENT)
        ends.append((value, where))
        if not settled:  # as in a funnel, whose density has no bound: there are no modes to weigh
            lowest = [0.0] * len(points)
            break
        lowest.append(value)
    mode = badly_scaled_mode(program, *min(ends, key=lambda end: end[0]))
    if mode is not None:
        return _around(program, mode, points, ends, num_chains, seed)
    kept = [point for point, value in zip(points, lowest, strict=True) if value <= min(lowest) + LOST]
    return [kept[i % len(kept)] for i in range(num_chains)], None


def _around(
    program: Program,
    mode: Mode,
    points: list[Arrays],
    ends: list[tuple[float, Arrays]],
    num_chains: int,
    seed: int,
) -> tuple[list[Arrays], Mode]:
    """Points around the candidates' own modes, ``DISPERSED`` of the posterior's widths away, and the best mode."""
    ends = ends + [descend(program, point, DESCENT)[:2] for point in points[len(ends) :]]
    ends = [descend(program, where, DESCENT, mode.scale)[:2] for _, where in ends]
    best = min(ends, key=lambda end: end[0])
    if best[0] < mode.value - 1:
        mode = badly_scaled_mode(program, *best) or mode
    modes = [where for value, where in ends if value <= min(best[0], mode.value) + LOST] or [mode.where]
    rng = np.random.default_rng([seed, 13])
    layout = mode.scale.layout

    def away(where: Arrays) -> Arrays:
        step = DISPERSED * mode.scale.moved(rng.standard_normal(len(mode.scale.widths)))
        for _ in range(HALVINGS):
            point = layout.parts(layout.flat(where) + step)
            if _is_finite(program, point):
                return point
            step = step / 2
        return where

    return [away(modes[i % len(modes)]) for i in range(num_chains)], mode
