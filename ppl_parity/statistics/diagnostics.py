"""How many draws a chain is worth, and whether chains agree: the rank-based diagnostics of Vehtari et al.

ArviZ has these too, and the tests hold each number here to its own. They are written again because a fit's command
should not wait for ArviZ, whose import is three quarters of a second, half of what a small fit takes in all. Scalars
are computed side by side.

Source: Vehtari, Gelman, Simpson, Carpenter, Bürkner 2021, Bayesian Analysis 16:667; the truncation of the sum of
autocorrelations is Geyer's (1992, Statistical Science 7:473), initial positive and monotone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtri

# The quantiles whose effective sample sizes make up the tail ESS (Vehtari et al. 2021, section 4.3).
TAIL = (0.05, 0.95)
MIN_DRAWS = 4  # per chain: two in each half
# Scalars are taken together as long as their draws fit into this many numbers, so that memory stays bounded.
BLOCK = 1 << 20


def ess(draws: np.ndarray, method: str = "bulk") -> np.ndarray:
    """Effective sample size of each scalar: draws / tau, tau = 1 + 2 sum_t rho_t, at most draws * log10(draws).

    Args:
        draws: (chain, draw, ...).
        method: ``bulk`` (of the draws' normal scores), ``tail`` (the smaller of the 5 % and the 95 % quantile's)
            or ``mean`` (of the draws as they are).

    Returns:
        The shape of ``draws`` without its first two axes; NaN for fewer than four draws a chain and for draws
        with a NaN among them. Of draws that are all the same, it is their number.

    Source: Vehtari et al. 2021, sections 3 and 4.
    """
    return _by_scalar({"bulk": _ess_bulk, "tail": _ess_tail, "mean": _ess_mean}[method], draws)


def rhat(draws: np.ndarray) -> np.ndarray:
    """Rank-normalised split R-hat of each scalar of ``draws`` (chain, draw, ...); NaN for one chain.

    sqrt((B / W + S - 1) / S) of the half chains' normal scores, S draws each, or of those of the distances from
    the median, whichever is larger. NaN also where there are fewer than four draws a chain, a NaN among them, or
    nothing but one value.

    Source: Vehtari et al. 2021, section 4.
    """
    if np.shape(draws)[0] < 2:
        return np.full(np.shape(draws)[2:], np.nan)
    return _by_scalar(_rhat, draws)


def mcse_mean(draws: np.ndarray) -> np.ndarray:
    """Monte Carlo standard error of the mean, sd / sqrt(ESS), of each scalar of ``draws`` (chain, draw, ...).

    NaN where the ESS of the draws as they are is NaN.

    Source: Vehtari et al. 2021, section 4.
    """
    return _by_scalar(_mcse_mean, draws)


def _by_scalar(statistic: Callable[[np.ndarray], np.ndarray], draws: np.ndarray) -> np.ndarray:
    """``statistic`` takes (draw, chain, scalar), which is contiguous along what is summed side by side."""
    draws = np.asarray(draws, dtype=np.float64)
    shape = draws.shape[2:]
    flat = draws.reshape(*draws.shape[:2], math.prod(shape))
    result = np.full(flat.shape[2], np.nan)
    if flat.shape[0] and flat.shape[1] >= MIN_DRAWS:
        width = max(1, BLOCK // (flat.shape[0] * flat.shape[1]))
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN, which the callers expect
            for first in range(0, flat.shape[2], width):
                block = np.swapaxes(flat[..., first : first + width], 0, 1)
                result[first : first + width] = statistic(np.ascontiguousarray(block))
        result[np.isnan(flat).any(axis=(0, 1))] = np.nan
    return result.reshape(shape)


def _ess_bulk(draws: np.ndarray) -> np.ndarray:
    return _effective(_normal_scores(_halves(draws)))


def _ess_tail(draws: np.ndarray) -> np.ndarray:
    quantiles = np.quantile(draws, TAIL, axis=(0, 1))
    low, high = (_effective(_halves((draws <= quantile).astype(np.float64))) for quantile in quantiles)
    return np.minimum(low, high)


def _ess_mean(draws: np.ndarray) -> np.ndarray:
    return _effective(_halves(draws))


def _mcse_mean(draws: np.ndarray) -> np.ndarray:
    return draws.std(axis=(0, 1), ddof=1) / np.sqrt(_ess_mean(draws))


def _rhat(draws: np.ndarray) -> np.ndarray:
    halves = _halves(draws)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    # Two values alike far from their median fold into one, whose R-hat is 0 / 0: fmax leaves it out.
    return np.fmax(*(_split_rhat(_normal_scores(values)) for values in (halves, folded)))


def _split_rhat(halves: np.ndarray) -> np.ndarray:
    num_draws = len(halves)
    within = halves.var(axis=0, ddof=1).mean(axis=0)
    between = num_draws * halves.mean(axis=0).var(axis=0, ddof=1)
    return np.sqrt((between / within + num_draws - 1) / num_draws)


def _halves(draws: np.ndarray) -> np.ndarray:
    """Each chain as two: (draw, chain, scalar) -> (draw // 2, 2 chain, scalar), an odd draw in the middle left out."""
    half = len(draws) // 2
    return np.concatenate([draws[:half], draws[-half:]], axis=1)


def _normal_scores(draws: np.ndarray) -> np.ndarray:
    """ndtri((rank - 3/8) / (n + 1/4)), rank among all n draws of a scalar; equal draws share their mean rank."""
    values = draws.reshape(-1, draws.shape[-1])
    n = len(values)
    order = np.argsort(values, axis=0, kind="stable")
    rising = np.take_along_axis(values, order, axis=0)
    place = np.arange(n)[:, None]
    differs = rising[1:] != rising[:-1]
    edge = np.ones((1, values.shape[1]), dtype=bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, differs]), place, 0), axis=0)
    last = np.minimum.accumulate(np.where(np.concatenate([differs, edge]), place, n - 1)[::-1], axis=0)[::-1]
    # A mean rank is a multiple of one half, so 2 n - 1 scores serve all scalars.
    scores = ndtri((np.arange(2 * n - 1) / 2 + 1 - 3 / 8) / (n + 1 / 4))
    result = np.empty_like(values)
    np.put_along_axis(result, order, scores[first + last], axis=0)
    return result.reshape(draws.shape)


