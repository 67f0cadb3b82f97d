"""Names in a sentence: all of a few, the first of many."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 3


def listed(names: Iterable[str]) -> str:
    """``'a', 'b', 'c'``; of more than three names ``'a', 'b' and 4 more``."""
    every = list(names)
    shown = every if len(every) <= MOST else every[: MOST - 1]
    more = f" and {len(every) - len(shown)} more" if len(shown) < len(every) else ""
    return ", ".join(map(repr, shown)) + more
