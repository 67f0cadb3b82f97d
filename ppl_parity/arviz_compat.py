"""The one place that knows which ArviZ is installed.

The modern API (DataTree) is ``arviz`` 1.x on Python 3.12 and later, and ``arviz[preview]`` 0.23 on Python
3.11, where ``import arviz`` still gives the old InferenceData API. Under both, the modern API lives in the
same three distributions, so importing those directly is the whole difference. They are slow to import
(seconds), hence inside the functions.

Not offered, on purpose: ``mcse(method="sd")``, whose value is biased in arviz-stats up to 1.2.0.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

# The quantiles whose effective sample sizes make up the tail ESS (Vehtari et al. 2021, section 4.3). ArviZ's
# own default follows a user's settings, and a number in a report must not.
TAIL = (0.05, 0.95)


def _over_draws(function: Any, draws: np.ndarray, **options: Any) -> np.ndarray:
    draws = np.asarray(draws, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # constant draws: NaN, which the callers expect
        return np.asarray(function(draws, chain_axis=0, draw_axis=1, **options), dtype=np.float64)


def ess(draws: np.ndarray, method: str = "bulk") -> np.ndarray:
    """Effective sample size of each scalar.

    Args:
        draws: (chain, draw, ...).
        method: ``bulk`` or ``tail`` (the smaller of the 5 % and the 95 % quantile's).

    Returns:
        The shape of ``draws`` without its first two axes; NaN for fewer than four draws a chain.

    Source: Vehtari et al. 2021, Bayesian Analysis 16:667.
    """
    from arviz_stats.base import array_stats

    options = {"prob": TAIL} if method == "tail" else {}
    return _over_draws(array_stats.ess, draws, method=method, **options)


def rhat(draws: np.ndarray) -> np.ndarray:
    """Rank-normalised split R-hat of each scalar of ``draws`` (chain, draw, ...); NaN for one chain.

    Source: Vehtari et al. 2021, Bayesian Analysis 16:667.
    """
    from arviz_stats.base import array_stats

    return _over_draws(array_stats.rhat, draws, method="rank")


def mcse_mean(draws: np.ndarray) -> np.ndarray:
    """Monte Carlo standard error of the mean, sd / sqrt(ESS), of each scalar of ``draws`` (chain, draw, ...).

    Source: Vehtari et al. 2021, Bayesian Analysis 16:667.
    """
    from arviz_stats.base import array_stats

    return _over_draws(array_stats.mcse, draws, method="mean")


def dataset(
    variables: Mapping[str, np.ndarray],
    sample_dims: Sequence[str],
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Any] | None = None,
) -> Any:
    """An ``xarray.Dataset`` in ArviZ's layout: ``sample_dims`` first, then ``dims`` for each variable."""
    from arviz_base import dict_to_dataset

    return dict_to_dataset(
        dict(variables),
        sample_dims=list(sample_dims),
        dims={name: list(names) for name, names in (dims or {}).items()},
        coords=dict(coords or {}),
    )


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
