"""Which two scalars hang together otherwise in two sets of chains, though each by itself may agree.

Of the ranks r of all draws of a scalar, in (0, 1), two scores are used, each uniform with mean 0 and variance 1:

    place:     s = sqrt(12) (r - 1/2)
    distance:  d = sqrt(12) (|2 r - 1| - 1/2),    from the median

and of every two scalars i, j the means of s_i s_j (Spearman's correlation), d_i d_j, s_i d_j and d_i s_j. Scores are
bounded, so that a mean of products is nearly normal whatever the tails.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ppl_parity.statistics.scores import skewness

MOST_SKEWED = 1.0
BATCHES = 40  # of all chains together, for a rough standard error of each of many products
KINDS = (("place", "place"), ("distance", "distance"), ("place", "distance"), ("distance", "place"))


@dataclass(frozen=True)
class Pair:
    """Two scalars, by their places in the last axis, and which score of each is multiplied."""

    first: int
    second: int
    kinds: tuple[str, str]


def number_of_pairs(scalars: int) -> int:
    """How many products there are of so many scalars: four of every two."""
    return len(KINDS) * scalars * (scalars - 1) // 2


def rank_scores(a: np.ndarray, b: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Both scores of each draw, ranked among the draws of both.

    Args:
        a, b: (C, S, Q), finite.

    Returns:
        For each, kind -> (C, S, Q).
    """
    pooled = np.concatenate([x.reshape(-1, x.shape[-1]) for x in (a, b)])
    place = (rankdata(pooled, axis=0) - 0.5) / len(pooled) - 0.5
    scores = {"place": np.sqrt(12) * place, "distance": np.sqrt(12) * (2 * np.abs(place) - 0.5)}
    cut = a.shape[0] * a.shape[1]
    return (
        {kind: score[:cut].reshape(a.shape) for kind, score in scores.items()},
        {kind: score[cut:].reshape(b.shape) for kind, score in scores.items()},
    )


def even(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> np.ndarray:
    """Whether a scalar's scores are not skewed, (Q,) of bool: the mean of a product of rare events is far from normal.

    Without ties they are uniform. Of a coin they are skewed by less than 1 where heads have a share of 0.28 to 0.72.
    """
    worst = np.zeros(a["place"].shape[-1])
    for kind in a:
        pooled = np.concatenate([x[kind].reshape(-1, x[kind].shape[-1]) for x in (a, b)])
        with np.errstate(all="ignore"):
            worst = np.fmax(worst, np.abs(skewness(pooled)))
    return worst < MOST_SKEWED


def pairs_most_apart(a: dict[str, np.ndarray], b: dict[str, np.ndarray], count: int) -> list[Pair]:
    """The pairs whose products' means are the most standard errors apart; no verdict, as in ``screening``.

    Args:
        a, b: what ``rank_scores`` returned.
        count: how many.
    """
    scalars = a["place"].shape[-1]
    candidates: list[tuple[float, Pair]] = []
    for kinds in KINDS:
        (mean_a, error_a), (mean_b, error_b) = (_products(x[kinds[0]], x[kinds[1]]) for x in (a, b))
        error = np.hypot(error_a, error_b)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.nan_to_num(np.abs(mean_a - mean_b) / error, nan=0.0, posinf=0.0)
        z[np.tril_indices(scalars)] = -1.0
        for flat in np.argsort(-z, axis=None, kind="stable")[:count]:
            i, j = (int(k) for k in np.unravel_index(flat, z.shape))
            if i < j:
                candidates.append((float(z[i, j]), Pair(i, j, kinds)))
    return [pair for _, pair in sorted(candidates, key=lambda one: -one[0])[:count]]


def product(scores: dict[str, np.ndarray], pair: Pair) -> np.ndarray:
    """(C, S, 1), the series whose mean is compared."""
    first, second = scores[pair.kinds[0]], scores[pair.kinds[1]]
    return first[..., pair.first, None] * second[..., pair.second, None]


def _products(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of every product (Q, Q), and its standard error from the means of batches."""
    chains, length, scalars = left.shape
    per_chain = max(1, min(BATCHES // chains, length))
    size = length // per_chain
    left, right = (x[:, : per_chain * size].reshape(chains * per_chain, size, scalars) for x in (left, right))
    means = np.swapaxes(left, 1, 2) @ right / size
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(max(1, len(means)))
