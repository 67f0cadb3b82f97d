"""Every probability of the mixture at one point, in float64, with distances taken as differences.

``|x - beta|^2`` is summed from the differences themselves. The expanded form ``|x|^2 - 2 x.beta + |beta|^2``
is faster and is what the implementations use; it also cancels, which is why the reference does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, logsumexp, xlogy

from ppl_parity.reference.inputs import as_data, as_labels, as_means, as_simplex, as_weights
from ppl_parity.spec import MixtureSpec

BLOCK_VALUES = 1 << 20  # numbers in one (rows, K, D) block of differences: 8 MiB


def site_log_probs(
    spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike, z: ArrayLike, x: ArrayLike
) -> dict[str, np.ndarray]:
    """Log probability of each site, element by element, with z given.

        theta: log Dirichlet(theta; alpha)                beta: log Normal(beta_k; mu, Sigma)
        z:     log theta_{z_i}                            x:    log Normal(x_i; beta_{z_i}, s^2 I)

    A zero in theta is taken as the limit: nothing where alpha_k = 1, -inf where alpha_k > 1, +inf where
    alpha_k < 1. Two zeros that pull in opposite directions have no limit, and give NaN.

    Args:
        spec: the hyperparameters.
        theta: (K,), on the simplex.
        beta: (K, D), in the unit of the data.
        z: (N,) integers in [0, K).
        x: (N, D), in the unit of ``noise_scale``.

    Returns:
        Arrays of shape ``theta`` (), ``beta`` (K,), ``z`` (N,) and ``x`` (N,).

    Raises:
        InputError: a shape is wrong, a value is not finite, or theta is not on the simplex.
    """
    theta, beta, x = as_simplex(spec, theta), as_means(spec, beta), as_data(spec, x)
    z = as_labels(spec, z, len(x))
    scaled = (x - beta[z]) / spec.noise_scale
    return {
        "theta": np.asarray(log_dirichlet_constant(spec) + _log_powers(theta, spec.concentration - 1)),
        "beta": beta_log_prior(spec, beta),
        "z": safe_log(theta)[z],
        "x": -0.5 * np.sum(scaled**2, axis=1) + _log_noise_constant(spec),
    }


def log_joint(spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike, z: ArrayLike, x: ArrayLike) -> float:
    """Log density of everything, ``log p(theta, beta, z, x)``: the sum of all ``site_log_probs``.

    The powers of theta are added before the logarithm is taken, so that ``theta_k^(alpha_k - 1)`` and
    ``theta_k^(number of z_i = k)`` have the right common limit at theta_k = 0.

    Args, Raises: as for ``site_log_probs``.

    Returns:
        A float; -inf where the joint density is zero.
    """
    sites = site_log_probs(spec, theta, beta, z, x)
    counts = np.bincount(np.asarray(z, dtype=np.int64), minlength=spec.num_components)
    theta_and_z = _log_powers(np.asarray(theta, dtype=np.float64), spec.concentration - 1 + counts)
    return float(log_dirichlet_constant(spec) + theta_and_z + sites["beta"].sum() + sites["x"].sum())


def pointwise_log_density(spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike, x: ArrayLike) -> np.ndarray:
    """Log density of each observation with its z summed out.

        log p(x_i | theta, beta) = logsumexp_k [ log theta_k + log Normal(x_i; beta_k, s^2 I) ]

    Args:
        spec, beta, x: as for ``site_log_probs``.
        theta: (K,) weights; they need not sum to one, so that each can be varied on its own.

    Returns:
        (N,), in nats.

    Raises:
        InputError: a shape is wrong, a value is not finite, or a weight is negative.
    """
    theta, beta, x = as_weights(spec, theta), as_means(spec, beta), as_data(spec, x)
    result = np.empty(len(x))
    for rows, _, logits in blocks(spec, safe_log(theta), beta, x):
        result[rows] = logsumexp(logits, axis=1)
    return result


def log_likelihood(spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike, x: ArrayLike) -> float:
    """Sum over the observations of ``pointwise_log_density``, rounded once (exact summation)."""
    return math.fsum(pointwise_log_density(spec, theta, beta, x))


def log_density(spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike, x: ArrayLike) -> float:
    """Log density of parameters and data with z summed out, on the constrained scale (no Jacobian).

        log Dirichlet(theta; alpha) + sum_k log Normal(beta_k; mu, Sigma) + sum_i log p(x_i | theta, beta)

    Args, Raises: as for ``site_log_probs``, without z.

    Returns:
        A float, including every normalising constant.
    """
    theta, beta = as_simplex(spec, theta), as_means(spec, beta)
    theta_prior = log_dirichlet_constant(spec) + _log_powers(theta, spec.concentration - 1)
    return float(theta_prior + beta_log_prior(spec, beta).sum() + log_likelihood(spec, theta, beta, x))


def responsibilities(spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike, x: ArrayLike) -> np.ndarray:
    """Probability that each observation came from each component, ``p(z_i = k | x_i, theta, beta)``.

    Args, Raises: as for ``pointwise_log_density``.

    Returns:
        (N, K); every row sums to one.
    """
    theta, beta, x = as_weights(spec, theta), as_means(spec, beta), as_data(spec, x)
    result = np.empty((len(x), spec.num_components))
    for rows, _, logits in blocks(spec, safe_log(theta), beta, x):
        result[rows] = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    return result


def log_likelihood_gradient(
    spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike, x: ArrayLike
) -> dict[str, np.ndarray]:
    """Gradient of ``log_likelihood`` in (log theta, beta), each log theta_k varied on its own.

        d/d log theta_k = n_k = sum_i r_ik              d/d beta_k = sum_i r_ik (x_i - beta_k) / s^2

    Args, Raises: as for ``pointwise_log_density``.

    Returns:
        ``log_theta`` (K,), that is n_k, and ``beta`` (K, D).
    """
    theta, beta, x = as_weights(spec, theta), as_means(spec, beta), as_data(spec, x)
    _, counts, slope = likelihood_pass(spec, safe_log(theta), beta, x)
    return {"log_theta": counts, "beta": slope}


def likelihood_pass(
    spec: MixtureSpec, log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Value, n_k (K,) and gradient in beta (K, D) of the log likelihood, from log theta."""
    values, counts, slope = [], np.zeros(spec.num_components), np.zeros_like(beta)
    for _, scaled, logits in blocks(spec, log_theta, beta, x):
        value = np.asarray(logsumexp(logits, axis=1, keepdims=True))
        resp = np.exp(logits - value)
        values.append(value[:, 0])
        counts += resp.sum(axis=0)
        slope += np.einsum("nk,nkd->kd", resp, scaled)
    return math.fsum(np.concatenate(values) if values else ()), counts, slope / spec.noise_scale


