"""A check on a terminal: a status line while it works, a line a rung as it ends, and three lines of conclusion."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from ppl_parity.findings import Report, RungResult
from ppl_parity.report.unbroken import Unbroken
from ppl_parity.report.wording import (
    NOT_RUN,
    conclusion,
    duration,
    labelled_lines,
    not_run,
    notes,
    one_line,
    place,
    summary,
    three_lines,
)

__all__ = ["TerminalReport", "print_report", "three_lines"]

# Told apart by symbol and word; the colour only helps.
SYMBOLS = {"same": "\u2713", "different": "\u2717", "unresolved": "?", NOT_RUN: "\u00b7"}
ASCII_SYMBOLS = {"same": "+", "different": "x", "unresolved": "?", NOT_RUN: "-"}
STYLES = {"same": "green", "different": "bold red", "unresolved": "yellow", NOT_RUN: "dim"}
NAME_WIDTH, VERDICT_WIDTH, SECONDS_WIDTH = len("enumeration"), len("unresolved"), len("0.35 s")
LONG = 99.5  # seconds, from which minutes would be said, and would not fit
MAX_NOTES = 6


class TerminalReport:
    """Progress while the rungs work, where a person watches; each rung's line as it ends, and then the rest.

    Use it as a context manager around the climb, hand ``progress`` and ``finished`` to the ladder, and call
    ``print_report``.
    """

    def __init__(self, console: Console) -> None:
        """Nothing is shown yet.

        Args:
            console: what to write on; a status line appears only if it is a terminal.
        """
        self.console = console
        self._started = time.monotonic()
        self._status: Status | None = None
        self._finished = 0

    def __enter__(self) -> TerminalReport:
        """Start the clock, and the status line."""
        self._started = time.monotonic()
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._status = self.console.status(self._line("starting"), spinner_style="cyan")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the status line away, also after an error."""
        self.stop()

    def progress(self, doing: str) -> None:
        """Show what is being done, in place of what was shown before.

        Args:
            doing: a few words, such as ``density: 24 points``.
        """
        if self._status is not None:
            self._status.update(self._line(doing))

    def finished(self, rung: RungResult) -> None:
        """Print a rung's line: who reads a log of a quarter of an hour wants to know where it stands."""
        grid = _grid()
        grid.add_row(*_rung(rung, self.console))
        self.console.print(grid)
        self.console.file.flush()
        self._finished += 1

    def stop(self) -> None:
        """Take the status line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def print_report(self, report: Report) -> None:
        """What of the report was not printed yet, with the time since this was entered."""
        self.stop()
        print_report(report, self.console, time.monotonic() - self._started, printed=self._finished)

    def _line(self, doing: str) -> Text:
        line = _text(self.console, doing)
        line.truncate(max(10, self.console.width - 4), overflow="ellipsis")  # a status of two lines flickers
        return line


def print_report(report: Report, console: Console, elapsed: float | None = None, *, printed: int = 0) -> None:
    """Print a line a rung, the conclusion in three lines, and what else is worth knowing.

    Args:
        report: of a finished check.
        console: of any width from 60; without colour where it has none.
        elapsed: seconds of the whole check; None adds up the rungs'.
        printed: so many rungs have had their line.
    """
    seconds = sum(rung.seconds for rung in report.rungs) if elapsed is None else elapsed
    rows = _rungs(report, console, printed)
    if rows.row_count:
        console.print(rows)
    console.print()
    console.print(Unbroken(_conclusion(report, console, seconds)))
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold", no_wrap=True)
    lines.add_column(overflow="fold")
    for label, text in labelled_lines(report):
        lines.add_row(label, Unbroken(_text(console, text)))
    console.print(Padding(lines, (0, 0, 0, 2)))
    _print_notes(report, console)


def _grid() -> Table:
    """Lines of rungs: as wide whatever they hold, so that one printed alone stands below the others."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    for width in NAME_WIDTH, VERDICT_WIDTH:
        grid.add_column(no_wrap=True, min_width=width, max_width=14)
    grid.add_column(no_wrap=True, min_width=SECONDS_WIDTH, justify="right", style="dim")
    grid.add_column(overflow="fold", ratio=1)
    return grid


def _rungs(report: Report, console: Console, printed: int) -> Table:
    grid = _grid()
    for rung in report.rungs[printed:]:
        grid.add_row(*_rung(rung, console))
    left = not_run(report)
    if left:
        names = ", ".join(left)
        grid.add_row(_symbol(console, NOT_RUN), "", Text(NOT_RUN, "dim"), "", _text(console, names, "dim"))
    return grid


def _rung(rung: RungResult, console: Console) -> tuple[Text, ...]:
    return (
        _symbol(console, rung.verdict),
        _text(console, rung.name),
        Text(rung.verdict, STYLES[rung.verdict]),
        Text(duration(rung.seconds) if rung.seconds < LONG else f"{rung.seconds:.0f} s"),
        _text(console, summary(rung)),
    )


def _conclusion(report: Report, console: Console, seconds: float) -> Text:
    more = " They first part here:" if report.verdict == "different" else ""
    line = _symbol(console, report.verdict)
    line.append(f" {report.verdict}", STYLES[report.verdict])
    line.append(f"  {conclusion(report)}.{more}", "bold")
    return line.append(f"  ({one_line(report.pair)}, {duration(seconds)})", "dim")


def _print_notes(report: Report, console: Console) -> None:
    found = notes(report)
    if not found:
        return
    console.print()
    console.print(Text("Worth knowing", "bold"))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for rung, finding in found[:MAX_NOTES]:
        subject = _text(console, f"{rung}, {place(finding)}: ", "bold")
        grid.add_row("-", Unbroken(subject + _text(console, finding.detail)))
    if len(found) > MAX_NOTES:
        grid.add_row("-", f"and {len(found) - MAX_NOTES} more, in the JSON and HTML reports.")
    console.print(Padding(grid, (0, 0, 0, 2)))


def _symbol(console: Console, verdict: str) -> Text:
    symbols = ASCII_SYMBOLS if console.options.ascii_only else SYMBOLS
    return Text(symbols[verdict], STYLES[verdict])


def _text(console: Console, text: str, style: str = "") -> Text:
    """Never markup, and nothing that the stream cannot encode: names come from a user's model."""
    line = one_line(text)
    trailing = " " if text.endswith(" ") else ""
    encoded = line.encode(console.encoding, "backslashreplace").decode(console.encoding)
    return Text(encoded + trailing, style)
