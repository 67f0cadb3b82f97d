"""Downhill of a point: to a mode, if there is one, in the units of the posterior where it is badly scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.exact.curvature import Curvature, Layout
from ppl_parity.ladder.exact.scales import Scale, bad_scale

HOPELESS = 1e299  # a potential above this is no number
ROUNDS = 5  # of a descent in the units that the last one ended in
STEPS = 100  # of each
NARROWING = 100.0  # a ratio that has grown so much is a funnel's
GAIN = 0.01  # nats: a round that gains less has arrived
STILL = 0.1  # nats that a step of Newton's may gain at a mode; down a funnel every one gains some


@dataclass(frozen=True)
class Mode:
    """Of a badly scaled posterior: where, how deep, and its scale there."""

    value: float
    where: Arrays
    scale: Scale


def descend(
    program: Program, start: Arrays, num_steps: int, scale: Scale | None = None
) -> tuple[float, Arrays, bool]:
    """The potential downhill of an unconstrained point, where, and whether that is a minimum.

    The potential is above ``HOPELESS`` if it is no number at the start; a density without a bound has no minimum.

    Args:
        program: whose potential it is.
        start: where to begin.
        num_steps: of L-BFGS, at most.
        scale: in whose units to go; None goes in those of the unconstrained coordinates.
    """
    layout = Layout.of(start)
    origin = layout.flat(start)

    def located(flat: np.ndarray) -> Arrays:
        return layout.parts(flat if scale is None else origin + scale.moved(flat))

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            value, gradient = program.potential_and_gradient(located(flat))
        except InputError:  # where a library refuses to go, as a concentration of 1e21, there is no way down
            return 10 * HOPELESS, np.zeros_like(flat)
        slope = layout.flat(gradient)
        usable = np.isfinite(value) and np.all(np.isfinite(slope))
        if not usable:
            return 10 * HOPELESS, np.zeros_like(flat)
        return value, slope if scale is None else scale.pulled(slope)

    flat = origin if scale is None else np.zeros_like(origin)
    options = {"maxiter": num_steps}
    found: Any = minimize(value_and_gradient, flat, jac=True, method="L-BFGS-B", options=options)
    value = float(found.fun) if np.isfinite(found.fun) else np.inf
    return value, located(found.x), bool(found.success) and value < HOPELESS


def badly_scaled_mode(
    program: Program, value: float, where: Arrays, known: Curvature | None = None
) -> Mode | None:
    """The mode downhill of where L-BFGS ended, if the posterior is badly scaled there; None if it is not.

    Args:
        value: the potential there.
        known: the curvature there, if it was asked for already.
    """
    if not value < HOPELESS:
        return None
    scale = bad_scale(program, where, known, whole=False)
    most = np.inf if scale is None else NARROWING * scale.ratio()
    for _ in range(ROUNDS):
        if scale is None:
            return None
        lower, there, _ = descend(program, where, STEPS, scale)
        gain = value - lower
        if gain > 0:
            value, where = lower, there
            scale = bad_scale(program, where, most=most)
        if gain < GAIN:
            break
    if scale is None:
        return None
    slope = scale.layout.slope(program)(scale.layout.flat(where))
    # Where there is no minimum there is no scale: as far down a funnel as one likes, it is as narrow as one likes.
    return Mode(value, where, scale) if 0.5 * np.sum(scale.pulled(slope) ** 2) < STILL else None
