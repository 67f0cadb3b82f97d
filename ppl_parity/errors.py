"""What a user is told when input is wrong: one full sentence, the rule first, then what was received."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class InputError(ValueError):
    """Input that breaks a stated rule; the command line prints its message and exits with status 2."""


class ModelError(InputError):
    """What a user's code raised, as one sentence.

    Args:
        side: whose process it ran in.
        what: what could not be done.
        reason: the exception, in words.
        place: the line, or the site, at which it was raised; None where nothing says so.
    """

    def __init__(self, side: str, what: str = "", reason: str = "", place: str | None = None) -> None:
        super().__init__(
            side, what, reason, place
        )  # all of them, so that it crosses to another process whole

    def __str__(self) -> str:
        side, what, reason, place = self.args
        where = (
            "" if place is None else f" at {place}" if what.endswith("failed") else f"; it failed at {place}"
        )
        return f"{side}: {what}{where}: {reason}"

    def at(self, place: str | None) -> ModelError:
        """The same, with its place unless it has one."""
        side, what, reason, own = self.args
        return ModelError(side, what, reason, own or place)

    def original(self) -> ModelError:
        """This, or what it was before Pyro made it anew, of its text and the trace's shapes alone."""
        return self.__cause__.original() if isinstance(self.__cause__, ModelError) else self


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``allowed``; else raise, suggesting the nearest name."""
    if value in allowed:
        return value
    raise InputError(f"{name} must be one of {', '.join(allowed)}; got {value!r}.{nearest(value, allowed)}")


def nearest(value: str, allowed: Sequence[str]) -> str:
    """' Did you mean ...?' for the closest allowed name, or an empty string when none is close."""
    close = difflib.get_close_matches(str(value).lower(), allowed, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
