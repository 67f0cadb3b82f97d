"""What a user is told when input is wrong: one full sentence, the rule first, then what was received."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class InputError(ValueError):
    """Input that breaks a stated rule; the command line prints its message and exits with status 2."""


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``allowed``; else raise, suggesting the nearest name."""
    if value in allowed:
        return value
    raise InputError(f"{name} must be one of {', '.join(allowed)}; got {value!r}.{nearest(value, allowed)}")


def nearest(value: str, allowed: Sequence[str]) -> str:
    """' Did you mean ...?' for the closest allowed name, or an empty string when none is close."""
    close = difflib.get_close_matches(str(value).lower(), allowed, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
