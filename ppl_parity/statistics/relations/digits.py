"""Numbers that part only far below zero: the log of what has been made as one minus a probability."""

from __future__ import annotations

import numpy as np

from ppl_parity.statistics.relations.pairs import Pairs

ORDINARY, FAR = -10.0, -20.0  # nats: where 1 - p still has twelve digits, and where it has seven and fewer


def lost_digits(pairs: Pairs) -> str | None:
    """log(1 - p) has no more digits than 1 - p: the two agree while p is ordinary, and part as it nears one."""
    left, right = pairs.differing
    least = np.minimum(left, right)
    apart = np.abs(right - left) > 1e-9 * np.maximum(1.0, np.abs(least))
    if not np.any(apart) or np.any(apart & (least > ORDINARY)) or not np.any(least[apart] < FAR):
        return None
    if not np.any(~apart & (least < 0)):
        return None
    return (
        f"the same above {np.max(least[apart]):.3g}, and not from there down: the log of one minus a probability, "
        "which has all but rounded to one there (a survival function's own log keeps its digits)"
    )
