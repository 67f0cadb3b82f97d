"""Far points where arithmetic ends, or loses its digits, on one side before the other: no posterior is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ppl_parity.findings import Finding
from ppl_parity.ladder.context import SIDES, Context
from ppl_parity.listing import listed
from ppl_parity.tolerances import allowed, library_limit

FAR = 700.0  # nats below the best point: exp(-700) is about the smallest number that float64 has


def leave_out(context: Context, joint: Mapping[str, Sequence[float]]) -> Iterator[Finding]:
    """Take such points from the shared ones, and tell which they were; there the other points decide.

    A tail or an edge is one if both sides' densities are so low that no draw will ever be there, or one side's is and
    the other's is NaN. An infinity is a statement on the support, and stays. A correlation of all but one, say, loses
    its last digits when it is written as a covariance, and the log density there is -1e18 on either side.

    Args:
        joint: side -> its log density at each point.
    """
    if context.frozen:  # it was asked at positions that are counted off among all points
        return
    out = _hopeless(context, joint)
    if not out:
        return
    names = [point.name for i, point in enumerate(context.points) if i in out]
    best = max(value for side in SIDES for i in out if np.isfinite(value := joint[side][i]))
    context.points = [point for i, point in enumerate(context.points) if i not in out]
    yield Finding(
        "same",
        "log joint",
        f"Not compared at {listed(names)}: the log densities, {best:.4g} at most, lie so far below the others that no "
        "posterior is there, and are not the same numbers.",
        point=names[0],
        notable=True,
        hint="digits lost, or an overflow, on one side before the other",
    )


def _hopeless(context: Context, joint: Mapping[str, Sequence[float]]) -> set[int]:
    a, b = (np.asarray(joint[side], dtype=float) for side in SIDES)
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        return set()
    far = [side < np.max(side[both]) - FAR for side in (a, b)]
    one_ends = (np.isnan(a) & np.isfinite(b) & far[1]) | (np.isnan(b) & np.isfinite(a) & far[0])
    limit = sum(library_limit(site) for side in SIDES for site in context.sites[side].values())
    gap = np.where(both, b - a, 0.0)
    offset = float(np.median(gap[both]))  # a constant is none of it
    beyond = 3 * (allowed("log density", a, b, context.precision) + limit)
    apart = both & far[0] & far[1] & (np.abs(gap) > beyond) & (np.abs(gap - offset) > beyond)
    found = np.flatnonzero(one_ends | apart)
    return {int(i) for i in found if context.points[int(i)].name.startswith(("edge", "tail"))}
