"""How a potential bends at a point: its second derivatives, by differences of gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Values

CURVATURES, PROBES = 30, 8  # so many coordinates are asked one by one; more together, so many times
STEP = 1e-6  # of a difference, in unconstrained units, or of the coordinate where that is large
OWN_STEP = 1e-3  # in units of what a posterior reaches: small beside it, and far above rounding


@dataclass(frozen=True)
class Layout:
    """Sites as one row of numbers, in the order in which a program gives them."""

    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, values: Values) -> Layout:
        """The sites' order and shapes."""
        return cls({name: np.shape(value) for name, value in values.items()})

    def flat(self, values: Values) -> np.ndarray:
        """(P,)"""
        return np.concatenate([np.ravel(values[name]) for name in self.shapes])

    def parts(self, flat: np.ndarray) -> Arrays:
        """The way back."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()])[:-1]
        split = np.split(flat, ends)
        return {n: part.reshape(s) for (n, s), part in zip(self.shapes.items(), split, strict=True)}

    def slope(self, program: Program) -> Callable[[np.ndarray], np.ndarray]:
        """The gradient of a potential, as a function of such rows."""
        return lambda at: self.flat(program.potential_and_gradient(self.parts(at))[1])


@dataclass(frozen=True)
class Curvature:
    """Of P coordinates.

    Attributes:
        diagonal: (P,) of the second derivatives, without their signs.
        matrix: (P, P), symmetric; None where the diagonal was estimated from directions of random signs.
    """

    diagonal: np.ndarray
    matrix: np.ndarray | None


def curvature(program: Program, at: Values, rng: np.random.Generator) -> Curvature:
    """In unconstrained units, with steps that suit a coordinate of the order of one."""
    layout = Layout.of(at)
    flat, slope = layout.flat(at), layout.slope(program)
    step = STEP * np.maximum(1.0, np.abs(flat))
    if flat.size <= CURVATURES:
        rows = np.array([_change(slope, flat, step * one) for one in np.eye(flat.size)]).reshape(
            flat.size, -1
        )
        matrix = rows / (2 * step[:, None])
        return Curvature(np.abs(np.diagonal(matrix)), (matrix + matrix.T) / 2)
    # Random signs estimate a diagonal up to what is beside it, which is enough for a scale.
    total = np.zeros(flat.size)
    for one in rng.choice([-1.0, 1.0], size=(PROBES, flat.size)):
        total += one * _change(slope, flat, step * one) / (2 * step)
    return Curvature(np.abs(total) / PROBES, None)


def in_units(program: Program, at: Values, factor: np.ndarray) -> np.ndarray:
    """The second derivatives (P, P) along the columns of ``factor`` (P, P), or of a diagonal (P,), each as its unit."""
    layout = Layout.of(at)
    flat, slope = layout.flat(at), layout.slope(program)
    columns = np.diag(factor) if factor.ndim == 1 else factor
    rows = np.array([_change(slope, flat, OWN_STEP * one) for one in columns.T]).reshape(flat.size, -1)
    matrix = rows @ columns / (2 * OWN_STEP)
    return (matrix + matrix.T) / 2


def estimated(program: Program, at: Values, widths: np.ndarray) -> np.ndarray:
    """Their diagonal (P,), each coordinate in units of its width, from a few directions."""
    layout = Layout.of(at)
    flat, slope = layout.flat(at), layout.slope(program)
    signs = np.random.default_rng(flat.size).choice([-1.0, 1.0], size=(PROBES, flat.size))
    changes = [one * widths * _change(slope, flat, OWN_STEP * widths * one) for one in signs]
    return np.mean(changes, axis=0) / (2 * OWN_STEP)


def _change(slope: Callable[[np.ndarray], np.ndarray], at: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Of the gradient, from a step before to a step behind; zero where that is no number."""
    with np.errstate(invalid="ignore", over="ignore"):
        change = slope(at + step) - slope(at - step)
    return np.where(np.isfinite(change), change, 0.0)
