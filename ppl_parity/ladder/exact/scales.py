"""A posterior whose coordinates differ in scale by orders of magnitude, or are all but one another: seen, and measured.

A coefficient of incomes in dollars has a posterior sd of 1e-6 beside others of 0.05; an intercept and the slope of a
calendar year are correlated to six digits. L-BFGS ends far above the mode there, a step that is stable for one
coordinate leaves another where it is, and both libraries' warmup draws variances towards 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Values
from ppl_parity.ladder.exact.curvature import Curvature, Layout, curvature, estimated, in_units

# Measured: at a ratio of 300 both libraries' mass adaptation still does; a dense mass pays from 1e4 on, where a
# trajectory of a diagonal one takes a hundred steps.
BAD_RATIO, BAD_CONDITION = 300.0, 1e4
MOST_WHOLE = 100  # coordinates of which all second derivatives are asked for, once there is reason to
FURTHEST = 1e6  # that a step of Newton's makes a coordinate reach
PASSES = 4  # of measuring each coordinate in the unit found before
LEAST_EIGENVALUE = 1e-10  # of a correlation's inverse: below it, the rounding of differences
ROUND = 2.0  # a measured curvature within this of one needs no other pass


@dataclass(frozen=True)
class Scale:
    """Units in which a posterior is round: a unit normal z for u - mode = factor z.

    Attributes:
        layout: of the coordinates.
        widths: (P,) how far the posterior reaches along each coordinate, the others held.
        factor: (P, P), or its diagonal (P,).
        condition: of the second derivatives in units of ``widths``: how much longer than wide it is, squared.
    """

    layout: Layout
    widths: np.ndarray
    factor: np.ndarray
    condition: float

    def moved(self, z: np.ndarray) -> np.ndarray:
        """factor z"""
        return self.factor * z if self.factor.ndim == 1 else self.factor @ z

    def pulled(self, gradient: np.ndarray) -> np.ndarray:
        """factor' gradient"""
        return self.factor * gradient if self.factor.ndim == 1 else gradient @ self.factor

    def inverse_mass(self) -> np.ndarray:
        """The covariance that NUTS is to take for the posterior's: (P, P) or (P,)."""
        return self.factor**2 if self.factor.ndim == 1 else self.factor @ self.factor.T

    def ratio(self) -> float:
        """Of the widest coordinate to the narrowest."""
        return float(self.widths.max() / self.widths.min())

    def narrowest(self) -> str:
        """The site that has it."""
        least = {name: np.min(part, initial=np.inf) for name, part in self.layout.parts(self.widths).items()}
        return min(least, key=lambda name: least[name])


def bad_scale(
    program: Program, at: Arrays, known: Curvature | None = None, *, whole: bool = True, most: float = np.inf
) -> Scale | None:
    """The scale of a badly scaled potential at a point; None where there is nothing amiss.

    Args:
        known: the curvature there, if it was asked for already.
        whole: whether to ask for all second derivatives of more than ``CURVATURES`` coordinates, too.
        most: a ratio beyond which there is no use in it, as down a funnel; None there, too.
    """
    layout = Layout.of(at)
    size = sum(np.size(value) for value in at.values())
    if not size:
        return None
    found = curvature(program, at, np.random.default_rng(0)) if known is None else known
    widest = _widest(program, at, found)
    widths = _widths(found, widest)
    # An estimate of many is moved by what is beside each: of a ratio it sees the root.
    least = BAD_RATIO if found.matrix is not None else BAD_RATIO**0.5
    if _ratio(widths) <= least and _condition(found.matrix, widest) <= BAD_CONDITION:
        return None
    if found.matrix is None:
        widths = _estimated(program, at, widths, widest)
        if _ratio(widths) <= BAD_RATIO:
            return None
        if not whole or size > MOST_WHOLE:
            return Scale(layout, widths, widths, 1.0) if _ratio(widths) <= most else None
    if _ratio(widths) > most:
        return None
    scale = _measured(program, at, widths, widest)
    return scale if scale.ratio() > BAD_RATIO or scale.condition > BAD_CONDITION else None


