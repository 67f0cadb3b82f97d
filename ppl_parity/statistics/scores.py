"""Normal scores: any scalar on a scale where its mean and its spread exist and mean the same as a Gaussian's.

A half-Cauchy has no mean, and a variance with a few large draws in it has no usable standard error. Ranks
among the pooled draws, read as quantiles of N(0, 1), keep the order, forget the tails, and give a Gaussian
quantity back almost as it was.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata


def normal_scores(*groups: np.ndarray) -> list[np.ndarray]:
    """Replace each draw by the normal quantile of its rank among the draws of all groups together.

        score = Phi^-1( (rank - 3/8) / (n + 1/4) )

    Args:
        groups: arrays (..., Q), any number of leading axes; infinities are ranked as what they are, and
            equal values share the mean of their ranks.

    Returns:
        Arrays of the same shapes.

    Source: Blom 1958; Vehtari et al. 2021, Bayesian Analysis 16:667, equation 14.
    """
    flat = [np.asarray(group, dtype=np.float64).reshape(-1, group.shape[-1]) for group in groups]
    pooled = np.concatenate(flat)
    scores = ndtri((rankdata(pooled, axis=0) - 0.375) / (len(pooled) + 0.25))
    parts = np.split(scores, np.cumsum([len(part) for part in flat])[:-1])
    return [part.reshape(group.shape) for part, group in zip(parts, groups, strict=True)]


def heavy_tailed(*groups: np.ndarray, limit: float = 6.0) -> np.ndarray:
    """Whether the pooled draws of a scalar are too heavy-tailed for a mean of squares, (Q,) of bool.

    A Gaussian's kurtosis is 3, a uniform's 1.8, an exponential's 9; from 6 on, the standard error of a
    variance is itself too noisy to be believed at the draws that a check can afford.

    Args:
        groups: arrays (..., Q).
        limit: the largest kurtosis that is still well behaved.
    """
    centred = [np.asarray(g, dtype=np.float64).reshape(-1, g.shape[-1]) for g in groups]
    with np.errstate(all="ignore"):
        centred = np.concatenate([part - np.mean(part, axis=0) for part in centred])
        kurtosis = np.mean(centred**4, axis=0) / np.mean(centred**2, axis=0) ** 2
    return ~(kurtosis <= limit) & (np.ptp(centred, axis=0) > 0)


def skewness(draws: np.ndarray) -> np.ndarray:
    """E[(x - m)^3] / sd^3 of each scalar of (n, Q); NaN of a constant."""
    centred = draws - draws.mean(axis=0)
    with np.errstate(all="ignore"):
        return np.mean(centred**3, axis=0) / np.mean(centred**2, axis=0) ** 1.5
