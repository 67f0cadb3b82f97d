"""Far points where arithmetic ends, or loses its digits, on one side before the other: no posterior is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.comparison import compare
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.tolerances import allowed, library_limit

FAR = 700.0  # nats below the best point: exp(-700) is about the smallest number that float64 has
# A quantity e^2 that is made as a difference of numbers of size 1 is off by a rounding error of these, and a log
# density of size M = 1 / e^2 there, as a normal's of a scale e, by that times M^2. What is more than MOST of it is no
# such error: a clamp on one side, say, which shows at far points alone, makes all the difference there.
LOSS, MOST = 100 * float(np.finfo(np.float64).eps), 0.1


def leave_out(context: Context, joint: Mapping[str, Sequence[float]]) -> Iterator[Finding]:
    """Take such points from the shared ones, and tell which they were, where the other points agree.

    A tail or an edge is one if both sides' densities are so low that no draw will ever be there, and apart by no more
    than the digits that are lost on the way to so large a number; or if one side's is that low and the other's is NaN.
    Minus infinity is a statement on the support, and stays; where both sides declare the same supports it is an
    overflow, as of (t / scale)^k in torch's Weibull, and counts as NaN. A correlation of all but one, say, loses its
    last digits when it is written as a covariance, and the log density there is -1e18 on either side.

    Where the other points differ they say so, and only a NaN is taken away, lest its site be blamed.

    Args:
        joint: side -> its log density at each point.
    """
    context.results.setdefault(
        "points at first", context.points
    )  # a frozen side has drawn its data at all of them
    limit = sum(library_limit(site) for side in SIDES for site in context.sites[side].values())
    joint = {side: list(_without_overflows(context, values)) for side, values in joint.items()}
    ended, lost = _hopeless(context, joint, limit)
    kept = [i for i in range(len(context.points)) if i not in ended | lost]
    rest = compare(
        "log density",
        *([joint[side][i] for i in kept] for side in SIDES),
        extra=limit,
        precision=context.precision,
    )
    out = ended if rest.relation == "different" else ended | lost
    names = [point.name for i, point in enumerate(context.points) if i in out]
    best = max((value for side in SIDES for i in out if np.isfinite(value := joint[side][i])), default=0.0)
    context.points = (
        [point for i, point in enumerate(context.points) if i not in out] if out else context.points
    )
    if out and rest.relation != "different":
        yield Finding(
            "same",
            "log joint",
            f"Not compared at {listed(names)}: the log densities, {best:.4g} at most, lie so far below the others that "
            "no posterior is there, and are not the same numbers.",
            point=names[0],
            notable=True,
            hint="digits lost, or an overflow, on one side before the other",
            numbers={"points": len(context.points)},
        )


def _without_overflows(context: Context, values: Sequence[float]) -> np.ndarray:
    """A side's log densities, infinities as NaN: minus infinity where no support says so, plus infinity always.

    A density has no such value: NumPyro's truncated normal divides by a mass that has rounded to zero.
    """
    joint = np.asarray(values, dtype=float)
    joint = np.where(np.isposinf(joint), np.nan, joint)
    shared = set.intersection(*(set(context.sites[side]) for side in SIDES))
    declared = [[context.sites[side][name].support for name in sorted(shared)] for side in SIDES]
    return np.where(np.isneginf(joint), np.nan, joint) if declared[0] == declared[1] else joint


def _hopeless(
    context: Context, joint: Mapping[str, Sequence[float]], limit: float
) -> tuple[set[int], set[int]]:
    """Where one side has no number, and where both have others."""
    a, b = (np.asarray(joint[side], dtype=float) for side in SIDES)
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        return set(), set()
    far = [side < np.max(side[both]) - FAR for side in (a, b)]
    ended = (np.isnan(a) & np.isfinite(b) & far[1]) | (np.isnan(b) & np.isfinite(a) & far[0])
    with np.errstate(invalid="ignore"):
        gap = np.where(both, b - a, 0.0)
    offset = float(np.median(gap[both]))  # a constant is none of it
    beyond = 3 * (allowed("log density", a, b, context.precision) + limit)
    lost = both & far[0] & far[1] & (np.abs(gap) > beyond) & (np.abs(gap - offset) > beyond)
    outer = np.array([point.far for point in context.points])
    size = np.where(both, np.maximum(np.abs(a), np.abs(b)), 0.0)
    with np.errstate(over="ignore"):
        lost &= np.abs(gap) <= np.minimum(LOSS * size**2, MOST * size)
    return {int(i) for i in np.flatnonzero(ended & outer)}, {int(i) for i in np.flatnonzero(lost & outer)}
