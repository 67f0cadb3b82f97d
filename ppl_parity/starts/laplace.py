"""A mode of the mixture's posterior and its Laplace approximation: found from a point nearby, and held to others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppl_parity import reference
from ppl_parity.spec import MixtureSpec
from ppl_parity.starts.information import observed_information, sticks
from ppl_parity.starts.masses import log_mass
from ppl_parity.starts.search import Pass, Point, em_step, one_pass
from ppl_parity.statistics.assignment import assign

MAX_DENSE = 256  # numbers in a chain up to which the mass matrix is dense
MAX_STEPS = 20  # of the last climb


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode: its unconstrained coordinates, beta then y; a square root of its covariance; height and log mass."""

    coordinates: np.ndarray
    scale: np.ndarray
    log_target: float
    log_mass: float
    num_empty: int = 0


def polished(spec: MixtureSpec, x: np.ndarray, point: Point, rng: np.random.Generator) -> Mode:
    """Climb on all rows by Newton's method, and by EM where its step does not rise."""
    now, begun = one_pass(spec, point, x), coordinates_of(spec, point)
    scale = scale_at(spec, point, x, rng)
    for _ in range(MAX_STEPS):
        whitened = times(scale.T, _gradient(spec, point, now))
        if whitened @ whitened < 1e-3:  # a thirtieth of a standard deviation, in all directions together
            break
        moved = point_at(spec, coordinates_of(spec, point) + times(scale, whitened))
        then = one_pass(spec, moved, x)
        if not then.log_target > now.log_target:
            moved = em_step(spec, point, now)
            then = one_pass(spec, moved, x)
            if not then.log_target > now.log_target:
                break
        point, now = moved, then
    mode = Mode(coordinates_of(spec, point), scale, now.log_target, log_mass(spec, now.log_target, scale))
    if distance(mode, begun) > 1:  # the curvature was taken too far away
        scale = scale_at(spec, point, x, rng)
        mode = replace(mode, scale=scale, log_mass=log_mass(spec, now.log_target, scale))
    return mode


def scale_at(spec: MixtureSpec, point: Point, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """L with L L^T the inverse of the information, (P, P) lower triangular; or its diagonal, (P,)."""
    if spec.num_components * (spec.dim + 1) - 1 > MAX_DENSE:
        return _diagonal_scale(spec, point, x)
    values, vectors = np.linalg.eigh(observed_information(spec, point, x, rng))
    # Away from a mode, or where a component is empty, curvature can be negative: the prior's is the least.
    least = min(1.0 / np.linalg.eigvalsh(spec.prior_cov)[-1], 1.0)
    values = np.maximum(np.abs(values), least)
    return np.linalg.cholesky((vectors / values) @ vectors.T)


def _diagonal_scale(spec: MixtureSpec, point: Point, x: np.ndarray) -> np.ndarray:
    """From the complete-data information, which is diagonal up to the prior's covariance."""
    counts = len(x) * point.theta
    in_beta = 1.0 / np.diag(spec.prior_cov) + counts[:, None] / spec.noise_scale**2
    stick = sticks(point.theta)
    later = np.cumsum((spec.concentration + counts)[::-1])[::-1][:-1]
    in_y = np.maximum(stick * (1 - stick) * later, np.finfo(float).tiny)
    return 1.0 / np.sqrt(np.concatenate([in_beta.ravel(), in_y]))


def _gradient(spec: MixtureSpec, point: Point, now: Pass) -> np.ndarray:
    weights, stick = spec.concentration + now.counts, sticks(point.theta)
    later = np.cumsum(weights[::-1])[::-1][1:]
    prior = np.linalg.solve(spec.prior_cov, (point.beta - spec.prior_mean).T).T
    in_beta = now.moved / spec.noise_scale**2 - prior
    return np.concatenate([in_beta.ravel(), (1 - stick) * weights[:-1] - stick * later])


def coordinates_of(spec: MixtureSpec, point: Point) -> np.ndarray:
    """beta in C order, then y; a weight that has underflowed keeps y finite."""
    theta = np.maximum(point.theta, np.finfo(float).tiny)
    unconstrained = reference.unconstrain(spec, theta / theta.sum(), point.beta)
    return np.concatenate([point.beta.ravel(), unconstrained["theta"]])


def point_at(spec: MixtureSpec, coordinates: np.ndarray) -> Point:
    K, D = spec.num_components, spec.dim
    beta, y = coordinates[: K * D].reshape(K, D), coordinates[K * D :]
    theta = reference.constrain(spec, {"theta": y, "beta": beta})["theta"]
    return Point(theta / theta.sum(), beta)


def relabelled(spec: MixtureSpec, point: Point, pivot: Point) -> Point:
    """The same point with its components in the order that is nearest to the pivot's."""
    apart = np.sum((pivot.beta[:, None] - point.beta) ** 2, axis=-1) / spec.noise_scale**2
    order = np.arange(spec.num_components)
    for alike in (spec.concentration == value for value in np.unique(spec.concentration)):
        own = np.flatnonzero(alike)  # the prior tells the others apart: their permutation is another point
        order[own] = own[assign(apart[np.ix_(own, own)][None])[0]]
    return Point(point.theta[order], point.beta[order])


def apart(spec: MixtureSpec, mode: Mode, point: Point) -> float:
    """The distance of what the point is with its components named as the mode's: two modes may be equally far from a
    third one's names.
    """
    named = relabelled(spec, point, point_at(spec, mode.coordinates))
    return distance(mode, coordinates_of(spec, named))


def distance(mode: Mode, coordinates: np.ndarray) -> float:
    """In posterior standard deviations."""
    away = coordinates - mode.coordinates
    if mode.scale.ndim == 1:
        return float(np.linalg.norm(away / mode.scale))
    return float(np.linalg.norm(np.linalg.solve(mode.scale, away)))


def times(scale: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return scale @ vector if scale.ndim == 2 else scale * vector
