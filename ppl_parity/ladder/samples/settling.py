"""The chosen scalars of both sides' draws, without what arithmetic alone puts there."""

from __future__ import annotations

import numpy as np

from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.rounding import without_rounding
from ppl_parity.statistics.selection import Selection, without_shared_limits

# A count that no library draws right: int64 ends at 9e18, where torch's turn negative, and float64 counts to 9e15.
MOST_COUNTED = 1e15


def settled(
    context: Context, selection: Selection, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shared infinities become zero, what differs in its last bits alone one value, and endless counts another.

    What a model computes may cancel: a sum of centred effects is zero to within the rounding of its terms, which are
    of the size of what is drawn; of at most 1, so that little is taken for rounding where all is large.

    Args:
        a, b: (..., Q), the columns of ``selection``.
    """
    a, b = without_shared_limits(a, b)
    if not a.size or not b.size:
        return a, b
    counts = np.array([_is_count(context, site) for site, _ in selection.names()])
    a, b = (np.where(counts & ((x < 0) | (x > MOST_COUNTED)), MOST_COUNTED, x) for x in (a, b))
    computed = np.array([_is_computed(context, site) for site, _ in selection.names()])
    largest = np.max([np.max(np.abs(x), initial=0.0, where=np.isfinite(x)) for x in (a, b)])
    return without_rounding(a, b, np.where(computed, min(1.0, float(largest)), 0.0))


def _is_count(context: Context, name: str) -> bool:
    return any(
        context.sites[side][name].support in ("nonnegative_integer", "positive_integer")
        for side in SIDES
        if name in context.sites[side]
    )


def _is_computed(context: Context, name: str) -> bool:
    kinds = {context.sites[side][name].kind for side in SIDES if name in context.sites[side]}
    return "deterministic" in kinds
