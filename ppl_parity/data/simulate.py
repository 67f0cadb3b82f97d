"""Simulated data with their truth, by NumPy alone: data for tests, and a third voice beside both backends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec, check_seed


def simulate(spec: MixtureSpec, num_data: int, seed: int) -> dict[str, np.ndarray]:
    """Draw parameters from the prior and data from the model, in the order of its equations.

        theta  ~ Dirichlet(concentration)
        beta_k ~ MultivariateNormal(prior_mean, prior_cov)
        z_i    ~ Categorical(theta)
        x_i    ~ MultivariateNormal(beta_{z_i}, noise_scale^2 I)

    Args:
        spec: the mixture's hyperparameters.
        num_data: N, at least 1.
        seed: an integer in [0, 2**32); the same seed gives the same draws.

    Returns:
        ``theta`` (K,), ``beta`` (K, D) and ``x`` (N, D), float64, and ``z`` (N,), int64 in [0, K).

    Raises:
        InputError: ``num_data`` or ``seed`` is out of range.
    """
    num_data = _count("num_data (N)", num_data)
    rng = np.random.default_rng(check_seed(seed))
    theta = rng.dirichlet(spec.concentration)
    # The Cholesky factor L of prior_cov: mu + L u has covariance L L^T.
    factor = np.linalg.cholesky(spec.prior_cov)
    beta = spec.prior_mean + rng.standard_normal((spec.num_components, spec.dim)) @ factor.T
    z = rng.choice(spec.num_components, size=num_data, p=theta)
    return {"theta": theta, "beta": beta, "z": z, "x": _observe(rng, beta, z, spec.noise_scale)}


def well_separated(
    num_data: int,
    num_components: int,
    dim: int,
    separation: float,
    seed: int,
    noise_scale: float = 1.0,
    weights: Sequence[float] | None = None,
) -> dict[str, np.ndarray]:
    """Make clusters whose truth is known and can be found again: for tests of fits, not of the prior.

    The means stand on a cubic grid with a spacing of ``separation * noise_scale``, centred on the origin
    and turned at random, so that no two are closer than that. Component k has theta_k N observations, give or
    take one, in random order.

    Args:
        num_data: N, at least 1.
        num_components: K, at least 1.
        dim: D, at least 1.
        separation: the smallest distance between two means, in units of ``noise_scale``; positive.
        seed: an integer in [0, 2**32).
        noise_scale: s, the standard deviation of an observation around its mean; positive.
        weights: (K,), positive: theta, up to its sum; None is equal weights.

    Returns:
        ``theta`` (K,), ``beta`` (K, D) and ``x`` (N, D), float64, and ``z`` (N,), int64 in [0, K).

    Raises:
        InputError: one of these rules is broken.
    """
    num_data, num_components = _count("num_data (N)", num_data), _count("num_components (K)", num_components)
    dim = _count("dim (D)", dim)
    for name, value in {"separation": separation, "noise_scale": noise_scale}.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive and finite; got {value}.")
    rng = np.random.default_rng(check_seed(seed))
    side = next(side for side in itertools.count(1) if side**dim >= num_components)
    corners = itertools.islice(itertools.product(range(side), repeat=dim), num_components)
    grid = np.array(list(corners), dtype=np.float64) * (separation * noise_scale)
    turn, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
    beta = (grid - grid.mean(axis=0)) @ turn
    if weights is None:
        theta = np.full(num_components, 1.0 / num_components)
        z = rng.permutation(np.arange(num_data) % num_components)
    else:
        theta = _weights(weights, num_components)
        ends = np.rint(np.cumsum(theta) * num_data).astype(int)
        z = rng.permutation(np.searchsorted(ends, np.arange(num_data), side="right"))
    return {"theta": theta, "beta": beta, "z": z, "x": _observe(rng, beta, z, noise_scale)}


def _weights(weights: Sequence[float], num_components: int) -> np.ndarray:
    theta = np.asarray(weights, dtype=np.float64)
    if theta.shape != (num_components,) or not (np.isfinite(theta) & (theta > 0)).all():
        raise InputError(f"weights must be {num_components} positive numbers; got {weights}.")
    return theta / theta.sum()


def _observe(rng: np.random.Generator, beta: np.ndarray, z: np.ndarray, noise_scale: float) -> np.ndarray:
    return beta[z] + noise_scale * rng.standard_normal((len(z), beta.shape[1]))


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"{name} must be an integer of at least 1; got {value!r}.")
    return int(value)
