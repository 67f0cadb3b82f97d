"""Do both models compute the same deterministic sites? Exactly, at the shared points; no density depends on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.precision import NARROW
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.relations import Pairs, relation
from ppl_parity.tolerances import TOLERANCES, allowed

QUANTITY = "deterministic"
MOST_NUMBERS = 10_000_000  # of a side's traces, over all points
OTHER_SEED = 1
LEAST = {"float64": 1e-12, "float32": 1e-7}  # what is left where numbers of size one cancel


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
        with np.errstate(invalid="ignore"):
            size = float(np.abs(self.right[self.index] - self.left[self.index]))
        return size if np.isfinite(size) else np.inf


def differing(context: Context) -> list[Finding]:
    """One finding for each deterministic site that both models have and compute differently, or that was not compared.

    Only ordinary points count: in the tails and at the edges a difference of two near numbers is rounding.
    """
    names = [
        name
        for name, site in context.sites["pyro"].items()
        if {site.kind, _kind(context, "numpyro", name)} in _compared(context)
    ]
    if not names:
        return []
    ordinary = [i for i, point in enumerate(context.points) if not point.far]
    size = max(sum(_count(site.value) for site in context.sites[side].values()) for side in SIDES)
    ordinary = ordinary[: max(1, MOST_NUMBERS // max(1, size))]
    found = context.both(lambda side, program: [_computed(context, side, program, i) for i in ordinary])
    told = []
    for name in names:
        rows = list(zip(*(found[side] for side in SIDES), strict=True))
        both = [
            (i, _alike(a[name], b[name]))
            for i, (a, b) in zip(ordinary, rows, strict=True)
            if name in a and name in b
        ]
        pairs = [(i, pair) for i, pair in both if pair is not None]
        if not both and (_is_drawn_by_one(context, name) or name in context.results.get("stands for", {})):
            continue  # who computes it is asked for its density, which says more
        if not pairs:
            told.append(
                _not_compared(name, "a frozen side has no value of it" if not both else "its shapes differ")
            )
        elif gap := _widest(context, name, pairs):
            unsteady = [side for side in SIDES if _is_unsteady(context, side, name, gap.point)]
            told.append(
                _not_compared(name, f"{' and '.join(unsteady)} draws random numbers for it, beside the sites")
                if unsteady
                else _tell(context, gap, pairs)
            )
    return told


def _compared(context: Context) -> tuple[set[str], ...]:
    """Both compute it; or, where a point has values of what each side draws, one computes what the other draws."""
    return (
        ({"deterministic"}, {"deterministic", "latent"})
        if "follow" in context.results
        else ({"deterministic"},)
    )


def _is_drawn_by_one(context: Context, name: str) -> bool:
    return {_kind(context, side, name) for side in SIDES} == {"deterministic", "latent"}


def _count(value: np.ndarray | None) -> int:
    return 0 if value is None else value.size


def _kind(context: Context, side: str, name: str) -> str | None:
    site = context.sites[side].get(name)
    return None if site is None else site.kind


def _computed(context: Context, side: str, program: Program, point: int, seed: int = 0) -> Arrays:
    asked = {"seed": seed} if seed else {}  # what a frozen side was not asked, it cannot answer
    try:
        sites = program.sites(context.values(side, context.points[point], discrete=True), **asked)
    except InputError:  # a frozen side was not asked there
        return {}
    drawn = context.values(side, context.points[point], discrete=False)
    values = {s.name: s.value for s in sites if s.kind == "deterministic" and s.value is not None}
    return context.pair.from_side(side, drawn | values)


def _is_unsteady(context: Context, side: str, name: str, point: int) -> bool:
    """Whether the site changes with the seed although all that it may depend on is given."""
    program = context.programs[side]
    first, other = (_computed(context, side, program, point, seed).get(name) for seed in (0, OTHER_SEED))
    return first is not None and other is not None and not np.array_equal(first, other, equal_nan=True)


def _alike(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Both in one shape, as complex numbers where either is; None where they do not fit."""
    kind = complex if "c" in (np.asarray(left).dtype.kind, np.asarray(right).dtype.kind) else float
    both = [np.asarray(value, dtype=kind).squeeze() for value in (left, right)]
    try:
        a, b = np.broadcast_arrays(*both)
    except ValueError:
        return None
    return a, b


def _widest(
    context: Context, name: str, pairs: list[tuple[int, tuple[np.ndarray, np.ndarray]]]
) -> _Gap | None:
    narrow = any("float32" in context.sites[side][name].dtype for side in SIDES)
    precision = NARROW if narrow else context.precision
    # The absolute part of the tolerance is that of numbers of size one: a coefficient of 1e-11 has one of its own.
    finite = [np.abs(x[np.isfinite(x)]) for _, pair in pairs for x in pair]
    size = max((float(np.max(x, initial=0.0)) for x in finite), default=0.0)
    absolute = TOLERANCES[QUANTITY, precision].absolute
    spared = absolute - max(absolute * min(1.0, size), LEAST[precision])
    gaps = []
    for point, (left, right) in pairs:
        if not left.size:
            continue
        limit = allowed(QUANTITY, left, right, precision) - spared
        finite = np.isfinite(left) & np.isfinite(right)
        limit = np.maximum(limit, 1e-12 * np.max(np.abs(left), initial=0.0, where=finite))
        with np.errstate(invalid="ignore"):
            beyond = np.where(finite, np.abs(left - right) - limit, 0.0)
        # An overflow has no number on either side, and each may tell it in its own way; on one side it is a difference.
        beyond = np.where(np.isfinite(left) != np.isfinite(right), np.inf, beyond)
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(beyond)), beyond.shape))
        if beyond[index] > 0:
            gaps.append(_Gap(name, point, index, left, right))
    return max(gaps, key=lambda gap: gap.size, default=None)


def _not_compared(name: str, why: str) -> Finding:
    return Finding(
        "same",
        QUANTITY,
        f"The deterministic site {name!r} was not compared here: {why}. Draws compare it, where they can.",
        site=name,
        notable=True,
    )


def _tell(context: Context, gap: _Gap, pairs: list[tuple[int, tuple[np.ndarray, np.ndarray]]]) -> Finding:
    point = context.points[gap.point]
    left, right = gap.left[gap.index], gap.right[gap.index]
    hint = "it is computed in another way; the densities do not depend on it"
    if told := _relation(context, gap, pairs):
        hint = f"{told}; the densities do not depend on it"
    return Finding(
        "different",
        QUANTITY,
        f"The deterministic site {gap.name!r} is {left:.10g} in pyro and {right:.10g} in numpyro at {point.name}.",
        site=gap.name,
        size=gap.size if np.isfinite(gap.size) else None,
        point=point.name,
        index=gap.index or None,
        hint=hint,
        numbers={"points": len(pairs)},
    )


def _relation(
    context: Context, gap: _Gap, pairs: list[tuple[int, tuple[np.ndarray, np.ndarray]]]
) -> str | None:
    usable = [
        (i, left, right)
        for i, (left, right) in pairs
        if left.shape == gap.left.shape and np.all(np.isfinite(left) & np.isfinite(right))
    ]
    if not usable or np.iscomplexobj(gap.left):
        return None
    at = [context.points[i].values for i, _, _ in usable]
    known = {n: np.stack([np.asarray(v[n], dtype=float) for v in at]) for n in context.shared if n in at[0]}
    left, right = (np.stack([row[k] for row in usable]) for k in (1, 2))
    pairs_ = Pairs(np.asarray(left, dtype=float), np.asarray(right, dtype=float), known)
    return relation(pairs_) if np.any(pairs_.apart) else None
