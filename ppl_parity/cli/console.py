"""What a person reads: on standard output, unless a JSON object goes there."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDTH = 100  # into a file or a pipe, which have no width of their own


def console(json_target: str | None) -> Console:
    """The console for everything but JSON."""
    stream = sys.stderr if json_target == "-" else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDTH
    return Console(file=stream, width=width, highlight=False)


def facts(out: Console, rows: Mapping[str, str]) -> None:
    """What was asked for, a line a topic."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows.items():
        grid.add_row(name, Text(text))
    out.print(grid)
    out.print()


def troubles(out: Console, found: Sequence[str], whose: str = "") -> None:
    """What is wrong with the draws, or that nothing was found."""
    of = f" of {whose}" if whose else ""
    if not found:
        out.print(Text(f"No trouble in the draws{of}: no divergences, R-hat and effective sizes as they should be."))
        return
    out.print(Text(f"Trouble in the draws{of}:", style="bold red"))
    for sentence in found:
        grid = Table.grid(padding=(0, 1))
        grid.add_row("-", Text(sentence))
        out.print(Padding(grid, (0, 0, 0, 2)))


def written(out: Console, paths: Sequence[Path]) -> None:
    """Which files there are now; a path is never broken over two lines."""
    for path in paths:
        out.print(Text(f"Wrote {path}"), soft_wrap=True)
