"""Do both sides use the same unconstrained coordinates? What follows in them is comparable only then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.tolerances import agree


@dataclass(frozen=True)
class Position:
    """A shared point in each side's unconstrained coordinates, under Pyro's names."""

    point: Point
    coordinates: dict[str, Arrays]


def positions(context: Context, count: int) -> list[Position]:
    """Up to ``count`` shared points in unconstrained coordinates, taken evenly from all kinds of points."""
    stride = max(1, len(context.points) // count)
    chosen = range(len(context.points))[::stride][:count]
    known = context.results.setdefault("coordinates", {})
    todo = [i for i in chosen if i not in known]
    points = [context.points[i] for i in todo]

    def look(side: str, program: Program) -> list[Arrays]:
        at = (context.values(side, point, discrete=False) for point in points)
        return [context.pair.from_side(side, program.unconstrain(values)) for values in at]

    looked = context.both(look)
    known.update({i: {side: looked[side][row] for side in SIDES} for row, i in enumerate(todo)})
    return [
        Position(context.points[i], known[i])
        for i in chosen
        if all(np.all(np.isfinite(v)) for side in SIDES for v in known[i][side].values())
    ]


def moved_sites(context: Context, found: list[Position]) -> list[str]:
    """Sites whose unconstrained coordinates differ between the sides at some point."""
    return sorted(
        {
            name
            for position in found
            for name, value in position.coordinates["pyro"].items()
            if name in position.coordinates["numpyro"]
            and not agree("unconstrained", value, position.coordinates["numpyro"][name])
        }
    )


def dynamic_sites(context: Context, side: str = "numpyro") -> list[str]:
    """Latent sites whose support moves with the point, as a side has it: Pyro's sampler freezes it where it starts."""
    cached = context.results.get("dynamic sites")
    if cached is not None:
        return cached
    seen: dict[str, set[tuple[Any, ...]]] = {}
    for point in context.points[:: max(1, len(context.points) // 4)]:
        for site in context.programs[side].sites(context.values(side, point, discrete=True)):
            if site.kind == "latent":
                bounds = ((end, value.tobytes()) for end, value in sorted(site.bounds.items()))
                seen.setdefault(site.name, set()).add((site.support, *bounds))
    names = context.pair.from_side(side, {name: s for name, s in seen.items() if len(s) > 1})
    context.results["dynamic sites"] = sorted(names)
    return context.results["dynamic sites"]
