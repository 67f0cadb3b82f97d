"""How much wider a distribution may be before its spread is seen to differ: what a margin says of a standard deviation.

The spread is compared as a mean of (x - m)^2 in units of that quantity's own standard deviation, which is the larger
the heavier the tails; and of very heavy ones on normal scores, whose spread moves less than the draws'.
"""

from __future__ import annotations

import math

import numpy as np

from ppl_parity.statistics.scores import normal_scores

MOST_DRAWS = 2000  # by which a ratio is known to some hundredths
MOST_RATIO = 64.0


def ratio_of_squares(margin: float, kurtosis: float = 3.0) -> float:
    """The ratio of two standard deviations whose squares are ``margin`` apart, as ``equivalence.moments`` has it.

        |s - 1| / sqrt(1 + s^2) = margin sqrt((kurtosis - 1) / 2),    s = ratio^2

    Returns:
        At least 1; infinite where no ratio is as far apart.
    """
    apart = margin * math.sqrt(max(kurtosis - 1, 0.0) / 2)
    rest = 1 - apart**2
    return math.sqrt((1 + math.sqrt(1 - rest**2)) / rest) if rest > 0 else math.inf


def ratio_of_scores(draws: np.ndarray, margin: float) -> float:
    """The factor by which draws, stretched about their median, differ by ``margin`` in location or spread of scores.

    Args:
        draws: of one scalar, any shape.
        margin: in pooled standard deviations.

    Returns:
        At least 1; infinite where 64 is not enough.
    """
    x = np.sort(draws.ravel())
    x = x[np.linspace(0, len(x) - 1, min(len(x), MOST_DRAWS)).astype(int)]
    x = x - np.median(x)

    def apart(ratio: float) -> float:
        pair = normal_scores(x[:, None], ratio * x[:, None])
        squares = [(score - np.mean(pair)) ** 2 for score in pair]
        return max(_difference(*pair), _difference(*squares))

    low, high = 0.0, math.log(MOST_RATIO)
    if not apart(MOST_RATIO) >= margin:
        return math.inf
    while high - low > 0.005:
        middle = (low + high) / 2
        low, high = (low, middle) if apart(math.exp(middle)) >= margin else (middle, high)
    return math.exp(high)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    sd = math.sqrt((a.var() + b.var()) / 2)
    return abs(float(a.mean() - b.mean())) / sd if sd > 0 else 0.0
