"""A picture outside of pyplot: no global state, no display."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

DPI = 130
SEED = 20  # of the sample of points and draws that is shown
WIDEST_NOTE = 120  # letters of a footnote that fit beside each other


def new_figure(heading: str, size: tuple[float, float] = (8, 6)) -> tuple[Any, Any]:
    """A figure outside of pyplot: no global state, no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title("\n".join(textwrap.wrap(heading, 75)), fontsize=11)
    return figure, axes


def footnote(figure: Any, *lines: str) -> None:
    """Small words below the axes, which get the height but do not shrink to the width of a long line."""
    wrapped = [part for line in lines for part in textwrap.wrap(line, WIDEST_NOTE)]
    figure.supxlabel("\n".join(wrapped), x=0.01, ha="left", fontsize=8, color="0.3")


def save_figure(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=DPI)
    return path
