"""A forest: the median and the intervals of many scalars on one axis, with their numbers beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

PROBS = 0.05, 0.25, 0.5, 0.75, 0.95
INK = "#0072B2"


def draw_forest(
    axes: Any, names: Sequence[str], draws: Mapping[str, np.ndarray], truth: Mapping[str, float]
) -> None:
    """A row for each scalar: its 90 % and 50 % intervals, its median as a tick, and the same in figures.

    A tick and not a dot, which hides intervals that are narrow beside what lies between the scalars.

    Args:
        axes: of matplotlib.
        names: of the scalars, from the top.
        draws: name -> its draws, of any shape.
        truth: name -> the value that data were drawn with, where it is known.
    """
    from matplotlib.transforms import blended_transform_factory

    beside = blended_transform_factory(axes.transAxes, axes.transData)
    for row, name in enumerate(names):
        low, lower, median, upper, high = np.quantile(draws[name], PROBS)
        axes.plot((low, high), (row, row), color=INK, linewidth=1.2, solid_capstyle="butt")
        axes.plot((lower, upper), (row, row), color=INK, linewidth=4, solid_capstyle="butt")
        axes.plot(median, row, marker="|", markersize=11, markeredgewidth=1.4, color="black")
        if name in truth:
            axes.plot(truth[name], row, marker="D", markersize=6, color="none", markeredgecolor="#D55E00")
        digits = _digits(high - low)
        told = f"{median:.{digits}f}  [{low:.{digits}f}, {high:.{digits}f}]"
        axes.text(1.02, row, told, transform=beside, va="center", fontsize=8, family="monospace")
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _digits(width: float) -> int:
    """Decimals that show a hundredth of an interval."""
    return int(np.clip(2 - np.floor(np.log10(width)), 0, 12)) if width > 0 else 3
