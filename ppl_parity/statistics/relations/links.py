"""A softplus where the other side has an exp, under a factor that hides it: an exposure, a weight, another site."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppl_parity.statistics.relations.pairs import Pairs, near
from ppl_parity.statistics.relations.terms import MOST_COLUMNS, SPARE, moving

MOVES = 1e-3  # of itself, from point to point
STEPS = 120  # of a bisection: a width of exp(80) is then less than a rounding


def scaled_link(pairs: Pairs) -> str | None:
    """c exp(eta) beside c log(1 + exp(eta)), or one over both, for any eta.

    c is a number of each element's own, found at one point and held to the others, or a site.
    """
    left, right = (pairs.picked(side, MOST_COLUMNS) for side in (pairs.left, pairs.right))
    if len(left) < SPARE or not (np.all(left > 0) and np.all(right > 0)):
        return None
    for exp, softplus, who in (
        (left, right, "numpyro has softplus where pyro has exp"),
        (right, left, "pyro has softplus where numpyro has exp"),
    ):
        for name, factor in _factors(exp, softplus, moving(pairs)):
            words = name or "a number of each element's own, the same at every point"
            if near(factor * np.log1p(exp / factor), softplus):
                return f"{who}, times {words}: another link"
            if name and near(factor / np.log1p(factor / exp), softplus):
                return f"{who}, under {words}: another link"
    return None


def _factors(
    exp: np.ndarray, softplus: np.ndarray, sites: dict[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    for name, own in sites.items():
        if np.all(own > 0):
            yield repr(name), own
    if not (np.all(softplus < exp) and np.all(np.ptp(exp, axis=0) > MOVES * exp.max(axis=0))):
        return  # of numbers that do not move any one is made of any other
    at = np.argmax(exp, axis=0)[None]  # where the two are furthest apart, which leaves the most digits
    share = np.take_along_axis(softplus, at, 0) / np.take_along_axis(exp, at, 0)
    low, high = np.full(share.shape, -40.0), np.full(share.shape, 40.0)
    for _ in range(STEPS):  # log(1 + r) / r falls from 1 to 0
        middle = (low + high) / 2
        above = np.log1p(np.exp(middle)) / np.exp(middle) > share
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    yield "", np.take_along_axis(exp, at, 0) / np.exp(low)
