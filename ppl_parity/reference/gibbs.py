"""A conjugate Gibbs sampler: the posterior for more data than ``exact.py`` can enumerate.

It shares nothing with NUTS (no gradient, no transform, no tuning) and z is sampled, not summed out, so it
can also judge the implementations' posterior of z. One sweep draws, in this order,

    theta  | z    ~ Dirichlet(alpha + n)
    beta_k | z, x ~ Normal(P_k^-1 (Sigma^-1 mu + sum_{z_i = k} x_i / s^2), P_k^-1)
                    with P_k = Sigma^-1 + n_k I / s^2
    z_i    | theta, beta, x ~ Categorical(responsibilities)

Like every sampler that moves one observation at a time, it does not cross between labellings of components
that are far apart: then compare only what does not depend on the labels, or relabel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ppl_parity.errors import InputError
from ppl_parity.reference.inputs import as_data, as_labels
from ppl_parity.spec import MixtureSpec, check_seed


def gibbs(
    spec: MixtureSpec,
    x: ArrayLike,
    num_draws: int,
    num_warmup: int,
    seed: int,
    *,
    num_chains: int | None = None,
    init_z: ArrayLike | None = None,
) -> dict[str, np.ndarray]:
    """Draw from the posterior p(theta, beta, z | x) by Gibbs sampling, all chains in step.

    Args:
        spec: the hyperparameters.
        x: (N, D).
        num_draws: S, kept sweeps per chain, at least 1.
        num_warmup: sweeps per chain before the first kept one, at least 0.
        seed: an integer in [0, 2**32); the same arguments give the same draws.
        num_chains: C; None means one chain, and results without a chain axis.
        init_z: where to start, (N,) for all chains or (C, N); by default each chain picks K centres from x,
            far ones more often (k-means++), and starts from the nearest.

    Returns:
        ``theta`` (S, K), ``beta`` (S, K, D) and ``z`` (S, N) int32, each with a leading axis C when
        ``num_chains`` is given; the three of one draw belong together.

    Raises:
        InputError: a number is out of range, or x or init_z has the wrong shape or values.

    Source: Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), 22.2; Arthur and Vassilvitskii (2007),
        "k-means++", for the start.
    """
    x = as_data(spec, x)
    for name, value, least in (
        ("num_draws", num_draws, 1),
        ("num_warmup", num_warmup, 0),
        ("num_chains", 1 if num_chains is None else num_chains, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name} must be an integer of at least {least}; got {value!r}.")
    rng = np.random.default_rng(check_seed(seed))
    chains = 1 if num_chains is None else int(num_chains)
    z = _start(spec, x, chains, rng) if init_z is None else _given(spec, x, chains, init_z)
    draws = {
        "theta": np.empty((chains, num_draws, spec.num_components)),
        "beta": np.empty((chains, num_draws, spec.num_components, spec.dim)),
        "z": np.empty((chains, num_draws, len(x)), dtype=np.int32),
    }
    prior_precision = np.linalg.inv(spec.prior_cov)
    for sweep in range(-num_warmup, num_draws):
        counts, sums = _sufficient(spec, x, z)
        log_theta = _draw_log_theta(spec, counts, rng)
        beta = _draw_beta(spec, prior_precision, counts, sums, rng)
        z = _draw_z(spec, x, log_theta, beta, rng)
        if sweep >= 0:
            draws["theta"][:, sweep] = np.exp(log_theta)
            draws["beta"][:, sweep] = beta
            draws["z"][:, sweep] = z
    return draws if num_chains is not None else {name: value[0] for name, value in draws.items()}


def _sufficient(spec: MixtureSpec, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts (C, K) and sums of x (C, K, D) in each component, from z (C, N)."""
    chains, num_components = len(z), spec.num_components
    cell = (z + num_components * np.arange(chains)[:, None]).ravel()
    size = chains * num_components
    counts = np.bincount(cell, minlength=size).reshape(chains, num_components)
    sums = [np.bincount(cell, np.tile(column, chains), size) for column in x.T]
    return counts, np.stack(sums, axis=-1).reshape(chains, num_components, spec.dim)


def _draw_log_theta(spec: MixtureSpec, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """log theta (C, K) from Dirichlet(alpha + n), through gammas whose logarithm cannot underflow."""
    a = spec.concentration + counts
    # Gamma(a) = Gamma(a + 1) U^(1/a), log U = -Exponential: for a tiny alpha the gamma itself would be 0.
    log_gamma = np.log(rng.standard_gamma(a + 1)) - rng.standard_exponential(a.shape) / a
    top = log_gamma.max(axis=1, keepdims=True)
    return log_gamma - top - np.log(np.exp(log_gamma - top).sum(axis=1, keepdims=True))


def _draw_beta(
    spec: MixtureSpec,
    prior_precision: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """beta (C, K, D): for P = L L^T, P m = b gives the mean, and L^-T times standard normals has cov P^-1."""
    noise = spec.noise_scale**2
    precision = prior_precision + counts[:, :, None, None] / noise * np.eye(spec.dim)
    shift = (prior_precision @ spec.prior_mean + sums / noise)[..., None]
    factor = np.linalg.cholesky(precision)
    half = np.linalg.solve(factor, shift) + rng.standard_normal(shift.shape)
    return np.linalg.solve(np.swapaxes(factor, -1, -2), half)[..., 0]


def _draw_z(
    spec: MixtureSpec, x: np.ndarray, log_theta: np.ndarray, beta: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """z (C, N), by inverting the distribution function of each observation's responsibilities."""
    logits = np.empty((spec.num_components, len(beta), len(x)))
    for k in range(spec.num_components):  # one component at a time: nothing of size C x N x K x D
        scaled = (x - beta[:, k, None, :]) / spec.noise_scale
        logits[k] = log_theta[:, k, None] - 0.5 * np.sum(scaled**2, axis=2)
    cumulative = np.cumsum(np.exp(logits - logits.max(axis=0)), axis=0)
    return np.sum(cumulative[:-1] <= rng.random(cumulative.shape[1:]) * cumulative[-1], axis=0)


def _start(spec: MixtureSpec, x: np.ndarray, chains: int, rng: np.random.Generator) -> np.ndarray:
    """z (C, N): each chain's own k-means++ centres, and for each observation the nearest of them."""
    z = np.zeros((chains, len(x)), dtype=np.int64)
    if len(x) == 0:
        return z
    for chain in range(chains):
        nearest = np.full(len(x), np.inf)
        for k in range(spec.num_components):
            total = nearest.sum()  # infinite before the first centre, 0 when every row is a centre
            weights = nearest / total if 0 < total < np.inf else None
            centre = x[rng.choice(len(x), p=weights)]
            distance = np.sum((x - centre) ** 2, axis=1)
            z[chain, distance < nearest] = k
            nearest = np.minimum(nearest, distance)
    return z


def _given(spec: MixtureSpec, x: np.ndarray, chains: int, init_z: ArrayLike) -> np.ndarray:
    labels = np.asarray(init_z)
    if labels.ndim == 2 and len(labels) != chains:
        raise InputError(f"init_z must have one row per chain, {chains}; got shape {labels.shape}.")
    rows = labels if labels.ndim == 2 else [labels] * chains
    return np.stack([as_labels(spec, row, len(x)) for row in rows])