def own_widths(program: Program, at: Arrays) -> Arrays:
    """How far the posterior reaches along each coordinate at a point, the others held."""
    found = curvature(program, at, np.random.default_rng(0))
    widest = _widest(program, at, found)
    widths = _widths(found, widest)
    if found.matrix is None:
        widths = _estimated(program, at, widths, widest)
    if len(widths) <= MOST_WHOLE:
        widths, _ = _own(program, at, widths, widest)
    return Layout.of(at).parts(widths)


def _widest(program: Program, at: Values, found: Curvature) -> np.ndarray:
    """A flat direction is no scale: 1, or the coordinate itself, as of an intercept in dollars, or the way to it."""
    layout = Layout.of(at)
    flat = layout.flat(at)
    way = np.abs(layout.slope(program)(flat)) / np.maximum(found.diagonal, 1 / FURTHEST**2)
    return np.maximum(1.0, np.maximum(np.abs(flat), np.minimum(np.nan_to_num(way), FURTHEST)))


def _widths(found: Curvature, widest: np.ndarray) -> np.ndarray:
    return 1 / np.sqrt(np.maximum(found.diagonal, 1 / widest**2))


def _ratio(widths: np.ndarray) -> float:
    return float(widths.max() / widths.min())


def _condition(matrix: np.ndarray | None, widest: np.ndarray) -> float:
    """Of the second derivatives in units of each coordinate's own; 1 where they are not positive definite."""
    if matrix is None:
        return 1.0
    # As much more curvature along flat coordinates as keeps them within ``widest``.
    held = matrix + np.diag(np.maximum(0.0, 1 / widest**2 - np.diagonal(matrix)))
    unit = 1 / np.sqrt(np.diagonal(held))
    w = np.linalg.eigvalsh(held * unit * unit[:, None])
    return float(w[-1] / w[0]) if w[0] > LEAST_EIGENVALUE else 1.0


def _estimated(program: Program, at: Arrays, widths: np.ndarray, widest: np.ndarray) -> np.ndarray:
    """Of many coordinates, each in the unit found before, where what is beside it disturbs the less."""
    for _ in range(PASSES):
        own = np.maximum(np.abs(estimated(program, at, widths)), (widths / widest) ** 2)
        widths = widths / np.sqrt(own)
    return widths


def _own(
    program: Program, at: Arrays, widths: np.ndarray, widest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each coordinate's width, measured in the unit found before until that changes little; the last measurement."""
    bent = np.eye(len(widths))
    for _ in range(PASSES):
        bent = in_units(program, at, widths)
        own = np.maximum(np.diagonal(bent), (widths / widest) ** 2)
        if np.all((own < ROUND) & (own > 1 / ROUND)):
            break
        widths = widths / np.sqrt(own)
    return widths, bent


def _measured(program: Program, at: Arrays, widths: np.ndarray, widest: np.ndarray) -> Scale:
    layout = Layout.of(at)
    widths, bent = _own(program, at, widths, widest)
    diagonal = Scale(layout, widths, widths, 1.0)
    held = np.maximum(0.0, (widths / widest) ** 2 - np.diagonal(bent)) / widths**2
    factor, condition = np.diag(widths), 1.0
    for _ in range(
        PASSES
    ):  # in the units found before, so that a long direction is measured along its own length
        bent = in_units(program, at, factor) + (factor.T * held) @ factor
        w, v = np.linalg.eigh(bent)
        if not (np.all(np.isfinite(w)) and w[0] > -LEAST_EIGENVALUE * w[-1]):
            return diagonal
        w = np.maximum(w, LEAST_EIGENVALUE * w[-1])
        factor, condition = factor @ (v / np.sqrt(w)) @ v.T, max(condition, float(w[-1] / w[0]))
        if w[-1] < ROUND and w[0] > 1 / ROUND:
            return Scale(layout, widths, factor, condition)
    return diagonal
