"""Both sides at the same time: each is a process of its own, so two threads that wait halve the wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ppl_parity.errors import InputError
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.at_once import at_once
from ppl_parity.process.sides import SideError


class Refused(Exception):
    """One side could not do what was asked of both; the message says which side, and why."""

    def __init__(self, sides: dict[str, str]) -> None:
        self.sides = sides
        super().__init__("; ".join(sides.values()))


def together(work: Callable[[str], Any], sides: Iterable[Any]) -> dict[str, Any]:
    """side -> ``work(side)``, both at once.

    Args:
        sides: whose processes may be asked, which end with an interrupt.

    Raises:
        Refused: a side refused the input, or its process failed.
    """
    results: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for side, future in at_once(work, SIDES, sides).items():
        try:
            results[side] = future.result()
        except (InputError, SideError) as error:
            reasons[side] = str(error)
        except Refused as refused:
            reasons |= refused.sides
    if reasons:
        raise Refused(reasons)
    return results
