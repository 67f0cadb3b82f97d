"""One finding about the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """A topic, how it stands, and a sentence that says what was found and, if not ok, what to do.

    A ``problem`` makes numbers wrong; a ``warning`` makes times differ, or numbers less exact.
    """

    topic: str
    status: Status
    sentence: str
