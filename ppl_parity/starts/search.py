"""From k-means++ by EM to a mode of the mixture's posterior, in the coordinates that NUTS works in.

In the stick-breaking coordinates y of theta the Jacobian is ``prod_k theta_k``, so the target depends on
theta through ``sum_k (alpha_k + n_k) log theta_k`` and both maximisations have a closed form:

    theta_k = (alpha_k + n_k) / sum_j (alpha_j + n_j)
    beta_k  = (Sigma^-1 + n_k / s^2 I)^-1 (Sigma^-1 mu + sum_i r_ik x_i / s^2)

Source: Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ppl_parity import native
from ppl_parity.spec import MixtureSpec
from ppl_parity.starts.kmeans import seeds

MAX_ROWS = 20_000  # of the data that the search looks at; the climb afterwards takes all of them
NUM_SEARCHES = 2  # k-means++ seedings of which the best is kept
MAX_FAILURES = 8  # of moves of one component in a row, after which the mode is taken as it is
MIN_SHARED = 0.1  # of a component's rows, from which on it is taken to share its cluster with another
TILE_NUMBERS = 1 << 18  # of logits at a time, which stay in the cache


@dataclass(frozen=True)
class Pass:
    """One pass over the data: log target, n_k, and sum_i r_ik (x_i - beta_k)."""

    log_target: float
    counts: np.ndarray
    moved: np.ndarray


@dataclass(frozen=True)
class Point:
    """theta (K,) and beta (K, D)."""

    theta: np.ndarray
    beta: np.ndarray


def one_pass(spec: MixtureSpec, point: Point, x: np.ndarray, weight: float = 1.0) -> Pass:
    """The log posterior (up to a constant) in NUTS's coordinates, and what EM and the gradient need.

    Args:
        x: (N, D). weight: how many rows each of them stands for.
    """
    log_theta = np.log(np.maximum(point.theta, np.finfo(float).tiny))
    run = _native_pass if native.available() and x.flags.c_contiguous else _array_pass
    value, counts, moved = run(spec, log_theta, point.beta, x)
    centred = point.beta - spec.prior_mean
    prior = -0.5 * float(np.sum(centred * np.linalg.solve(spec.prior_cov, centred.T).T))
    return Pass(
        weight * value + float(spec.concentration @ log_theta) + prior, weight * counts, weight * moved
    )


def _native_pass(spec: MixtureSpec, log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray):
    value, counts, slope = native.value_and_gradient(log_theta, beta, x, spec.noise_scale)
    return float(value), counts, slope * spec.noise_scale**2


def _array_pass(spec: MixtureSpec, log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray):
    value, counts, moved = 0.0, np.zeros(spec.num_components), np.zeros_like(beta)
    for rows, resp, log_rows in responsibility_tiles(spec, log_theta, beta, x):
        value += float(log_rows.sum())
        tile_counts = resp.sum(axis=0)
        counts += tile_counts
        moved += resp.T @ rows - tile_counts[:, None] * beta
    constant = 0.5 * x.size * math.log(2 * math.pi * spec.noise_scale**2)
    return value - constant, counts, moved


def responsibility_tiles(spec: MixtureSpec, log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray):
    """Walk over x: rows (n, D), r (n, K), and log p(x_i) (n,) up to the noise's constant."""
    step = max(1, TILE_NUMBERS // max(spec.num_components, spec.dim))
    variance = spec.noise_scale**2
    for start in range(0, len(x), step):
        rows = x[start : start + step]
        distance = np.sum(rows**2, axis=1)[:, None] - 2 * rows @ beta.T + np.sum(beta**2, axis=1)
        logits = log_theta - distance / (2 * variance)
        top = logits.max(axis=1)
        resp = np.exp(logits - top[:, None])
        total = resp.sum(axis=1)
        resp /= total[:, None]
        yield rows, resp, top + np.log(total)


def em_step(spec: MixtureSpec, point: Point, now: Pass) -> Point:
    """The maximisation that follows ``now``, a pass at ``point``."""
    weights = spec.concentration + now.counts
    precision = np.linalg.inv(spec.prior_cov)
    variance = spec.noise_scale**2
    sums = now.moved + now.counts[:, None] * point.beta
    left = precision + now.counts[:, None, None] / variance * np.eye(spec.dim)
    right = precision @ spec.prior_mean + sums / variance
    return Point(weights / weights.sum(), np.linalg.solve(left, right[..., None])[..., 0])


def search(spec: MixtureSpec, x: np.ndarray, rng: np.random.Generator) -> Point:
    """The best of a few k-means++ seedings, climbed by EM on a sample of the rows.

    Args:
        x: (N, D). rng: of the sample of rows and of the seedings.
    """
    rows = sample_rows(x, MAX_ROWS, rng)
    weight = len(x) / max(len(rows), 1)
    found = [_climb(spec, _seeded(spec, rows, rng), rows, weight) for _ in range(NUM_SEARCHES)]
    best = max(found, key=lambda pair: pair[1])
    return _split_and_merge(spec, *best, rows, weight, rng)


def quick_search(spec: MixtureSpec, x: np.ndarray, rng: np.random.Generator) -> tuple[Point, float]:
    """One seeding, climbed by EM on all rows, and its height."""
    rows = np.ascontiguousarray(x, dtype=np.float64)
    return _climb(spec, _seeded(spec, rows, rng), rows, 1.0)


def sample_rows(x: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many rows of x, in float64: all of them, or a sample."""
    if len(x) > most:
        # With replacement: a permutation of ten million rows takes longer than all that follows.
        x = x[np.sort(rng.integers(len(x), size=most))]
    return np.ascontiguousarray(x, dtype=np.float64)


def _seeded(spec: MixtureSpec, rows: np.ndarray, rng: np.random.Generator) -> Point:
    weights = np.full(spec.num_components, 1.0 / spec.num_components)
    return Point(weights, seeds(spec, rows, rng))


def _split_and_merge(
    spec: MixtureSpec, point: Point, height: float, rows: np.ndarray, weight: float, rng: np.random.Generator
) -> Point:
    """Free a component that shares its cluster with another, and try it where rows are explained worst.

    Source: Ueda, Nakano, Ghahramani and Hinton (2000), SMEM algorithm for mixture models.
    """
    failures = 0
    while failures < MAX_FAILURES:
        log_theta = np.log(np.maximum(point.theta, np.finfo(float).tiny))
        together, nearest = 0.0, []
        for tile, resp, _ in responsibility_tiles(spec, log_theta, point.beta, rows):
            together = together + resp.T @ resp
            away = np.sum((tile - point.beta[resp.argmax(axis=1)]) ** 2, axis=1)
            nearest.append(away / spec.noise_scale**2)
        # Of a small component in a large one's cluster its own column says so, whichever of the two comes first.
        shared = together / np.maximum(np.diag(together), 1e-9)
        np.fill_diagonal(shared, 0.0)
        kept, freed = np.unravel_index(shared.argmax(), shared.shape)
        if shared[kept, freed] < MIN_SHARED:
            break
        excess = np.maximum(np.concatenate(nearest) - spec.dim - np.sqrt(2 * spec.dim), 1e-9) ** 2
        theta, beta = point.theta.copy(), point.beta.copy()
        both = theta[kept] + theta[freed]
        beta[kept] = (theta[kept] * beta[kept] + theta[freed] * beta[freed]) / both
        beta[freed] = rows[rng.choice(len(rows), p=excess / excess.sum())]
        theta[kept], theta[freed] = both, max(1e-3, 1.0 / len(rows))
        tried, reached = _climb(spec, Point(theta / theta.sum(), beta), rows, weight)
        if reached > height + 1.0:
            point, height, failures = tried, reached, 0
        else:
            failures += 1
    return point


def _climb(
    spec: MixtureSpec, point: Point, rows: np.ndarray, weight: float, max_steps: int = 100
) -> tuple[Point, float]:
    before = -math.inf
    for _ in range(max_steps):
        now = one_pass(spec, point, rows, weight)
        # Less than a hundredth of a nat, per row that stands for many, is not worth another pass.
        if now.log_target - before < 0.01 * weight:
            break
        before, point = now.log_target, em_step(spec, point, now)
    return point, before
