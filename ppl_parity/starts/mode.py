"""Starts around a mode of the mixture's posterior, with the mass matrix that belongs there.

Each chain searches a mode of its own, and a few more searches look for others. What counts is the mass that a mode
holds, not its height (``masses``), and one whose small components are empty is tried as well; chains are shared out
among the modes that hold some. They start two posterior standard deviations (of the Laplace approximation) away
from their modes, farther apart than they end, so that R-hat can mean something. Importance weights of draws
from the approximation say how good it is: where it is good, its covariance is as good a mass matrix as
warmup could find, and warmup is left with the step size alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppl_parity import reference
from ppl_parity.backend.contract import Arrays
from ppl_parity.spec import MixtureSpec
from ppl_parity.starts.information import observed_information, sticks
from ppl_parity.starts.kmeans import too_few
from ppl_parity.starts.masses import log_mass, log_share_of_empty, without
from ppl_parity.starts.search import MAX_ROWS, Pass, Point, em_step, one_pass, quick_search, search
from ppl_parity.statistics.assignment import assign

SPREAD = 2.0  # posterior standard deviations between a chain's start and its mode
MAX_DENSE = 256  # numbers in a chain up to which the mass matrix is dense
FAR_BELOW = 5.0  # nats: a mode that holds less than e^-5 of the best one's mass
LITTLE_WORK = 100_000  # rows x columns x components up to which data are searched some more
MORE_SEARCHES = 16  # of these: seeds and EM alone, some milliseconds each
WORTH_A_CLIMB = 20.0  # nats below the best height, up to which volume may make up for what is lacking
FEW = 10, 5  # rows of a component, and more for each column, up to which it may hold more mass without any
EMPTY, SHUNNED = 0.5, 0.1  # rows of a component that has none, and the share of those that its weight is due
NUM_WEIGHTS = 64  # draws of the approximation that judge it
MAX_DEVIATION = 1.5  # nats, of their log importance weights, up to which the approximation is trusted
MAX_STEPS = 20  # of the last climb
SAME = 0.3  # posterior sd between two ends of one climb
PRIOR_DRAWS = 20  # of where a component is tried that shall have no rows
SHORT_WARMUP = 100  # iterations, where only the step size is left to find


@dataclass(frozen=True)
class Start:
    """Starting values, the mass matrix to start with, and whether it can stay.

    Args:
        values: theta (C, K) and beta (C, K, D), one for each chain.
        inverse_mass: (P, P) or (P,), as ``contract.Backend.sample_posterior`` takes it.
        trusted: the approximation holds, so that the mass matrix need not be adapted.
        note: what was done, in a sentence.
        num_modes: among which the chains are shared out.
    """

    values: Arrays
    inverse_mass: np.ndarray
    trusted: bool
    note: str
    num_modes: int = 1


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
    known = _distinct(modes)
    known += _others(spec, x, known, np.random.default_rng(streams[0].spawn(1)[0]))
    best = max(known, key=lambda mode: mode.log_mass)
    emptied = _emptied(spec, x, best, shared)
    if emptied is not None:
        known.append(emptied)
        best = max(best, emptied, key=lambda mode: mode.log_mass)
    kept = sorted(
        (mode for mode in known if mode.log_mass >= best.log_mass - FAR_BELOW), key=lambda m: -m.log_mass
    )
    failed = [mode not in kept for mode in modes]
    chosen = _shared_out(kept, num_chains)
    scale = best.scale
    starts = []
    for mode, rng in zip(chosen, rngs, strict=True):
        moved = mode.coordinates + SPREAD * _times(mode.scale, rng.standard_normal(len(mode.coordinates)))
        starts.append(_point(spec, moved))
    deviation = _deviation(spec, x, best, shared)
    trusted = deviation <= MAX_DEVIATION
    note = (
        f"k-means++, EM and Newton to a mode of the posterior, moved by {SPREAD:g} posterior sd; "
        f"mass from the observed information there ({'dense' if scale.ndim == 2 else 'diagonal'}), "
        f"{'kept' if trusted else 'adapted in warmup'}, for the posterior and its Laplace approximation "
        f"differ by {deviation:.2g} nats (sd)"
    )
    if any(failed):
        count = sum(failed)
        note += f"; {count} of {num_chains} searches ended at a mode of little mass, which "
        note += "was dropped" if count == 1 else "were dropped"
    if len(kept) > 1:
        shares = ", ".join(f"{share:.0%}" for share in _shares(kept))
        started = ", ".join(str(chosen.count(mode)) for mode in kept)
        note += f"; {len(kept)} modes hold {shares} of the posterior by Laplace's method; chains that start there: "
        note += started
    if best.num_empty:
        note += f"; with {best.num_empty} of {spec.num_components} components empty, which holds more mass"
    values = {
        "theta": np.stack([point.theta for point in starts]),
        "beta": np.stack([point.beta for point in starts]),
    }
    inverse_mass = scale @ scale.T if scale.ndim == 2 else scale**2
    return Start(values, inverse_mass, trusted, note + too_few(spec, x), len(kept))


@dataclass(frozen=True, eq=False)
class _Mode:
    """A mode: its unconstrained coordinates, beta then y; a square root of its covariance; height and log mass."""

    coordinates: np.ndarray
    scale: np.ndarray
    log_target: float
    log_mass: float
    num_empty: int = 0


def _modes(
    spec: MixtureSpec, x: np.ndarray, rngs: list[np.random.Generator], shared: np.random.Generator
) -> list[_Mode]:
    modes: list[_Mode] = []
    reach = _reach(spec, x)
    first: Point | None = None
    for rng in rngs:
        point = search(spec, x, rng)
        if first is None:
            first = point
        else:
            point = _relabelled(spec, point, first)
        near = [mode for mode in modes if _apart(spec, mode, point) < reach]
        modes.append(near[0] if near else _polished(spec, x, point, shared))
    # Two searches that ended a little apart may have climbed to one mode.
    for i, mode in enumerate(modes):
        end = _point(spec, mode.coordinates)
        same = [other for other in modes[:i] if _apart(spec, other, end) < SAME]
        modes[i] = same[0] if same else mode
    return modes


def _reach(spec: MixtureSpec, x: np.ndarray) -> float:
    """Posterior sd of the mode within which a search that has ended is on its way there.

    The search saw a sample of the rows, whose mode is as many times farther off as the sample is smaller.
    """
    return float(2 * np.sqrt(spec.num_components * (spec.dim + 1) * max(1.0, len(x) / MAX_ROWS)))


def _relabelled(spec: MixtureSpec, point: Point, pivot: Point) -> Point:
    """The same point with its components in the order that is nearest to the pivot's."""
    apart = np.sum((pivot.beta[:, None] - point.beta) ** 2, axis=-1) / spec.noise_scale**2
    order = np.arange(spec.num_components)
    for alike in (spec.concentration == value for value in np.unique(spec.concentration)):
        own = np.flatnonzero(alike)  # the prior tells the others apart: their permutation is another point
        order[own] = own[assign(apart[np.ix_(own, own)][None])[0]]
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
    mode = _Mode(_coordinates(spec, point), scale, now.log_target, log_mass(spec, now.log_target, scale))
    if _distance(mode, begun) > 1:  # the curvature was taken too far away
        scale = _scale(spec, point, x, rng)
        mode = replace(mode, scale=scale, log_mass=log_mass(spec, now.log_target, scale))
    return mode


