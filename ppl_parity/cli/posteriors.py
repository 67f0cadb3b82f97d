"""Both posteriors of a check: side by side in one table, components aligned, and as ArviZ files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl_parity.cli import console
from ppl_parity.draws.posterior import MIXTURE_DIMS, save, to_datatree
from ppl_parity.process.references import MixtureReference
from ppl_parity.report.tables import comparison_table
from ppl_parity.statistics.summary import diagnose, summarize

if TYPE_CHECKING:
    from rich.console import Console
    from xarray import DataTree

    from ppl_parity.ladder.context import Context


def show_and_save(
    screen: Console,
    context: Context,
    paths: Mapping[str, Path],
    force: bool,
    versions: Mapping[str, Any],
) -> list[Path]:
    """Print the table and what is wrong with the draws; write the files, if places for them are given."""
    trees = {side: _tree(context, side, versions) for side in context.results["posterior draws"]}
    first = summarize(trees["pyro"])
    second = summarize(trees["numpyro"], None if first.relabelling is None else first.relabelling.pivot)
    screen.print()
    console.table(screen, comparison_table(first, second, ("pyro", "numpyro"), title="Both posteriors"))
    for side, summary in (("pyro", first), ("numpyro", second)):
        console.troubles(screen, diagnose(trees[side], summary), side)
    return [save(trees[side], path, overwrite=force) for side, path in paths.items()]


def _tree(context: Context, side: str, versions: Mapping[str, Any]) -> DataTree:
    mixture = isinstance(context.pair.models[side], MixtureReference)
    attributes: dict[str, Any] = {
        "backend": side,
        "pair": context.pair.name,
        "check_seed": context.settings.seed,
        "versions": json.dumps(versions[side]),
    }
    if mixture:
        attributes["spec"] = json.dumps(context.pair.models[side].spec.as_dict())  # type: ignore[union-attr]
    groups = {
        "posterior": context.results["posterior draws"][side],
        "sample_stats": context.results["posterior stats"][side],
        "observed_data": {
            name: site.value
            for name, site in context.sites[side].items()
            if site.kind == "observed" and site.value is not None
        },
    }
    return to_datatree(groups, attributes, dims=MIXTURE_DIMS if mixture else None)
