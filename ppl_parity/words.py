"""Words that messages share; importing it costs nothing."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 chain``, ``4 chains``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
