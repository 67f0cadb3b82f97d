"""Starts around a mode of the mixture's posterior, with the mass matrix that belongs there.

Each chain searches a mode of its own; a mode that is far below the best one is a search that failed, and its
chain takes the best one. Chains start two posterior standard deviations (of the Laplace approximation) away
from their modes, farther apart than they end, so that R-hat can mean something. Importance weights of draws
from the approximation say how good it is: where it is good, its covariance is as good a mass matrix as
warmup could find, and warmup is left with the step size alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppl_parity import reference
from ppl_parity.backend.contract import Arrays
from ppl_parity.spec import MixtureSpec
from ppl_parity.starts.information import observed_information, sticks
from ppl_parity.starts.kmeans import too_few
from ppl_parity.starts.search import MAX_ROWS, Pass, Point, em_step, one_pass, search
from ppl_parity.statistics.assignment import assign

SPREAD = 2.0  # posterior standard deviations between a chain's start and its mode
MAX_DENSE = 256  # numbers in a chain up to which the mass matrix is dense
FAR_BELOW = 10.0  # nats: a mode that holds less than e^-10 of the best one's mass
NUM_WEIGHTS = 64  # draws of the approximation that judge it
MAX_DEVIATION = 1.5  # nats, of their log importance weights, up to which the approximation is trusted
MAX_STEPS = 20  # of the last climb
SHORT_WARMUP = 100  # iterations, where only the step size is left to find


@dataclass(frozen=True)
class Start:
    """Starting values, the mass matrix to start with, and whether it can stay.

    Args:
        values: theta (C, K) and beta (C, K, D), one for each chain.
        inverse_mass: (P, P) or (P,), as ``contract.Backend.sample_posterior`` takes it.
        trusted: the approximation holds, so that the mass matrix need not be adapted.
        note: what was done, in a sentence.
    """

    values: Arrays
    inverse_mass: np.ndarray
    trusted: bool
    note: str


def mode_start(spec: MixtureSpec, x: np.ndarray, num_chains: int, seed: int) -> Start:
    """k-means++, EM and Newton to a mode for each chain, and starts spread around it.

    Args:
        spec: the hyperparameters. x: (N, D) data.
        num_chains: C. seed: of the searches and of the spread.
    """
    streams = np.random.SeedSequence(seed).spawn(num_chains + 1)
    shared = np.random.default_rng(streams[-1])
    rngs = [np.random.default_rng(stream) for stream in streams[:-1]]
    modes = _modes(spec, x, rngs, shared)
    best = int(np.argmax([mode.log_target for mode in modes]))
    failed = [mode.log_target < modes[best].log_target - FAR_BELOW for mode in modes]
    chosen = [modes[best] if bad else mode for bad, mode in zip(failed, modes, strict=True)]
    scale = modes[best].scale
    starts = []
    for mode, rng in zip(chosen, rngs, strict=True):
        moved = mode.coordinates + SPREAD * _times(mode.scale, rng.standard_normal(len(mode.coordinates)))
        starts.append(_point(spec, moved))
    deviation = _deviation(spec, x, modes[best], shared)
    trusted = deviation <= MAX_DEVIATION
    note = (
        f"k-means++, EM and Newton to a mode of the posterior, moved by {SPREAD:g} posterior sd; "
        f"mass from the observed information there ({'dense' if scale.ndim == 2 else 'diagonal'}), "
        f"{'kept' if trusted else 'adapted in warmup'}, for the posterior and its Laplace approximation "
        f"differ by {deviation:.2g} nats (sd)"
    )
    if any(failed):
        note += f"; {sum(failed)} of {num_chains} searches ended at a lower mode and were dropped"
    others = sum(mode is not modes[best] for mode in chosen)
    if others:
        note += f"; {others} of {num_chains} chains start from another mode of like height"
    values = {
        "theta": np.stack([point.theta for point in starts]),
        "beta": np.stack([point.beta for point in starts]),
    }
    inverse_mass = scale @ scale.T if scale.ndim == 2 else scale**2
    return Start(values, inverse_mass, trusted, note + too_few(spec, x))


@dataclass(frozen=True, eq=False)
class _Mode:
    """A mode: its unconstrained coordinates, beta then y; a square root of its covariance."""

    coordinates: np.ndarray
    scale: np.ndarray
    log_target: float


def _modes(
    spec: MixtureSpec, x: np.ndarray, rngs: list[np.random.Generator], shared: np.random.Generator
) -> list[_Mode]:
    modes: list[_Mode] = []
    # The search saw a sample of the rows, whose mode is as many times farther off as the sample is smaller.
    reach = 2 * np.sqrt(spec.num_components * (spec.dim + 1) * max(1.0, len(x) / MAX_ROWS))
    first: Point | None = None
    for rng in rngs:
        point = search(spec, x, rng)
        if first is None:
            first = point
        else:
            point = _relabelled(spec, point, first)
        near = [mode for mode in modes if _distance(mode, _coordinates(spec, point)) < reach]
        modes.append(near[0] if near else _polished(spec, x, point, shared))
    # Two searches that ended a little apart may have climbed to one mode.
    for i, mode in enumerate(modes):
        same = [other for other in modes[:i] if _distance(other, mode.coordinates) < 0.3]
        modes[i] = same[0] if same else mode
    return modes


def _relabelled(spec: MixtureSpec, point: Point, pivot: Point) -> Point:
    """The same point with its components in the order that is nearest to the pivot's."""
    apart = np.sum((pivot.beta[:, None] - point.beta) ** 2, axis=-1) / spec.noise_scale**2
    if len(np.unique(spec.concentration)) > 1:
        return point  # the prior tells the components apart: a permutation is another point
    order = assign(apart[None])[0]
    return Point(point.theta[order], point.beta[order])


