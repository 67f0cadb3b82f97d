"""Quantities that do not change when a mixture's components are renamed: compare these before any label.

Draw by draw they are (chain, draw, ...), so that an effective sample size can be computed for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from ppl_parity.draws.posterior import group
from ppl_parity.errors import InputError

if TYPE_CHECKING:
    from xarray import DataTree

# A matrix of pairs: 5,000 rows take 200 MB, and ten times the rows a hundred times that.
MAX_COCLUSTERING_ROWS = 5000
# One-hot labels of one chunk of draws, in numbers: 64 MB in float32.
CHUNK = 16_000_000


def invariants(tree: DataTree) -> dict[str, np.ndarray]:
    """Every label-invariant quantity that the draws of a mixture give.

    Args:
        tree: with ``theta`` and ``beta`` in ``posterior``; ``lp`` in ``sample_stats``, ``x`` in
            ``log_likelihood`` and ``z`` in ``posterior`` are used where present.

    Returns:
        ``mixture_mean`` (C, S, D), ``mixture_variance`` (C, S, D), ``theta_squared`` (C, S), and, where
        possible, ``log_density`` (C, S), ``predictive_ratio`` (C, S, N), ``same_cluster_share`` (C, S).
    """
    posterior = group(tree, "posterior")
    theta, beta = posterior["theta"].values, posterior["beta"].values
    result = {
        "mixture_mean": mixture_mean(theta, beta),
        "mixture_variance": mixture_variance(theta, beta),
        "theta_squared": theta_squared(theta),
    }
    if "lp" in (stats := group(tree, "sample_stats")):
        result["log_density"] = stats["lp"].values
    if "x" in (log_likelihood := group(tree, "log_likelihood")):
        result["predictive_ratio"] = predictive_ratio(log_likelihood["x"].values)
    if "z" in posterior:
        result["same_cluster_share"] = same_cluster_share(posterior["z"].values)
    return result


def mixture_mean(theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """The mean of a new observation, sum_k theta_k beta_k: (C, S, K), (C, S, K, D) -> (C, S, D)."""
    return np.einsum("csk,cskd->csd", theta, beta)


def mixture_variance(theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """The spread of components, sum_k theta_k (beta_k - mean)^2: (C, S, K), (C, S, K, D) -> (C, S, D)."""
    centred = beta - mixture_mean(theta, beta)[:, :, None]
    return np.einsum("csk,cskd->csd", theta, centred**2)


def theta_squared(theta: np.ndarray) -> np.ndarray:
    """The probability that two rows share a component, sum_k theta_k^2: (C, S, K) -> (C, S)."""
    return np.einsum("csk,csk->cs", theta, theta)


def log_predictive(log_likelihood: np.ndarray) -> np.ndarray:
    """The log predictive density at each row, log mean_s exp(log_likelihood_si): (C, S, N) -> (N,)."""
    log_likelihood = np.asarray(log_likelihood, dtype=np.float64)
    num_draws = log_likelihood.shape[0] * log_likelihood.shape[1]
    return np.asarray(logsumexp(log_likelihood, axis=(0, 1))) - np.log(num_draws)


def predictive_ratio(log_likelihood: np.ndarray) -> np.ndarray:
    """Each draw's density at each row over its mean over draws, exp(log_likelihood_si - log_predictive_i).

    Its mean is 1 and, to first order, its MCSE is the MCSE of ``log_predictive``.

    Args:
        log_likelihood: (C, S, N).

    Returns:
        (C, S, N).
    """
    return np.exp(np.asarray(log_likelihood, dtype=np.float64) - log_predictive(log_likelihood))


def same_cluster_share(z: np.ndarray) -> np.ndarray:
    """Each draw's share of pairs of rows in one cluster, sum_k (n_k / N)^2, a row with itself included.

    Args:
        z: (C, S, N), integers from 0.

    Returns:
        (C, S).
    """
    z = _labels(z)
    counts = [np.count_nonzero(z == k, axis=-1) for k in range(int(z.max()) + 1)]
    return np.sum((np.stack(counts, axis=-1) / z.shape[-1]) ** 2, axis=-1)


def coclustering(z: np.ndarray) -> np.ndarray:
    """The posterior probability that two rows share a cluster, mean_s [z_si = z_sj].

    Args:
        z: (C, S, N), integers from 0, with N at most 5,000.

    Returns:
        (N, N), symmetric, with ones on its diagonal.

    Raises:
        InputError: there are more than 5,000 rows, or ``z`` is not an array of labels.
    """
    z = _labels(z)
    num_rows = z.shape[-1]
    if num_rows > MAX_COCLUSTERING_ROWS:
        raise InputError(
            f"Co-clustering holds a matrix of all pairs, so it takes at most {MAX_COCLUSTERING_ROWS} rows; "
            f"got {num_rows}. Give it a sample of them."
        )
    flat = z.reshape(-1, num_rows)
    step = max(1, CHUNK // num_rows)
    total = np.zeros((num_rows, num_rows))
    for start in range(0, len(flat), step):
        chunk = flat[start : start + step]
        for k in range(int(chunk.max()) + 1):
            member = (chunk == k).astype(np.float32)  # sums of at most CHUNK ones are exact
            total += member.T @ member
    return total / len(flat)


def _labels(z: np.ndarray) -> np.ndarray:
    z = np.asarray(z)
    if z.ndim != 3 or z.size == 0 or z.dtype.kind not in "iu" or z.min() < 0:
        raise InputError(
            f"z must have shape (C, S, N) and hold integers from 0; got shape {z.shape} and dtype {z.dtype}."
        )
    return z
