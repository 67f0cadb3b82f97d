"""What is wrong with a fit: with its draws, and, of the mixture, with the model that was fitted."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ppl_parity.draws.posterior import attribute, load
from ppl_parity.errors import InputError
from ppl_parity.fitting.reached import in_words
from ppl_parity.statistics.misfit import misfits
from ppl_parity.statistics.orders import order_troubles
from ppl_parity.statistics.summary import Summary, summarize
from ppl_parity.statistics.summary import diagnose as of_draws

if TYPE_CHECKING:
    from xarray import DataTree

LEAST_UNVISITED = 0.01


def diagnose(tree: DataTree | str | PathLike[str]) -> list[str]:
    """Say in plain words why a fit is not to be trusted, and what to do about it.

    Args:
        tree: from ``fit_mixture``, or from a backend's ``fit``; or the file of one.

    Returns:
        One sentence or two for each trouble, the worst kinds first: divergences, chains that do not agree, few
        effective draws, a mode that was not reached; and of the mixture what of the data it does not suit. Empty if
        nothing is wrong.

    Source: Vehtari et al. 2021, Bayesian Analysis 16:667.
    """
    if isinstance(tree, str | PathLike):
        tree = load(Path(tree))
    if not hasattr(tree, "children"):
        raise InputError(
            f"A fit must be a DataTree, as fit returns it, or its file; got {type(tree).__name__}. What ArviZ "
            "before 1.0 has read is none: give the file."
        )
    summary = summarize(tree)
    return [*troubles(tree, summary), *unsuited(tree, summary)]


def troubles(tree: DataTree, summary: Summary) -> list[str]:
    """Of the draws."""
    if attribute(tree, "spec") is None:
        return of_draws(tree, summary)
    noted = filter(None, (attribute(tree, "rounding"), in_words(_below(tree)), _unvisited(tree)))
    return [*noted, *order_troubles(tree, summary.relabelling), *of_draws(tree, summary)]


def unsuited(tree: DataTree, summary: Summary) -> list[str]:
    """Of the mixture and these data; draws that did not reach the posterior say nothing of it."""
    if attribute(tree, "spec") is None or _below(tree) > 0:
        return []
    return misfits(tree, summary.relabelling)


def _unvisited(tree: DataTree) -> str:
    share = float(attribute(tree, "unvisited") or 0.0)
    if share < LEAST_UNVISITED:
        return ""
    return (
        f"Modes that hold {share:.0%} of the posterior, by Laplace's method, were visited by no draw: what the draws "
        "say leaves these out. Of more chains some would start there."
    )


def _below(tree: DataTree) -> float:
    return float(attribute(tree, "below_a_mode") or 0.0)
