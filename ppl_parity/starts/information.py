"""The observed information of the mixture's posterior: the negative Hessian in NUTS's coordinates.

By Louis's identity it is the complete-data information less the covariance of the complete-data score,
over the responsibilities of each row. For a row of component k the score is

    in y:       A_kj = d log theta_k / d y_j = [j = k] (1 - v_j) - [j < k] v_j
    in beta_k:  (x_i - beta_k) / s^2

and the complete-data information is diagonal in y, ``v_j (1 - v_j) sum_{k >= j} (alpha_k + n_k)``, and
``Sigma^-1 + n_k / s^2 I`` in beta_k. One product of an (N, P) matrix with itself gives the rest.

Source: Louis (1982), Finding the observed information matrix when using the EM algorithm.
"""

from __future__ import annotations

import numpy as np

from ppl_parity.spec import MixtureSpec
from ppl_parity.starts.search import Point, responsibility_tiles, sample_rows

MAX_ROWS = 20_000  # of the data; a hundredth of the information's own size is near enough for a mass matrix


def sticks(theta: np.ndarray) -> np.ndarray:
    """v_j = theta_j / sum_{k >= j} theta_k, (K-1,): the share of the stick that is left."""
    left = np.cumsum(theta[::-1])[::-1]
    return theta[:-1] / left[:-1]


def observed_information(
    spec: MixtureSpec, point: Point, x: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The negative Hessian of the log posterior, (P, P): beta in C order, then y.

    Args:
        point: theta (K,) and beta (K, D). x: (N, D); a sample of its rows stands for all of them.
        rng: of that sample.
    """
    K, D = spec.num_components, spec.dim
    rows = sample_rows(x, MAX_ROWS, rng)
    weight = len(x) / max(len(rows), 1)
    variance = spec.noise_scale**2
    log_theta = np.log(np.maximum(point.theta, np.finfo(float).tiny))
    slopes = _slopes(point.theta)
    counts, first = np.zeros(K), np.zeros((K, D))
    second = np.zeros((K, D, D))
    outer = np.zeros((K * D + K - 1, K * D + K - 1))
    for tile, resp, _ in responsibility_tiles(spec, log_theta, point.beta, rows):
        away = (tile[:, None, :] - point.beta) / variance
        weighted = resp[..., None] * away
        counts += resp.sum(axis=0)
        first += weighted.sum(axis=0)
        second += weighted.transpose(1, 2, 0) @ away.transpose(1, 0, 2)
        score = np.concatenate([weighted.reshape(len(tile), K * D), resp @ slopes], axis=1)
        outer += score.T @ score
    counts, first, second, outer = (weight * total for total in (counts, first, second, outer))
    information = outer
    precision = np.linalg.inv(spec.prior_cov)
    for k in range(K):
        block = slice(k * D, (k + 1) * D)
        information[block, block] += precision + counts[k] / variance * np.eye(D) - second[k]
        cross = first[k][:, None] * slopes[k]
        information[block, K * D :] -= cross
        information[K * D :, block] -= cross.T
    stick = sticks(point.theta)
    later = np.cumsum((spec.concentration + counts)[::-1])[::-1]
    in_y = np.diag(stick * (1 - stick) * later[:-1]) - slopes.T @ (counts[:, None] * slopes)
    information[K * D :, K * D :] += in_y
    return information


def _slopes(theta: np.ndarray) -> np.ndarray:
    K, stick = len(theta), sticks(theta)
    k, j = np.indices((K, K - 1))
    return np.where(j == k, 1 - stick, 0.0) - np.where(j < k, stick, 0.0)
