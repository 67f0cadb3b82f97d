"""The one place that knows which ArviZ is installed.

The modern API (DataTree) is ``arviz`` 1.x on Python 3.12 and later, and ``arviz[preview]`` 0.23 on Python
3.11, where ``import arviz`` still gives the old InferenceData API. Under both, the modern API lives in the
same three distributions, so importing those directly is the whole difference. They are slow to import
(seconds), hence inside the functions.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any


def from_dict(groups: Mapping[str, Mapping[str, Any]], **options: Any) -> Any:
    """ArviZ's ``from_dict`` of nested groups, ``{"posterior": {"theta": (chain, draw, K)}}``: a DataTree."""
    from arviz_base import from_dict as arviz_from_dict

    return arviz_from_dict({name: dict(variables) for name, variables in groups.items()}, **options)


def summary(tree: Any, **options: Any) -> Any:
    """ArviZ's own summary of ``tree``, a pandas DataFrame of unrounded numbers, for cross-checks."""
    from arviz_stats import summary as arviz_summary

    return arviz_summary(tree, **{"round_to": "none", **options})


def plots() -> ModuleType:
    """``arviz_plots``, to be called with ``backend="matplotlib"``; needs no display.

    A program that has already chosen its matplotlib backend (a notebook) keeps it.
    """
    if "matplotlib.pyplot" not in sys.modules:
        import matplotlib

        matplotlib.use("agg")
    import arviz_plots

    return arviz_plots


def plot_rank(tree: Any, prob: float, **options: Any) -> Any:
    """``arviz_plots.plot_rank`` with a simultaneous band of probability ``prob``.

    ArviZ 1.3 renamed the band's argument, and draws something else (a test) unless asked for the band.
    """
    draw = plots().plot_rank
    newer = "envelope_prob" in inspect.signature(draw).parameters
    band = {"method": "envelope", "envelope_prob": prob} if newer else {"ci_prob": prob}
    return draw(tree, **band, **options)
