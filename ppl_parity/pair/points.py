"""Where both models are compared: a shared point, and where a trajectory starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ppl_parity.backend.contract import Arrays

PointKind = Literal["prior", "near", "tail", "edge", "given"]


@dataclass(frozen=True)
class Point:
    """A shared parameter value, under Pyro's site names.

    Attributes:
        name: ``prior draw 3 of pyro``, ``near the mode, 1``, ``tail 2``, or the user's.
        values: latent site -> constrained value, discrete ones included.
        kind: how it was made; a user may call a point anything.
    """

    name: str
    values: Arrays
    kind: PointKind = "given"

    @property
    def far(self) -> bool:
        """Whether it lies where no posterior is meant to be, and where arithmetic may end."""
        return self.kind in ("tail", "edge")


@dataclass(frozen=True)
class Walk:
    """Where a leapfrog trajectory starts, unconstrained, and the length of its steps.

    Attributes:
        inverse_mass: diagonal, of a posterior that is badly scaled; None is the identity.
    """

    point: str
    start: Arrays
    momentum: Arrays
    step: float
    inverse_mass: Arrays | None = None

    def presented(self, by: Callable[[Arrays], Arrays]) -> Walk:
        """With its sites renamed, or put together, by ``by``."""
        mass = None if self.inverse_mass is None else by(self.inverse_mass)
        return replace(self, start=by(self.start), momentum=by(self.momentum), inverse_mass=mass)
