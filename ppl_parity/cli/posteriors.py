"""Both posteriors of a check: on the terminal, and as ArviZ files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ppl_parity.cli import console
from ppl_parity.draws.posterior import save
from ppl_parity.report.posteriors import tree
from ppl_parity.report.tables import comparison_table

if TYPE_CHECKING:
    from rich.console import Console

    from ppl_parity.findings import Report
    from ppl_parity.ladder.context import Context
    from ppl_parity.report.posteriors import Posteriors


def show(screen: Console, both: Posteriors) -> None:
    """Print the table, and what is wrong with the draws."""
    screen.print()
    console.table(screen, comparison_table(both.pyro, both.numpyro, title=both.title))
    for side, found in both.troubles.items():
        console.troubles(screen, found, side)


def save_both(context: Context, report: Report, paths: Mapping[str, Path], force: bool) -> list[Path]:
    """Write the draws as they are, components not renamed, if places for them are given."""
    draws, versions = context.results["posterior draws"], report.environment["versions"]
    return [save(tree(context, side, draws, versions), path, overwrite=force) for side, path in paths.items()]
