"""Text on a terminal whose durations stay whole: ``12.3 s`` over two lines is read as 12.3 of something else."""

from __future__ import annotations

import re

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_INSIDE = re.compile(r"(?<=\d) (?=s\b|min\b)|(?<=min) (?=\d\d s\b)")
_HELD = "\u2800"  # looks like a space, and is no place to break a line, as a no-break space is to rich


class Unbroken:
    """A ``Text`` that is wrapped between words, folded where one is too long, and never within a duration."""

    def __init__(self, text: Text) -> None:
        """Nothing is wrapped yet.

        Args:
            text: with styles, as it would be printed on a line without an end.
        """
        self.text = text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as the text itself."""
        return Measurement.get(console, options, self.text)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines."""
        held = self.text.copy()
        held.plain = _INSIDE.sub(_HELD, held.plain)
        for line in held.wrap(console, options.max_width, overflow="fold"):
            line.plain = line.plain.replace(_HELD, " ")
            yield line
