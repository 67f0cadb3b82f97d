"""The scalars of a large site that are not compared one by one: looked through for what stands out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ppl_parity.ladder.samples.judging import Block
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.rounding import without_rounding
from ppl_parity.statistics.screening import most_apart
from ppl_parity.statistics.selection import Selection

CANDIDATES = 3  # of a site: the furthest apart
MOST_NUMBERS = (
    50_000_000  # of a side's draws of a site that are looked through: 400 MB; then evenly spread scalars
)


def rest_block(
    label: str,
    site: str,
    draws: Mapping[str, Mapping[str, np.ndarray]],
    selection: Selection,
    usable: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    independent: bool = False,
) -> Block | None:
    """Those that were not selected and are the furthest apart, to be judged as the extremes of so many.

    Args:
        label, site: of the block.
        draws: side -> site -> (C, S, ...).
        selection: what is compared one by one.
        usable: of (C, S, Q) of both sides, which may be judged.
        independent: the draws are no chains.

    Returns:
        None where all are selected, or no other is finite.
    """
    shape, taken = selection.shapes[site], selection.flat[site]
    size = int(np.prod(shape))
    others = np.setdiff1d(np.arange(size), taken, assume_unique=True)
    both = [np.asarray(draws[side][site]) for side in SIDES]
    most = MOST_NUMBERS // max(1, *(x.shape[0] * x.shape[1] for x in both))
    others = others[np.unique(np.linspace(0, len(others) - 1, min(len(others), most)).astype(int))]
    if not len(others):
        return None
    a, b = (x.reshape(*x.shape[:2], -1)[..., others] for x in both)
    finite = np.all(np.isfinite(a), axis=(0, 1)) & np.all(np.isfinite(b), axis=(0, 1))
    if not finite.any():
        return None
    a, b, others = a[..., finite], b[..., finite], others[finite]
    found = most_apart(a, b, CANDIDATES)
    a, b = without_rounding(*(x[..., found] for x in (a, b)))
    names = [(site, tuple(int(i) for i in np.unravel_index(k, shape))) for k in others[found]]
    return Block(label, names, a, b, usable(a, b), independent=independent, among=len(others))
