"""The exact posterior of a handful of observations: the sum over all K^N assignments, each conjugate.

Given z, the counts n_k and the sums of x in each component are sufficient:

    theta  | z    ~ Dirichlet(alpha + n)
    beta_k | z, x ~ Normal(m_k, V_k),   V_k = (Sigma^-1 + n_k I / s^2)^-1,
                                        m_k = mu + V_k sum_{i: z_i = k} (x_i - mu) / s^2

and p(z | x) is proportional to p(z) p(x | z), a Dirichlet-categorical times a normal integral. With
Sigma = Q diag(l) Q^T and the data turned by Q, every V_k is diagonal, so no matrix is inverted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, logsumexp

from ppl_parity.errors import InputError
from ppl_parity.reference.inputs import as_data
from ppl_parity.spec import MixtureSpec

MAX_ASSIGNMENTS = 2_000_000
CHUNK_VALUES = 1 << 18  # numbers in the largest array of one chunk of assignments: 2 MiB, in cache


@dataclass(frozen=True, eq=False)
class ExactPosterior:
    """What ``exact_posterior`` returns; every entry is exact up to rounding.

    theta, beta and responsibilities depend on how the components are numbered: under a symmetric prior
    they are the same for every k. The other entries do not, and can be compared across samplers as they are.

    Args:
        log_evidence: log p(x).
        theta_mean, theta_sd: (K,).
        beta_mean, beta_sd: (K, D).
        responsibilities: (N, K), P(z_i = k | x), with theta and beta integrated out.
        co_clustering: (N, N), P(z_i = z_j | x).
        sum_theta_squared: E[sum_k theta_k^2 | x].
        mixture_mean: (D,), E[sum_k theta_k beta_k | x].
        mixture_second_moment: (D, D), E[sum_k theta_k beta_k beta_k^T | x].
        log_predictive_at_data: (N,), log p(x_new = x_i | x).
        log_predictive: (M,), log p(x_new | x) at the points that were given.
    """

    log_evidence: float
    theta_mean: np.ndarray
    theta_sd: np.ndarray
    beta_mean: np.ndarray
    beta_sd: np.ndarray
    responsibilities: np.ndarray
    co_clustering: np.ndarray
    sum_theta_squared: float
    mixture_mean: np.ndarray
    mixture_second_moment: np.ndarray
    log_predictive_at_data: np.ndarray
    log_predictive: np.ndarray


@dataclass(frozen=True, eq=False)
class _Chunk:
    """A assignments: one_hot (A, K, N), alpha + n (A, K), mean, var of beta (A, K, D), log p(z, x) (A,)."""

    one_hot: np.ndarray
    a: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    log_weight: np.ndarray


def exact_posterior(spec: MixtureSpec, x: ArrayLike, points: ArrayLike | None = None) -> ExactPosterior:
    """Exact posterior of the mixture, by summing over every assignment of x to components.

        p(theta, beta | x) = sum_z p(z | x) Dirichlet(theta; alpha + n) prod_k Normal(beta_k; m_k, V_k)

    Args:
        spec: the hyperparameters.
        x: (N, D), with K^N at most two million; N may be zero, which gives the prior.
        points: (M, D), where the posterior predictive density is wanted; none by default.

    Returns:
        An ``ExactPosterior``.

    Raises:
        InputError: K^N is too large, or x or points has the wrong shape or is not finite.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), 2.3.3 and 10.2, for the conjugate parts.
    """
    x = as_data(spec, x)
    points = np.zeros((0, spec.dim)) if points is None else as_data(spec, points)
    num_rows, num_components = len(x), spec.num_components
    if num_components**num_rows > MAX_ASSIGNMENTS:
        raise InputError(
            f"The exact posterior sums over K^N assignments, at most {MAX_ASSIGNMENTS:,}; "
            f"got K = {num_components} and N = {num_rows}."
        )
    eigenvalues, turn = np.linalg.eigh(spec.prior_cov)
    turned = (x - spec.prior_mean) @ turn
    targets = (np.concatenate([x, points]) - spec.prior_mean) @ turn

    log_weights = np.concatenate([c.log_weight for c in _chunks(spec, eigenvalues, turned, 0)])
    log_evidence = float(np.asarray(logsumexp(log_weights)))
    total = spec.concentration.sum() + num_rows
    theta, theta_square = np.zeros(num_components), np.zeros(num_components)
    beta = np.zeros((num_components, spec.dim))
    beta_square = np.zeros((num_components, spec.dim, spec.dim))
    mixture, mixture_square = np.zeros(spec.dim), np.zeros((spec.dim, spec.dim))
    resp, together = np.zeros((num_rows, num_components)), np.zeros((num_rows, num_rows))
    log_predictive = np.full(len(targets), -np.inf)
    for c in _chunks(spec, eigenvalues, turned, len(targets)):
        log_p = c.log_weight - log_evidence
        p = np.exp(log_p)
        share = c.a / total  # E[theta | z]
        theta += p @ share
        theta_square += p @ (c.a * (c.a + 1)) / (total * (total + 1))
        beta += np.einsum("a,akd->kd", p, c.mean)
        beta_square += _second_moments(np.broadcast_to(p[:, None], c.a.shape), c)
        mixture += np.einsum("ak,akd->d", p[:, None] * share, c.mean)
        mixture_square += _second_moments(p[:, None] * share, c).sum(axis=0)
        resp += np.tensordot(p, c.one_hot, axes=1).T
        together += np.tensordot(c.one_hot * p[:, None, None], c.one_hot, axes=([0, 1], [0, 1]))
        log_predictive = np.logaddexp(
            log_predictive, _log_predictive(log_p[:, None] + np.log(share), c, spec.noise_scale, targets)
        )

    mean_shift = turn @ mixture  # E[sum theta_k (beta_k - mu)]; sum theta_k = 1 makes what follows exact
    cross = np.outer(spec.prior_mean, mean_shift)
    beta_variance = beta_square - beta[:, :, None] * beta[:, None, :]
    return ExactPosterior(
        log_evidence=log_evidence,
        theta_mean=theta,
        theta_sd=np.sqrt(np.maximum(theta_square - theta**2, 0)),
        beta_mean=spec.prior_mean + beta @ turn.T,
        beta_sd=np.sqrt(np.einsum("ed,kdf,ef->ke", turn, beta_variance, turn)),
        responsibilities=resp,
        co_clustering=together,
        sum_theta_squared=float(theta_square.sum()),
        mixture_mean=spec.prior_mean + mean_shift,
        mixture_second_moment=np.outer(spec.prior_mean, spec.prior_mean)
        + cross
        + cross.T
        + turn @ mixture_square @ turn.T,
        log_predictive_at_data=log_predictive[:num_rows],
        log_predictive=log_predictive[num_rows:],
    )


def _chunks(
    spec: MixtureSpec, eigenvalues: np.ndarray, turned: np.ndarray, num_targets: int
) -> Iterator[_Chunk]:
    """Walk over all assignments, the digits of 0 .. K^N - 1 in base K."""
    num_rows, num_components, dim = len(turned), spec.num_components, spec.dim
    number, noise = num_components**num_rows, spec.noise_scale**2
    step = max(1, CHUNK_VALUES // (num_components * max(num_rows, num_targets, dim * dim, 1)))
    place = num_components ** np.arange(num_rows)
    log_theta_constant = (
        gammaln(spec.concentration.sum())
        - gammaln(spec.concentration.sum() + num_rows)
        - gammaln(spec.concentration).sum()
    )
    log_x_constant = -0.5 * num_rows * dim * math.log(2 * math.pi * noise) - 0.5 * np.sum(turned**2) / noise
    for start in range(0, number, step):
        digits = np.arange(start, min(start + step, number))[:, None] // place % num_components
        one_hot = (digits[:, None, :] == np.arange(num_components)[:, None]).astype(np.float64)
        counts = one_hot.sum(axis=2)
        sums = one_hot @ turned
        shrink = 1 / (1 + counts[:, :, None] * eigenvalues / noise)  # V_k / l, in (0, 1]
        var = eigenvalues * shrink
        mean = var * sums / noise
        a = spec.concentration + counts
        log_z = log_theta_constant + gammaln(a).sum(axis=1)
        log_x = log_x_constant + 0.5 * (np.log(shrink) + mean * sums / noise).sum(axis=(1, 2))
        yield _Chunk(one_hot, a, mean, var, log_z + log_x)


def _second_moments(weight: np.ndarray, c: _Chunk) -> np.ndarray:
    """``sum_a weight_ak E[(beta_k - mu)(beta_k - mu)^T | z_a]`` in turned coordinates, (K, D, D)."""
    moments = np.einsum("ak,akd,ake->kde", weight, c.mean, c.mean)
    diagonal = np.arange(c.mean.shape[2])
    moments[:, diagonal, diagonal] += np.einsum("ak,akd->kd", weight, c.var)
    return moments


def _log_predictive(log_weight: np.ndarray, c: _Chunk, noise_scale: float, targets: np.ndarray) -> np.ndarray:
    """``log sum_ak weight_ak Normal(target; m_k, V_k + s^2 I)``, (M,); log_weight is (A, K)."""
    if len(targets) == 0:
        return np.zeros(0)
    var = c.var + noise_scale**2
    log_weight = log_weight - 0.5 * np.log(2 * math.pi * var).sum(axis=2)
    # one dimension at a time: nothing of size A x K x M x D
    square = sum(
        (targets[:, d] - c.mean[:, :, None, d]) ** 2 / var[:, :, None, d] for d in range(targets.shape[1])
    )
    return np.asarray(logsumexp(log_weight[:, :, None] - 0.5 * square, axis=(0, 1)))