def _polished(spec: MixtureSpec, x: np.ndarray, point: Point, rng: np.random.Generator) -> _Mode:
    """Climb on all rows by Newton's method, and by EM where its step does not rise."""
    now, begun = one_pass(spec, point, x), _coordinates(spec, point)
    scale = _scale(spec, point, x, rng)
    for _ in range(MAX_STEPS):
        whitened = _times(scale.T, _gradient(spec, point, now))
        if whitened @ whitened < 1e-3:  # a thirtieth of a standard deviation, in all directions together
            break
        moved = _point(spec, _coordinates(spec, point) + _times(scale, whitened))
        then = one_pass(spec, moved, x)
        if not then.log_target > now.log_target:
            moved = em_step(spec, point, now)
            then = one_pass(spec, moved, x)
            if not then.log_target > now.log_target:
                break
        point, now = moved, then
    mode = _Mode(_coordinates(spec, point), scale, now.log_target)
    if _distance(mode, begun) > 1:  # the curvature was taken too far away
        mode = replace(mode, scale=_scale(spec, point, x, rng))
    return mode


def _scale(spec: MixtureSpec, point: Point, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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


def _coordinates(spec: MixtureSpec, point: Point) -> np.ndarray:
    """beta in C order, then y; a weight that has underflowed keeps y finite."""
    theta = np.maximum(point.theta, np.finfo(float).tiny)
    unconstrained = reference.unconstrain(spec, theta / theta.sum(), point.beta)
    return np.concatenate([point.beta.ravel(), unconstrained["theta"]])


def _point(spec: MixtureSpec, coordinates: np.ndarray) -> Point:
    K, D = spec.num_components, spec.dim
    beta, y = coordinates[: K * D].reshape(K, D), coordinates[K * D :]
    theta = reference.constrain(spec, {"theta": y, "beta": beta})["theta"]
    return Point(theta / theta.sum(), beta)


def _deviation(spec: MixtureSpec, x: np.ndarray, mode: _Mode, rng: np.random.Generator) -> float:
    """Standard deviation of the log importance weights of draws from the approximation, in nats."""
    noise = rng.standard_normal((NUM_WEIGHTS, len(mode.coordinates)))
    log_weights = [
        one_pass(spec, _point(spec, mode.coordinates + _times(mode.scale, xi)), x).log_target + 0.5 * xi @ xi
        for xi in noise
    ]
    return float(np.std(log_weights))


def _distance(mode: _Mode, coordinates: np.ndarray) -> float:
    """In posterior standard deviations."""
    away = coordinates - mode.coordinates
    if mode.scale.ndim == 1:
        return float(np.linalg.norm(away / mode.scale))
    return float(np.linalg.norm(np.linalg.solve(mode.scale, away)))


def _times(scale: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return scale @ vector if scale.ndim == 2 else scale * vector
