"""A size's data, the points at which everything is held to the same density, and the reference's answers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.cases import SIZES
from ppl_parity import reference
from ppl_parity.backend.contract import Arrays
from ppl_parity.data.simulate import well_separated
from ppl_parity.spec import MixtureSpec
from ppl_parity.starts import kmeans_start

SEPARATION = 6.0  # between means, in noise sd: one mode up to the names of the components
HARD_SEPARATION, HARD_WEIGHTS = (
    2.0,
    (0.6, 0.3, 0.1),
)  # at the size H: clusters that overlap, one of them small
PRIOR_VARIANCE = 100.0
SEED = 20_240

# Multiples of a posterior standard deviation: near the mode, around it, on the way to it, and far out.
SPREADS = (0.5, 3.0, 30.0, 300.0)
# Of theta's coordinates at most: nearer to a vertex each library clamps probabilities at a number of its own.
MAX_THETA_SPREAD = 0.5


@lru_cache(maxsize=4)
def data(N: int, D: int, K: int) -> tuple[MixtureSpec, Arrays]:
    """The mixture, and simulated theta, beta and x; x holds numbers that float32 has, so both dtypes see it.

    Args:
        N, D, K: rows, columns, components.
    """
    if (N, D, K) == SIZES["H"]:
        truth = well_separated(N, K, D, HARD_SEPARATION, SEED, weights=HARD_WEIGHTS)
    else:
        truth = well_separated(N, K, D, SEPARATION, SEED)
    x = truth["x"].astype(np.float32).astype(np.float64)
    return MixtureSpec(K, D, 1.0, 0.0, PRIOR_VARIANCE, 1.0), {**truth, "x": x}


@lru_cache(maxsize=4)
def points(N: int, D: int, K: int, count: int) -> Arrays:
    """``count`` unconstrained points around the truth, from the mode out to the tails: site -> (count, ...)."""
    return _around(N, D, K, [SPREADS[p % len(SPREADS)] for p in range(count)])


def typical(N: int, D: int, K: int, count: int) -> Arrays:
    """``count`` points near the mode, where a sampler spends its time: what is timed is timed there.

    Far out, responsibilities are denormal numbers, which some libraries handle ten times more slowly.
    """
    return _around(N, D, K, [SPREADS[0]] * count)


def _around(N: int, D: int, K: int, spreads: list[float]) -> Arrays:
    spec, truth = data(N, D, K)
    centre = reference.unconstrain(spec, truth["theta"], truth["beta"])
    rng = np.random.default_rng(SEED)
    sd = np.sqrt(K / N)
    most = {"theta": MAX_THETA_SPREAD, "beta": np.inf}
    return {
        name: np.stack([value + min(s * sd, most[name]) * rng.standard_normal(value.shape) for s in spreads])
        for name, value in centre.items()
    }


def num_points(N: int, D: int, K: int) -> int:
    """How many points are affordable: the reference takes seconds a point at the largest sizes."""
    work = N * D * K
    return 20 if work <= 10**6 else 8 if work <= 10**7 else 4 if work <= 3 * 10**8 else 2


@lru_cache(maxsize=8)
def expected(N: int, D: int, K: int, count: int) -> tuple[np.ndarray, Arrays]:
    """The reference's potential (count,) and its gradient, site -> (count, ...), at ``points``."""
    spec, truth = data(N, D, K)
    rows = rows_of(points(N, D, K, count))
    values = np.array([reference.potential(spec, row, truth["x"]) for row in rows])
    slopes = [reference.potential_gradient(spec, row, truth["x"]) for row in rows]
    return values, {name: np.stack([slope[name] for slope in slopes]) for name in slopes[0]}


@lru_cache(maxsize=8)
def start(N: int, D: int, K: int, num_chains: int) -> Arrays:
    """Starting values of theta (C, K) and beta (C, K, D), the same for every sampler."""
    spec, truth = data(N, D, K)
    return kmeans_start(spec, truth["x"], num_chains, SEED)[0]


def rows_of(values: Arrays) -> list[dict[str, Any]]:
    """site -> (P, ...) as P points."""
    return [{n: v[p] for n, v in values.items()} for p in range(len(next(iter(values.values()))))]