def _distinct(modes: Sequence[_Mode]) -> list[_Mode]:
    return [mode for i, mode in enumerate(modes) if mode not in modes[:i]]


def _others(spec: MixtureSpec, x: np.ndarray, known: list[_Mode], rng: np.random.Generator) -> list[_Mode]:
    """Modes that a few chains' searches may all have missed, as the second of two equal ones."""
    if x.size * spec.num_components > LITTLE_WORK or spec.num_components == 1:
        return []
    found: list[_Mode] = []
    highest = max(mode.log_target for mode in known)
    pivot = _point(spec, known[0].coordinates)
    for _ in range(MORE_SEARCHES):
        point, height = quick_search(spec, x, rng)
        if height < highest - WORTH_A_CLIMB:
            continue
        if any(_apart(spec, mode, point) < _reach(spec, x) for mode in (*known, *found)):
            continue
        mode = _polished(spec, x, _relabelled(spec, point, pivot), rng)
        end = _point(spec, mode.coordinates)
        if all(_apart(spec, other, end) >= SAME for other in (*known, *found)):
            found.append(mode)
    return found


def _emptied(spec: MixtureSpec, x: np.ndarray, mode: _Mode, rng: np.random.Generator) -> _Mode | None:
    """The mode without its smallest components' rows, if that holds more mass, or nearly as much."""
    if mode.scale.ndim == 1:  # whose volume is another one's than that of fewer numbers, which are dense
        return None
    theta, beta = (part := _point(spec, mode.coordinates)).theta, part.beta
    counts = one_pass(spec, part, x).counts
    empty: list[int] = []
    held, found = mode.log_mass - FAR_BELOW, None
    for k in map(int, np.argsort(counts)):
        if counts[k] > FEW[0] + FEW[1] * spec.dim or len(empty) == spec.num_components - 1:
            break
        if counts[k] < EMPTY:
            continue
        tried = [*empty, k]
        kept = [j for j in range(spec.num_components) if j not in tried]
        less = without(spec, tried)
        rest = _polished(less, x, Point(theta[kept] / theta[kept].sum(), beta[kept]), rng)
        mass = rest.log_mass + log_share_of_empty(spec, tried, len(x))
        if mass <= held:
            continue
        if (whole := _with_empty(spec, x, rest, tried, mass, rng)) is not None:
            empty, held, found = tried, max(mass, held), whole
    return found


