"""How one array of numbers is made from another, told from their values at several points.

A relation has to hold at every point: at one alone, two and four are a square, a double and a sum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppl_parity.statistics.relations.broadcasts import other_axis
from ppl_parity.statistics.relations.digits import lost_digits
from ppl_parity.statistics.relations.elements import other_elements
from ppl_parity.statistics.relations.functions import multiple, of_axes, of_elements, of_simplices
from ppl_parity.statistics.relations.links import scaled_link
from ppl_parity.statistics.relations.normalising import another_axis
from ppl_parity.statistics.relations.pairs import NEAR, Pairs
from ppl_parity.statistics.relations.terms import MOST_COLUMNS, named_site, plain_term, term, times

__all__ = ["Pairs", "relation"]


FLOAT32 = 1.2e-7  # relative: one rounding
CLOSE = 1e-3  # relative: what a mistake leaves is seldom so near at every point


def relation(pairs: Pairs) -> str | None:
    """What numpyro's array is of pyro's: ``numpyro's is minus pyro's: a sign``; None where it is nothing known.

    Of large arrays some elements are looked at, evenly spread over those that differ.
    """
    pairs = replace(pairs, sites={name: values for name, values in pairs.sites.items() if values.size})
    ways = (
        _two_sites,
        of_simplices,
        of_elements,
        of_axes,
        other_axis,
        other_elements,
        multiple,
        times,
        scaled_link,
        term,
        _one_site,
        another_axis,
        lost_digits,
        _close,
    )
    with np.errstate(all="ignore"):
        if (
            _apart(pairs) < NEAR
        ):  # then all of these hold for the same numbers too, but for what the gap itself is
            ways = (plain_term, lost_digits, _close)
    with np.errstate(all="ignore"):
        told = next((told for way in ways if (told := way(pairs))), None)
    if _on_the_diagonal(pairs):
        return (
            f"{told}, on the diagonal alone"
            if told
            else "on the diagonal alone: a noise, or a jitter, of another size"
        )
    return told


def _on_the_diagonal(pairs: Pairs) -> bool:
    """Whether matrices that have more than a diagonal differ in that alone."""
    shape = pairs.left.shape[1:]
    if len(shape) < 2 or not 1 < shape[-1] == shape[-2]:
        return False
    beside = ~np.eye(shape[-1], dtype=bool)
    return bool(np.any(pairs.left[..., beside]) and not np.any(pairs.apart[..., beside]))


def _apart(pairs: Pairs) -> float:
    """How far the two are apart, as a share of the larger, at most."""
    left, right = pairs.differing
    size = np.maximum(np.abs(left), np.abs(right))
    return float(np.max(np.abs(right - left) / np.where(size > 0, size, np.inf), initial=0.0))


def _close(pairs: Pairs) -> str | None:
    """All but the same numbers, in no other way: what two ways of computing them leave, and a port does not."""
    share = _apart(pairs)
    if not 0 < share < CLOSE:
        return None
    narrow = "; or float32's rounding, of what is made or cast in it on one side (.float())"
    return (
        f"apart by {share:.1g} of it at most: an approximation, such as a solver's tolerance, or constants of few "
        f"digits{narrow if share < FLOAT32 else ''}"
    )


def _two_sites(pairs: Pairs) -> str | None:
    left, right = (_named(side, pairs) for side in (pairs.left, pairs.right))
    if left and right and left != right:
        return f"pyro's is the value of {left!r}, numpyro's of {right!r}"
    return None


def _one_site(pairs: Pairs) -> str | None:
    for side, whose in ((pairs.left, "pyro's"), (pairs.right, "numpyro's")):
        if name := _named(side, pairs):
            return f"{whose} is the value of {name!r}, and the other side's is not"
    return None


def _named(side: np.ndarray, pairs: Pairs) -> str | None:
    return named_site(pairs.picked(side, MOST_COLUMNS), pairs)
