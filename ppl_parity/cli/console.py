"""What a person reads: on standard output, unless a JSON object goes there."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ppl_parity.process.leaving import BROKEN_PIPE

if TYPE_CHECKING:
    from ppl_parity.cli.fitted import Fitted

WIDTH = 100  # into a file or a pipe, which have no width of their own


class _Console(Console):
    """One whose reader may leave, as ``head`` does: that is no verdict, and 1 would be one."""

    def on_broken_pipe(self) -> None:
        """End as a program does that the signal ended."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(BROKEN_PIPE)


def screen(json: str | None = None) -> Console:
    """The console for everything but JSON; standard error if JSON goes to standard output.

    No text is markup: 'ppl-parity[numpyro]' would lose its extra.
    """
    stream = sys.stderr if json == "-" else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDTH
    return _Console(file=stream, width=width, highlight=False, markup=False)


def facts(out: Console, rows: Mapping[str, str]) -> None:
    """What was asked for, a line a topic."""
    from ppl_parity.report.unbroken import Unbroken

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows.items():
        grid.add_row(name, Unbroken(Text(text)))
    out.print(grid)
    out.print()


def table(out: Console, whole: Table) -> None:
    """Print a table; what a narrow terminal has no room for is left out, from the right, and named.

    Names, in the first column, get the room that a wide one leaves.
    """
    left_out = []
    unbounded = out.options.update(max_width=10_000)
    while len(whole.columns) > 2 and Measurement.get(out, unbounded, whole).maximum > out.width:
        left_out.insert(0, " ".join(str(whole.columns.pop().header).split()))
    names = whole.columns[0]
    spare = out.width - Measurement.get(out, unbounded, whole).maximum
    if names.max_width is not None and spare > 0:
        names.max_width += spare
    if left_out:
        whole.caption = f"{whole.caption or ''} In a wider window: {', '.join(left_out)}."
    out.print(whole)
    out.print()


def show_fit(out: Console, fitted: Fitted, title: str) -> None:
    """A fit's table, its log predictive density, and what is wrong with its draws, and with its model."""
    from ppl_parity.report.tables import summary_table

    table(out, summary_table(fitted.table_rows, title=title))
    predictive(out, fitted)
    if fitted.recovery is not None:
        out.print(f"{fitted.recovery}")
    troubles(out, fitted.troubles)
    if fitted.misfits:
        sentences(out, "The model does not suit these data:", fitted.misfits)
    out.print()


def predictive(out: Console, fitted: Fitted, whose: str = "") -> None:
    """How well the posterior predicts the data that it was fitted to."""
    if fitted.log_predictive is not None:
        total, mcse = fitted.log_predictive
        by = f" ({whose})" if whose else ""
        error = "" if math.isnan(mcse) else f", MCSE {mcse:.2g}"  # of a few draws there is none
        out.print(f"Log predictive density of the data, all rows{by}: {total:.3f}{error}.")


def troubles(out: Console, found: Sequence[str], whose: str = "") -> None:
    """What is wrong with the draws, or that nothing was found."""
    of = f" of {whose}" if whose else ""
    if not found:
        out.print(
            Text(f"No trouble in the draws{of}: no divergences, R-hat and effective sizes as they should be.")
        )
        return
    sentences(out, f"Trouble in the draws{of}:", found)


def sentences(out: Console, heading: str, found: Sequence[str]) -> None:
    """A heading in red, and a list."""
    out.print(Text(heading, style="bold red"))
    for sentence in found:
        grid = Table.grid(padding=(0, 1))
        grid.add_row("-", Text(sentence))
        out.print(Padding(grid, (0, 0, 0, 2)))


def written(out: Console, files: Sequence[Path], json: str | None = None) -> None:
    """Which files there are now; a path is never broken over two lines."""
    for path in [*files, *([Path(json)] if json not in (None, "-") else [])]:
        out.print(Text(f"Wrote {path}"), soft_wrap=True)
