"""Are the data given the same things on both sides? Where a side has integrated a site out, they are not.

Of theta ~ N(mu, tau), y ~ N(theta, 1) one side may keep theta, the other have y ~ N(mu, sqrt(tau^2 + 1)). Both have one
posterior of mu and tau; but what y is likely to be, given each side's own draws, are two distributions.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.pair.pairs import SIDES

Given = Literal["alike", "apart", "unclear"]


def given_to_data(context: Context, draws: dict[str, Arrays]) -> Given:
    """Whether each side's own draws fix the same, where the latent sites differ.

        alike    each latent site is recorded on the other side, or both sides' have as many numbers in all
        apart    one side alone has latent sites that the other does not record: it may have integrated them out
        unclear  each has some: there is more than another way of writing

    Args:
        draws: side -> site (Pyro's names) -> (C, S, ...), deterministic sites included.
    """
    own = alone(context, draws)
    if not any(own.values()):
        return "alike"
    counts = [_unconstrained(context, side, draws[side]) for side in SIDES]
    if counts[0] == counts[1]:
        return "alike"
    return "unclear" if all(own.values()) else "apart"


def alone(context: Context, draws: dict[str, Arrays]) -> dict[str, list[str]]:
    """Side -> its latent sites of which the other side has no draws."""
    return {side: [n for n in _latent(context, side) if n not in draws[_other(side)]] for side in SIDES}


def _other(side: str) -> str:
    return SIDES[1 - SIDES.index(side)]


def _latent(context: Context, side: str) -> list[str]:
    return [n for n, s in context.sites[side].items() if s.kind == "latent" and not is_discrete(s)]


def _unconstrained(context: Context, side: str, draws: Arrays) -> int:
    """How many numbers a side's latent sites have: a simplex one less than it shows."""
    point = {name: draws[name][0, 0] for name in _latent(context, side) if name in draws}
    try:
        found = context.programs[side].unconstrain(context.pair.to_side(side, point))
    except InputError:  # a frozen side was not asked
        found = point
    return sum(np.size(value) for value in found.values())
