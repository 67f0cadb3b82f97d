"""Two series of numbers over the shared points: equal, equal up to a constant, or different, and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ppl_parity.tolerances import allowed

Relation = Literal["equal", "constant", "different", "unusable"]


@dataclass(frozen=True)
class Comparison:
    """How a quantity of both sides relates over the points.

    Attributes:
        relation: equal; equal up to one constant; different; or unusable: finite at no shared point.
        offset: numpyro minus pyro: the constant, or the median difference.
        size: the largest difference that is left when the offset is taken out.
        worst: the point of that.
        one_sided: points where exactly one side is finite.
        magnitude: of the larger number there: of numbers around 1e18 a difference of 256 is rounding.
    """

    relation: Relation
    offset: float
    size: float
    worst: int
    one_sided: tuple[int, ...]
    magnitude: float = 0.0


def compare(
    quantity: str,
    pyro: Sequence[float],
    numpyro: Sequence[float],
    *,
    extra: float | np.ndarray = 0.0,
    preferred: Sequence[bool] | None = None,
    precision: str = "float64",
) -> Comparison:
    """Compare sums of a quantity at each point; ``extra`` is a library's own limit, absolute, or one a point.

    One constant over all points, and not zero, is an offset: it changes no posterior. At least three points
    must carry it, or it may as well be chance. A difference is shown at one of the ``preferred`` points, if it
    can be seen there.
    """
    a, b = np.asarray(pyro, dtype=float), np.asarray(numpyro, dtype=float)
    finite = np.isfinite(a) & np.isfinite(b)
    # Infinite on one side and NaN on the other is an overflow that each tells in its own way: no number to compare.
    same_limit = (a == b) | (~np.isfinite(a) & ~np.isfinite(b) & (np.isnan(a) | np.isnan(b)))
    one_sided = tuple(int(i) for i in np.flatnonzero(~finite & ~same_limit))
    if not finite.any():
        relation: Relation = "different" if one_sided else "unusable"
        return Comparison(relation, 0.0, math.inf, one_sided[0] if one_sided else 0, one_sided)
    with np.errstate(invalid="ignore"):
        difference = np.where(finite, b - a, 0.0)
    limit = allowed(quantity, a, b, precision) + extra
    magnitude = np.where(finite, np.maximum(np.abs(a), np.abs(b)), 0.0)
    if np.all((np.abs(difference) <= limit) | ~finite):
        worst = int(np.argmax(np.abs(difference)))
        return Comparison(
            "different" if one_sided else "equal",
            0.0,
            math.inf if one_sided else float(np.abs(difference).max()),
            one_sided[0] if one_sided else worst,
            one_sided,
            float(magnitude[worst]),
        )
    offset = float(np.median(difference[finite]))
    # Rounding at far points, where the limit is too tight by a little, is no constant.
    offset = 0.0 if abs(offset) <= float(np.median(limit[finite])) else offset
    rest = np.where(finite, difference - offset, 0.0)
    worst = int(np.argmax(np.abs(rest)))
    constant = finite.sum() >= 3 and bool(np.all((np.abs(rest) <= 3 * limit) | ~finite))
    if constant and not one_sided:
        relation = "constant" if offset else "equal"
        return Comparison(relation, offset, float(np.abs(rest).max()), worst, (), float(magnitude[worst]))
    if constant:
        return Comparison("different", offset, math.inf, one_sided[0], one_sided)
    # A few points may agree and most differ: the place to show is where the difference is largest.
    # At a preferred point, if it shows there: a number of ordinary size says more than one at an edge.
    shown = (np.abs(difference) > limit) & np.asarray(preferred if preferred is not None else True)
    worst = int(np.argmax(np.abs(np.where(shown, difference, 0.0) if shown.any() else difference)))
    size = float(np.abs(difference[worst]))
    return Comparison("different", offset, size, worst, one_sided, float(magnitude[worst]))


def name_of_constant(offset: float, count: int) -> str:
    """A known form of a constant: ``log 2``, ``3 log 2``, ``log 6 = log 3!``; or its number."""
    size = abs(offset)
    for base, name in ((math.log(2), "log 2"), (math.log(2 * math.pi) / 2, "log(2 pi)/2")):
        times = size / base
        if times > 0.5 and abs(times - round(times)) < 1e-6:
            sign = "-" if offset < 0 else ""
            number = "" if round(times) == 1 else f"{round(times)} "
            return f"{sign}{number}{name}"
    for k in range(3, 21):
        if abs(size - math.lgamma(k + 1)) < 1e-6:
            return f"{'-' if offset < 0 else ''}log {k}!"
    return f"{offset:.10g}"
