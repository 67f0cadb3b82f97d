"""A picture outside of pyplot: no global state, no display."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

DPI = 130
SEED = 20  # of the sample of points and draws that is shown


def new_figure(heading: str, size: tuple[float, float] = (8, 6)) -> tuple[Any, Any]:
    """A figure outside of pyplot: no global state, no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title("\n".join(textwrap.wrap(heading, 75)), fontsize=11)
    return figure, axes


def save_figure(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=DPI)
    return path
