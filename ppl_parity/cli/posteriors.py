"""Both posteriors of a check: side by side in one table, components aligned, and as ArviZ files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl_parity.cli import console
from ppl_parity.draws.posterior import MIXTURE_DIMS, save, to_datatree
from ppl_parity.listing import listed
from ppl_parity.process.references import MixtureReference
from ppl_parity.report.tables import comparison_table
from ppl_parity.statistics.summary import diagnose, summarize

if TYPE_CHECKING:
    from rich.console import Console
    from xarray import DataTree

    from ppl_parity.backend.contract import Arrays
    from ppl_parity.ladder.context import Context


def show_and_save(
    screen: Console,
    context: Context,
    paths: Mapping[str, Path],
    force: bool,
    versions: Mapping[str, Any],
) -> list[Path]:
    """Print the table and what is wrong with the draws; write the files, if places for them are given."""
    draws = context.results["posterior draws"]
    trees = {side: _tree(context, side, draws, versions) for side in draws}
    # A mixture's components are named below; those of other models as the rung has named them. Files keep the draws.
    components = context.results["exchangeable"]
    mixture = isinstance(context.pair.models["pyro"], MixtureReference)
    named = () if mixture or components is None else tuple(components.axes)
    shown = trees
    if named:
        shown = {s: _tree(context, s, context.results["posterior renamed"], versions) for s in draws}
    first = summarize(shown["pyro"])
    second = summarize(shown["numpyro"], None if first.relabelling is None else first.relabelling.pivot)
    screen.print()
    title = "Both posteriors"
    if named:
        title += f", the components of {listed(named)} named alike"
    console.table(screen, comparison_table(first, second, ("pyro", "numpyro"), title=title))
    for side, summary in (("pyro", first), ("numpyro", second)):
        console.troubles(screen, diagnose(shown[side], summary), side)
    return [save(trees[side], path, overwrite=force) for side, path in paths.items()]


def _tree(context: Context, side: str, draws: Mapping[str, Arrays], versions: Mapping[str, Any]) -> DataTree:
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
        "posterior": draws[side],
        "sample_stats": context.results["posterior stats"][side],
        "observed_data": {
            name: site.value
            for name, site in context.sites[side].items()
            if site.kind == "observed" and site.value is not None
        },
    }
    return to_datatree(groups, attributes, dims=MIXTURE_DIMS if mixture else None)
