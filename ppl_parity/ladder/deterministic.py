"""Do both models compute the same deterministic sites? Exactly, at the shared points; no density depends on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl_parity.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import SIDES, Context
from ppl_parity.ladder.precision import NARROW
from ppl_parity.statistics.relations import Pairs, relation
from ppl_parity.tolerances import allowed

QUANTITY = "deterministic"
MOST_NUMBERS = 10_000_000  # of a side's traces, over all points


@dataclass(frozen=True)
class _Gap:
    """A site at the point where its values are furthest apart, beyond what rounding may do."""

    name: str
    point: int
    index: tuple[int, ...]
    left: np.ndarray
    right: np.ndarray

    @property
    def size(self) -> float:
        return float(np.abs(self.right[self.index] - self.left[self.index]))


def differing(context: Context) -> list[Finding]:
    """One finding for each deterministic site that both models have and compute differently.

    Only ordinary points count: in the tails and at the edges a difference of two near numbers is rounding.
    """
    names = [
        name
        for name, site in context.sites["pyro"].items()
        if site.kind == "deterministic" and _kind(context, "numpyro", name) == "deterministic"
    ]
    if not names:
        return []
    ordinary = [i for i, point in enumerate(context.points) if not point.name.startswith(("edge", "tail"))]
    size = max(sum(_count(site.value) for site in context.sites[side].values()) for side in SIDES)
    ordinary = ordinary[: max(1, MOST_NUMBERS // max(1, size))]
    found = context.both(lambda side, program: [_computed(context, side, program, i) for i in ordinary])
    gaps = [_widest(name, ordinary, found, context) for name in names]
    return [_tell(context, gap, ordinary, found) for gap in gaps if gap is not None]


def _count(value: np.ndarray | None) -> int:
    return 0 if value is None else value.size


def _kind(context: Context, side: str, name: str) -> str | None:
    site = context.sites[side].get(name)
    return None if site is None else site.kind


def _computed(context: Context, side: str, program: Program, point: int) -> Arrays:
    try:
        sites = program.sites(context.values(side, context.points[point], discrete=True))
    except InputError:  # a frozen side was not asked there
        return {}
    values = {s.name: s.value for s in sites if s.kind == "deterministic" and s.value is not None}
    return context.pair.from_side(side, values)


def _widest(name: str, points: list[int], found: dict[str, list[Arrays]], context: Context) -> _Gap | None:
    narrow = any("float32" in context.sites[side][name].dtype for side in SIDES)
    gaps = []
    for point, rows in zip(points, zip(*(found[side] for side in SIDES), strict=True), strict=True):
        if not all(name in row for row in rows):
            continue
        left, right = (np.asarray(row[name], dtype=float).squeeze() for row in rows)
        if left.shape != right.shape or not left.size:
            continue  # the draws are asked of their shape
        limit = allowed(QUANTITY, left, right, NARROW if narrow else context.precision)
        limit = np.maximum(limit, 1e-12 * np.nanmax(np.abs(left), initial=0.0))
        with np.errstate(invalid="ignore"):
            beyond = np.where((left == right) | ~np.isfinite(left - right), 0.0, np.abs(left - right) - limit)
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(beyond)), beyond.shape))
        if beyond[index] > 0:
            gaps.append(_Gap(name, point, index, left, right))
    return max(gaps, key=lambda gap: gap.size, default=None)


def _tell(context: Context, gap: _Gap, points: list[int], found: dict[str, list[Arrays]]) -> Finding:
    point = context.points[gap.point]
    left, right = gap.left[gap.index], gap.right[gap.index]
    hint = "it is computed in another way; the densities do not depend on it"
    if told := _relation(context, gap, points, found):
        hint = f"{told}; the densities do not depend on it"
    return Finding(
        "different",
        QUANTITY,
        f"The deterministic site {gap.name!r} is {left:.10g} in pyro and {right:.10g} in numpyro at {point.name}.",
        site=gap.name,
        size=gap.size,
        point=point.name,
        index=gap.index or None,
        hint=hint,
        numbers={"points": len(points)},
    )


def _relation(context: Context, gap: _Gap, points: list[int], found: dict[str, list[Arrays]]) -> str | None:
    rows, sites = [], []
    for point, pyro, numpyro in zip(points, found["pyro"], found["numpyro"], strict=True):
        if gap.name in pyro and gap.name in numpyro:
            both = [np.asarray(row[gap.name], dtype=float).squeeze() for row in (pyro, numpyro)]
            if all(side.shape == gap.left.shape and np.isfinite(side).all() for side in both):
                rows.append(both)
                sites.append(context.points[point].values)
    if not rows:
        return None
    known = {n: np.stack([np.asarray(at[n], dtype=float) for at in sites]) for n in context.shared}
    return relation(Pairs(np.stack([a for a, _ in rows]), np.stack([b for _, b in rows]), known))