def blocks(
    spec: MixtureSpec, log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Walk over x by blocks of rows: the rows, (x_i - beta_k) / s (n, K, D), log p(z_i = k, x_i) (n, K)."""
    step = max(1, BLOCK_VALUES // (spec.num_components * spec.dim))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        scaled = (x[rows, None, :] - beta) / spec.noise_scale
        yield rows, scaled, log_theta - 0.5 * np.sum(scaled**2, axis=2) + _log_noise_constant(spec)


def beta_log_prior(spec: MixtureSpec, beta: np.ndarray) -> np.ndarray:
    """``log Normal(beta_k; mu, Sigma)`` for each k, (K,), by the Cholesky factor of Sigma."""
    factor = np.linalg.cholesky(spec.prior_cov)
    from scipy.linalg import solve_triangular  # slow to import, and a fit has no use for it

    whitened = solve_triangular(factor, (beta - spec.prior_mean).T, lower=True)
    log_scale = np.log(np.diag(factor)).sum()
    return -0.5 * np.sum(whitened**2, axis=0) - log_scale - 0.5 * spec.dim * math.log(2 * math.pi)


def log_dirichlet_constant(spec: MixtureSpec) -> float:
    """``log Gamma(sum alpha) - sum_k log Gamma(alpha_k)``."""
    return float(gammaln(spec.concentration.sum()) - gammaln(spec.concentration).sum())


def _log_noise_constant(spec: MixtureSpec) -> float:
    return -spec.dim * (0.5 * math.log(2 * math.pi) + math.log(spec.noise_scale))


def _log_powers(theta: np.ndarray, powers: np.ndarray) -> float:
    """``log prod_k theta_k^power_k`` with 0^0 = 1."""
    with np.errstate(invalid="ignore"):  # inf - inf: documented as NaN, the limit does not exist
        return float(np.sum(xlogy(powers, theta)))


def safe_log(theta: np.ndarray) -> np.ndarray:
    """The logarithm, with log 0 = -inf in silence."""
    with np.errstate(divide="ignore"):
        return np.log(theta)