def _with_empty(
    spec: MixtureSpec, x: np.ndarray, rest: _Mode, empty: list[int], mass: float, rng: np.random.Generator
) -> _Mode | None:
    """A mode of the other components with those that are empty, each of which has its prior.

    None where the prior is no wider than the data: there a component takes rows from most places, and is not empty.
    """
    kept = [k for k in range(spec.num_components) if k not in empty]
    others = _point(without(spec, empty), rest.coordinates)
    total = spec.concentration.sum() + len(x)
    theta = spec.concentration / total
    theta[kept] = others.theta * (1 - theta[empty].sum())
    beta = np.tile(spec.prior_mean, (spec.num_components, 1))
    beta[kept] = others.beta
    away = beta.copy()
    for k in empty:
        drawn = rng.multivariate_normal(spec.prior_mean, spec.prior_cov, size=PRIOR_DRAWS)
        counts = [one_pass(spec, _moved(theta, away, k, at), x).counts[k] for at in drawn]
        if np.median(counts) > min(EMPTY, SHUNNED * len(x) * theta[k]):
            return None
        away[k] = drawn[np.argmin(counts)]
    now = one_pass(spec, Point(theta, away), x)
    scale = _scale(spec, Point(theta, away), x, rng)
    return _Mode(_coordinates(spec, Point(theta, beta)), scale, now.log_target, mass, len(empty))


def _moved(theta: np.ndarray, beta: np.ndarray, k: int, at: np.ndarray) -> Point:
    moved = beta.copy()
    moved[k] = at
    return Point(theta, moved)


def _shared_out(kept: Sequence[_Mode], num_chains: int) -> list[_Mode]:
    """A chain for each mode, the heaviest first, and the others by mass."""
    if len(kept) >= num_chains:
        return list(kept[:num_chains])
    wanted = _shares(kept) * num_chains
    counts = np.ones(len(kept), dtype=int)
    for _ in range(num_chains - len(kept)):
        counts[np.argmax(wanted - counts)] += 1
    return [mode for mode, count in zip(kept, counts, strict=True) for _ in range(count)]


def _shares(modes: Sequence[_Mode]) -> np.ndarray:
    masses = np.exp([mode.log_mass - modes[0].log_mass for mode in modes])
    return masses / masses.sum()


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


def _apart(spec: MixtureSpec, mode: _Mode, point: Point) -> float:
    """The distance of what the point is with its components named as the mode's: two modes may be equally far from a
    third one's names.
    """
    named = _relabelled(spec, point, _point(spec, mode.coordinates))
    return _distance(mode, _coordinates(spec, named))


def _times(scale: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return scale @ vector if scale.ndim == 2 else scale * vector