def _autocovariance(draws: np.ndarray) -> np.ndarray:
    """sum_s (x_s - m)(x_{s+t} - m) / S at lags t = 0..S-1, along the first axis; padded, so that nothing wraps."""
    num_draws = len(draws)
    padded = 1 << (2 * num_draws - 1).bit_length()
    spectrum = np.fft.rfft(draws - draws.mean(axis=0), n=padded, axis=0)
    power = spectrum.real**2 + spectrum.imag**2
    return np.fft.irfft(power, n=padded, axis=0)[:num_draws] / num_draws


def _effective(draws: np.ndarray) -> np.ndarray:
    """ESS of (draw, chain, scalar), whatever it is that was made of the draws."""
    num_draws, num_chains, _ = draws.shape
    total = num_draws * num_chains
    covariance = _autocovariance(draws).mean(axis=1)
    within = covariance[0] * num_draws / (num_draws - 1)
    variance = covariance[0] + (draws.mean(axis=0).var(axis=0, ddof=1) if num_chains > 1 else 0.0)
    rho = 1 - (within - covariance) / variance
    rho[0] = 1.0
    # Sums of two neighbours fall and stay positive for a reversible chain. They are taken up to the first that is
    # not positive, none larger than one before it; the lags of the last that was looked at count once, not twice.
    num_pairs = max(1, (num_draws - 1) // 2)
    even, odd = rho[0 : 2 * num_pairs : 2], rho[1 : 2 * num_pairs : 2]
    pairs = even + odd
    ends = ~(pairs > 0)
    ends[-1] = True
    last = np.argmax(ends, axis=0)
    counted = np.arange(num_pairs)[:, None] < last
    falling = np.minimum.accumulate(np.where(counted, pairs, np.inf), axis=0)
    at_last, pair_at_last = (np.take_along_axis(values, last[None], axis=0)[0] for values in (even, pairs))
    tau = (
        -1 + 2 * np.sum(falling, axis=0, where=counted) + np.where(pair_at_last < 0, at_last.clip(0), at_last)
    )
    result = total / np.maximum(tau, 1 / np.log10(total))
    return np.where(np.ptp(draws, axis=(0, 1)) == 0, float(total), result)
