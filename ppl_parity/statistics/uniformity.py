"""Are ranks uniform? The question of simulation-based calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import ndtri


@dataclass(frozen=True)
class Ranks:
    """What Q sets of L ranks say.

    Attributes:
        p_value: (Q,) of uniformity: three times the smallest of the p-values for shape, location, spread.
        location: (Q,) mean of the normal scores; 0 if calibrated, in posterior standard deviations.
        spread: (Q,) their mean square; 1 if calibrated, more if the posterior is too narrow.
    """

    p_value: np.ndarray
    location: np.ndarray
    spread: np.ndarray


def ranks(truth: np.ndarray, draws: np.ndarray, seed: int) -> np.ndarray:
    """The place of the true value among the draws, as a number in (0, 1) that is uniform if all is well.

        u = ( #{draws < truth} + V (1 + #{draws = truth}) ) / (S + 1),    V ~ Uniform(0, 1)

    Args:
        truth: (Q,). draws: (S, Q), thinned until nearly independent.
        seed: of V, which breaks ties and makes u continuous.

    Returns:
        (Q,); NaN where the truth or a draw is not finite.

    Source: Talts et al. 2018, arXiv:1804.06788; Modrak et al. 2023, Bayesian Analysis, 10.1214/23-BA1404.
    """
    below = np.sum(draws < truth, axis=0)
    equal = np.sum(draws == truth, axis=0)
    jitter = np.random.default_rng(seed).uniform(size=np.shape(truth))
    u = (below + jitter * (1 + equal)) / (len(draws) + 1)
    return np.where(np.isfinite(truth) & np.all(np.isfinite(draws), axis=0), u, np.nan)


def uniformity(u: np.ndarray) -> Ranks:
    """Test the uniformity of L independent ranks for each of Q quantities.

    Kolmogorov and Smirnov's test sees a shift best, and hardly sees ranks that crowd at both ends, which is
    how a missing likelihood shows; normal scores z = Phi^-1(u) see both exactly:

        sqrt(L) mean(z) ~ N(0, 1),    sum z^2 ~ chi2(L)

    Args:
        u: (L, Q), in (0, 1).

    Returns:
        ``Ranks``; the smallest of the three p-values is multiplied by three (Bonferroni).

    Source: Cook, Gelman and Rubin 2006, JCGS 15:675; Saeilynoja et al. 2022, Statistics and Computing 32:32.
    """
    count = len(u)
    z = ndtri(u)
    location, square = z.mean(axis=0), np.sum(z**2, axis=0)
    shape = np.array([stats.kstest(column, "uniform").pvalue for column in u.T])  # type: ignore[attr-defined]
    shift = 2 * stats.norm.sf(np.abs(location) * np.sqrt(count))
    width = 2 * np.minimum(stats.chi2.sf(square, count), stats.chi2.cdf(square, count))
    smallest = np.min([shape, shift, width], axis=0)
    return Ranks(np.minimum(1.0, 3 * smallest), location, square / count)
