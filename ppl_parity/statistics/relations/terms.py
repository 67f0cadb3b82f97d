"""What is added or multiplied on one side only: a term that the port lost, doubled, or gave another sign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, combinations_with_replacement

import numpy as np
from scipy.special import logit

from ppl_parity.statistics.relations.pairs import NEAR, Pairs, near, shaped

MOST_COLUMNS = 64  # elements that a term is looked for at
SPARE = 3  # points beyond the unknowns of a fit, so that an exact one is no accident
LINKS: tuple[tuple[Callable[[np.ndarray], np.ndarray], str], ...] = (
    (lambda x: x, ""),
    (np.log, "on the log scale, "),
    (logit, "on the logit scale, "),
)
POWERS = ((1.0, "{}"), (2.0, "{} squared"), (0.5, "the square root of {}"))
WRONG = "a sign, a coefficient or an index, or a term that one side lost"


def term(pairs: Pairs) -> str | None:
    """A constant, or a term in one site, in two of them multiplied, or in several; also under a log or logit."""
    sides = [pairs.picked(side, MOST_COLUMNS) for side in (pairs.left, pairs.right)]
    for link, words in LINKS:
        left, right = (link(side) for side in sides)
        if len(left) < SPARE or not (np.all(np.isfinite(left)) and np.all(np.isfinite(right))):
            continue
        gap = right - left
        if told := _constant(gap, left):
            return words + told
        if np.all(np.ptp(gap, axis=0) < NEAR * np.abs(gap).max()):
            continue  # no term moves
        if told := _added(gap, pairs) or _fitted(gap, pairs) or _product(gap, pairs):
            return words + told
    return None


def plain_term(pairs: Pairs) -> str | None:
    """A constant or a site that is added: of two arrays that are all but the same, what the gap itself is."""
    left, right = (pairs.picked(side, MOST_COLUMNS) for side in (pairs.left, pairs.right))
    return (_constant(right - left, left) or _added(right - left, pairs)) if len(left) >= SPARE else None


def times(pairs: Pairs) -> str | None:
    """One side is the other times a site, its square or its root: a scale or a precision that one side lost."""
    left, right = (pairs.picked(side, MOST_COLUMNS) for side in (pairs.left, pairs.right))
    if len(left) < SPARE:
        return None
    rows = {name: values[..., None] for name, values in pairs.sites.items() if values.ndim > 1}
    for sites in (
        pairs.sites,
        rows,
    ):  # along the last axis, or along the one before: a factor of each row of a matrix
        for name, own in moving(replace(pairs, sites=sites)).items():
            for power, words in POWERS:
                factor = np.power(own, power)
                if np.all(np.isfinite(factor)) and np.ptp(factor):
                    if near(left * factor, right):
                        return f"numpyro's is pyro's times {words.format(repr(name))}"
                    if near(right * factor, left):
                        return f"pyro's is numpyro's times {words.format(repr(name))}"
    return None


def named_site(side: np.ndarray, pairs: Pairs) -> str | None:
    """The site whose value an array is, at every point.

    Args:
        side: at the elements that ``Pairs.picked`` takes.
    """
    if len(side) < SPARE:
        return None
    return next((name for name, own in moving(pairs).items() if near(own, side)), None)


def moving(pairs: Pairs) -> dict[str, np.ndarray]:
    """The sites that fit the array's shape and change from point to point, at the elements that differ."""
    found = {name: shaped(values, pairs.left.shape) for name, values in pairs.sites.items()}
    picked = {name: pairs.picked(own, MOST_COLUMNS) for name, own in found.items() if own is not None}
    return {name: own for name, own in picked.items() if np.ptp(own, axis=0).all()}


def _constant(gap: np.ndarray, left: np.ndarray) -> str | None:
    size = np.abs(gap).max()
    if not np.all(np.ptp(gap, axis=0) < NEAR * size):
        return None
    one = np.ptp(gap) < NEAR * size
    if not one and not np.all(np.ptp(left, axis=0) > NEAR * np.abs(left).max(axis=0)):
        return None  # of numbers that do not move the one is always the other plus some
    if not one:
        return "numpyro's is pyro's plus a number of each element's own, the same at every point"
    return f"numpyro's is pyro's {'plus' if gap.flat[0] > 0 else 'less'} {abs(gap.flat[0]):.4g}"


def _added(gap: np.ndarray, pairs: Pairs) -> str | None:
    for sign, words in ((1, "numpyro's has {} added"), (-1, "pyro's has {} added")):
        if name := named_site(sign * gap, pairs):
            return f"{words.format(repr(name))}, and the other side has not"
    return None


def _product(gap: np.ndarray, pairs: Pairs) -> str | None:
    """One site, or two multiplied, times a number of each element's own that is the same at every point."""
    usable = moving(pairs)
    singles = [((name,), values) for name, values in usable.items()]
    doubles = (((a, b), usable[a] * usable[b]) for a, b in combinations_with_replacement(usable, 2))
    for names, values in chain(singles, doubles):
        ratio = gap / values
        if np.all(np.isfinite(ratio)) and np.all(np.ptp(ratio, axis=0) <= NEAR * np.abs(ratio).max(axis=0)):
            return f"apart by a term in {' times '.join(map(repr, names))} alone: {WRONG}"
    return None


def _fitted(gap: np.ndarray, pairs: Pairs) -> str | None:
    """The fewest sites of which the gap is a linear function, with the constant among them."""
    flat = {name: values.reshape(len(values), -1) for name, values in pairs.sites.items()}
    small = {name: c for name, c in flat.items() if c.shape[1] <= len(gap) - 1 - SPARE}
    columns = {name: c for name, c in small.items() if np.all(np.isfinite(c)) and np.ptp(c)}
    kept = [name for name in columns if _fits(gap, [columns[name]])][:1] or list(columns)
    if not kept or not _fits(gap, [columns[name] for name in kept]):
        return None
    for name in list(kept):  # those that are not needed
        rest = [columns[other] for other in kept if other != name]
        if rest and _fits(gap, rest):
            kept.remove(name)
    if len(kept) == 1:
        return f"apart by a term in {kept[0]!r} alone: {WRONG}"
    return f"apart by terms in {', '.join(map(repr, kept[:-1]))} and {kept[-1]!r}: {WRONG}"


def _fits(gap: np.ndarray, columns: list[np.ndarray]) -> bool:
    basis = np.concatenate([np.ones((len(gap), 1)), *columns], axis=1)
    if len(basis) < basis.shape[1] + SPARE:
        return False
    weights = np.linalg.lstsq(basis, gap, rcond=None)[0]
    return bool(np.abs(basis @ weights - gap).max() < NEAR * np.abs(gap).max())
