"""Rung 5: the same support, the same unconstraining map, the same log abs det Jacobian?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.findings import Finding
from ppl_parity.ladder.changes.change import compared_in_full
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.coordinates import Position, dynamic_sites, moved_sites, positions
from ppl_parity.ladder.exact.hopeless import FAR
from ppl_parity.pair.pairs import SIDES
from ppl_parity.tolerances import agree

NAME = "transform"

NUM_POSITIONS = 12
WIDE = 3.0  # standard deviations of the unconstrained coordinates at which supports are probed


def run(context: Context) -> Iterator[Finding]:
    """Compare the maps; a different but valid one is named, a potential that leaves its density is not."""
    if change := compared_in_full(context):
        # Each in its own coordinates: its density is the program's own, and not that of the other's sites.
        own = replace(change.context, programs=context.programs)
        found = positions(own, NUM_POSITIONS)
        yield from _own_potential(own, found, dynamic_sites(own, "pyro"))
        yield Finding(
            "same",
            "transform",
            f"{change.told()}, so the sides have coordinates of their own; each side's sampler sees the density that "
            f"its model writes, at {len(found)} points.",
            numbers={"summary": "each potential is its own density's"},
        )
        return
    if context.reparameterised:
        yield Finding("unresolved", "transform", "The latent sites differ.", deferred=True)
        return
    found = positions(context, NUM_POSITIONS)
    if not found or not found[0].coordinates["pyro"]:
        yield Finding("same", "transform", "There is no continuous latent site.", numbers={"nothing": True})
        return
    if context.frozen:
        yield Finding(
            "same",
            "support",
            "How far each side's map reaches beyond the frozen points is not in the frozen file; the supports "
            "that both sides declare, and the frozen tails and edges, were compared.",
            notable=True,
        )
    else:
        if not context.enumerated_on_one_side:
            yield from _reach(context, found[0])
    dynamic = dynamic_sites(context)
    for name in dynamic:
        yield Finding(
            "same",
            "support",
            f"The support of {name!r} moves with the other sites: NumPyro's sampler follows it, Pyro's keeps "
            "the one it starts with.",
            site=name,
            notable=True,
            hint="write it as a fixed support, scaled: Uniform(0, 1) times the moving bound",
        )
    yield from _own_potential(context, found, dynamic)
    moved = [name for name in moved_sites(context, found) if name not in dynamic]
    for name in moved:
        yield Finding(
            "same",
            "unconstraining map",
            f"The sides unconstrain {name!r} by different maps, both valid.",
            site=name,
            notable=True,
        )
    yield from _jacobians(context, found, [*moved, *dynamic])
    yield Finding("same", "transform", f"Maps and Jacobians agree at {len(found)} points.")


def _reach(context: Context, start: Position) -> Iterator[Finding]:
    """Where one side's map can go, the other side's density must not end."""
    rng = np.random.default_rng(context.settings.seed + 1)
    begun = {s: _site_log_probs(context, s, context.values(s, start.point, discrete=True)) for s in SIDES}
    for side, other in (SIDES, SIDES[::-1]):
        discrete = {
            name: value
            for name, value in context.values(side, start.point, discrete=True).items()
            if name not in start.coordinates[side]
        }
        for _ in range(10):
            u = {n: WIDE * rng.standard_normal(v.shape) for n, v in start.coordinates[side].items()}
            values = context.programs[side].constrain(context.pair.to_side(side, u))
            shared = {n: v for n, v in context.pair.from_side(side, values).items() if n in u}
            shared |= context.pair.from_side(side, discrete)
            log_probs = {s: _site_log_probs(context, s, context.pair.to_side(s, shared)) for s in SIDES}
            for name in u:
                here, there = (np.asarray(log_probs[s][name]) for s in (side, other))
                if np.isnan(there).any() and np.sum(here) < np.sum(begun[side][name]) - FAR:
                    continue  # an overflow where no draw will be; an infinity is a statement on the support
                if np.all(np.isfinite(here)) and not np.all(np.isfinite(there)):
                    yield Finding(
                        "different",
                        "support",
                        f"{side} samples {name!r} at {np.ravel(shared[name])[0]:.4g}, where {other} has no density.",
                        site=name,
                        hint="a half distribution whose port lives on the whole line, or the reverse",
                    )
                    return


def _site_log_probs(context: Context, side: str, values: Arrays) -> Arrays:
    return context.pair.from_side(side, context.programs[side].site_log_probs(values))


def _own_potential(context: Context, found: list[Position], dynamic: list[str]) -> Iterator[Finding]:
    """U(u) = -log density - log Jacobian on each side, or its sampler aims at something else."""

    def look(side: str, program: Program) -> list[tuple[float, tuple[float, ...], float]]:
        rows = []
        for position in found:
            u = context.pair.to_side(side, position.coordinates[side])
            jacobian = sum(float(v) for v in program.log_abs_det_jacobian(u).values())
            values = context.values(side, position.point, discrete=False)
            density = mapped = program.log_density(values)
            # The way there and back rounds: near a simplex's edge, where a Dirichlet is steep, by 1e-6 nats.
            if not dynamic and side != context.frozen:
                back = {name: value for name, value in program.constrain(u).items() if name in values}
                if all(np.allclose(back[name], values[name], rtol=1e-6, atol=1e-9) for name in back):
                    mapped = program.log_density({**values, **back})
            rows.append((jacobian, (density, mapped), program.potential(u)))
        return rows

    looked = context.both(look)
    for i, position in enumerate(found):
        for side in SIDES:
            jacobian, densities, potential = looked[side][i]
            density = densities[0]
            # So far out, rounding of the model's own arithmetic is all that is left to see.
            if (
                not np.isfinite(density)
                or abs(density) > 1e8
                or any(
                    agree("log density", potential, -one - jacobian, extra=1e-6, dtype=context.precision)
                    for one in densities
                )
            ):
                continue
            yield Finding(
                "different",
                "potential",
                f"{side}'s sampler sees {potential:.8g} at {position.point.name}, where minus its log density "
                f"and log Jacobian is {-density - jacobian:.8g}.",
                site=dynamic[0] if dynamic else None,
                size=abs(potential + density + jacobian),
                point=position.point.name,
                hint="a dynamic support: the models may be one, but Pyro's NUTS keeps the bounds it starts with, and "
                "samples another density than its model's: write one with fixed bounds, as Uniform(0, 1), times or "
                "plus what moves"
                if dynamic
                else f"{side} samples another density than it writes",
            )
            return


def _jacobians(context: Context, found: list[Position], skipped: list[str]) -> Iterator[Finding]:
    def look(side: str, program: Program) -> list[Arrays]:
        at = [position.coordinates[side if skipped else context.anchor] for position in found]
        return [
            context.pair.from_side(side, program.log_abs_det_jacobian(context.pair.to_side(side, u)))
            for u in at
        ]

    looked = context.both(look)
    for i, position in enumerate(found):
        both = {side: looked[side][i] for side in SIDES}
        for name, a in both["pyro"].items():
            b = both["numpyro"][name]
            if name in skipped or agree("unconstrained", float(a), float(b)):
                continue
            yield Finding(
                "different",
                "log abs det Jacobian",
                f"That of {name!r} is {float(a):.8g} in pyro and {float(b):.8g} in numpyro at "
                f"{position.point.name}, at the same coordinates.",
                site=name,
                size=abs(float(a) - float(b)),
                point=position.point.name,
            )
            return
