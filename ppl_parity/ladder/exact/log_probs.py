"""Both sides' log probs at the shared points: sums, limits and comparisons, which the density rung's parts share."""

from __future__ import annotations

import math

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.comparison import Comparison, compare
from ppl_parity.pair.pairs import SIDES
from ppl_parity.tolerances import library_limit

NO_NUMBER = 1e300  # for an infinite difference, where the largest is looked for

SiteLogProbs = dict[str, list[Arrays]]
"""side -> at each point, site (under Pyro's names) -> log probs."""

Noise = dict[str | None, np.ndarray]
"""site, or None for all together -> at each point, nats by which rounding alone may part the sides."""


def names_of(values: SiteLogProbs) -> list[str]:
    """Every site that has a log prob on a side, in Pyro's order."""
    first, second = (values[side][0] for side in SIDES)
    return list(first) + [name for name in second if name not in first]


def sums_of(values: SiteLogProbs, side: str, name: str | None) -> list[float]:
    """A site's log prob at each point, or that of all sites together."""
    rows = values[side]
    with np.errstate(invalid="ignore"):  # of two infinities
        if name is None:
            return [float(sum(np.sum(v) for v in row.values())) for row in rows]
        return [float(np.sum(row[name])) if name in row else 0.0 for row in rows]


def limit_of(context: Context, name: str) -> float:
    """What a library's own approximation may add at a site, absolute, in nats."""
    return max(library_limit(context.sites[side].get(name)) for side in SIDES)


def ordinary_points(context: Context) -> list[bool]:
    """Of each shared point, whether it is a prior draw, near the mode or a user's, and no tail or edge."""
    return [not point.far for point in context.points]


def compare_joint(context: Context, values: SiteLogProbs, noise: Noise | None = None) -> Comparison:
    """The log joint densities over the points; ``noise`` is what they may be apart by at each, beside the limits."""
    extra = sum(limit_of(context, name) for name in names_of(values)) + (noise or {}).get(None, 0.0)
    sums = [sums_of(values, side, None) for side in SIDES]
    return compare("log density", *sums, extra=extra, precision=context.precision)


def compare_site(
    context: Context,
    values: SiteLogProbs,
    name: str,
    precision: str | None = None,
    noise: Noise | None = None,
) -> Comparison:
    """One site's log probs over the points; ``precision`` is the context's if none is given."""
    sums = [sums_of(values, side, name) for side in SIDES]
    return compare(
        "log density",
        *sums,
        extra=limit_of(context, name) + (noise or {}).get(name, 0.0),
        preferred=ordinary_points(context),
        precision=precision or context.precision,
    )


def worst_element(
    values: SiteLogProbs, name: str, point: int
) -> tuple[tuple[int, ...] | None, np.ndarray | None]:
    """The element of a site that differs most at a point, and the differences of all (numpyro minus pyro)."""
    rows = [values[side][point].get(name) for side in SIDES]
    if rows[0] is None or rows[1] is None or rows[0].shape != rows[1].shape or rows[0].ndim == 0:
        return None, None
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(rows[1] - rows[0], nan=0.0, posinf=NO_NUMBER, neginf=-NO_NUMBER)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(gap))), gap.shape))
    return index, gap


def resolution_of(values: SiteLogProbs) -> float:
    """The difference of log joint densities that would have been found, in nats."""
    largest = max(abs(v) for v in sums_of(values, "pyro", None) if math.isfinite(v))
    return 1e-8 + 1e-10 * largest
