"""Pictures of clusters: which rows go together, and where the components lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.report.palette import (
    BAND,
    COLOURS,
    LABELS,
    LINES,
    MUTED,
    NUMPYRO,
    PYRO,
    WIDE,
    array,
    legend,
    panels,
)

MAX_SIDE = 120  # rows of a matrix: more are not told apart
MAX_POINTS = 800
SEED = 20


def coclustering(figure: Any, numbers: Mapping[str, Any], name: str) -> None:
    """P(z_i = z_j) of both sides, rows in one order that brings clusters together, and the difference."""
    from matplotlib.colors import LinearSegmentedColormap

    both = {side: array(numbers, side, ndim=2) for side in LINES}
    first, second = both.values()
    if first.shape != second.shape or first.shape[0] != first.shape[1]:
        raise InputError(
            f"A coclustering plot needs two square matrices of one size; got {first.shape} and {second.shape}."
        )
    shade = LinearSegmentedColormap.from_list("shade", ["#f7f8fa", "#2c3e50"])
    towards = LinearSegmentedColormap.from_list("towards", [PYRO, "white", NUMPYRO])
    kept = np.unique(np.linspace(0, len(first) - 1, min(len(first), MAX_SIDE)).astype(int))
    kept = kept[_order(first[np.ix_(kept, kept)])]
    figure.set_size_inches(WIDE, 3.3)
    axes = panels(figure, 3, 3)
    image = None
    for panel, (side, matrix) in zip(axes, both.items(), strict=False):
        image = panel.imshow(matrix[np.ix_(kept, kept)], vmin=0, vmax=1, cmap=shade, interpolation="nearest")
        panel.set_title(f"{LABELS[side]}: P(same component)")
    gap = (second - first)[np.ix_(kept, kept)]
    limit = max(float(np.nanmax(np.abs(gap))) if np.isfinite(gap).any() else 0.0, 1e-12)
    shown = axes[2].imshow(gap, vmin=-limit, vmax=limit, cmap=towards, interpolation="nearest")
    axes[2].set_title("NumPyro - Pyro (blue: NumPyro higher)")
    for panel, drawn in ((axes[1], image), (axes[2], shown)):
        bar = figure.colorbar(drawn, cax=panel.inset_axes((1.03, 0, 0.04, 1)))
        bar.outline.set_visible(False)
    some = f"{len(kept)} of {len(first)} rows" if len(kept) < len(first) else f"{len(kept)} rows"
    for panel in axes:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    axes[0].set_ylabel(f"{some}, ordered by Pyro's clusters")


def mixture(figure: Any, numbers: Mapping[str, Any], name: str) -> None:
    """The data, and each side's components as ellipses of 1 and 2 noise standard deviations."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Ellipse

    x = array(numbers, "x", ndim=2)
    places = {side: _places(numbers, f"beta_{side}") for side in LINES}
    if any(each.shape[1] != x.shape[1] for each in places.values()) or x.shape[1] != 2:
        shapes = [x.shape, *(each.shape for each in places.values())]
        raise InputError(f"A mixture plot needs x (n, 2) and beta (K, 2) of both sides; got {shapes}.")
    scale = np.broadcast_to(np.asarray(numbers.get("noise_scale", 1.0), dtype=np.float64), (2,))
    figure.set_figheight(4.0)
    (axes,) = panels(figure, 1, 1)
    shown = x
    if len(x) > MAX_POINTS:
        shown = x[np.sort(np.random.default_rng(SEED).choice(len(x), MAX_POINTS, replace=False))]
    axes.scatter(*shown.T, s=9, color=BAND, linewidth=0, rasterized=True, zorder=1)
    for side, means in places.items():
        line = LINES[side] | {"edgecolor": COLOURS[side]}
        del line["color"]
        for mean in means:
            for radius in (1, 2):
                axes.add_patch(Ellipse(mean, *(2 * radius * scale), fill=False, zorder=3, **line))
        marker = {"pyro": "o", "numpyro": "+"}[side]
        size = {"pyro": 26, "numpyro": 60}[side]
        axes.scatter(*means.T, marker=marker, s=size, color=COLOURS[side], zorder=4, linewidth=1.6)
    if scale[0] == scale[1]:
        axes.set_aspect("equal", adjustable="datalim")
    axes.autoscale_view()
    columns = [str(each) for each in numbers.get("columns", ("x[0]", "x[1]"))]
    axes.set(xlabel=columns[0], ylabel=columns[1])
    some = f"{len(shown)} of {len(x)} rows" if len(shown) < len(x) else f"{len(x)} rows"
    dots = Line2D([], [], marker="o", markersize=4, linestyle="", color=BAND, label=some)
    lines = [Line2D([], [], label=LABELS[side], **LINES[side]) for side in LINES]
    legend(figure, [*lines, dots])
    axes.set_title("components: 1 and 2 noise sd around the mean of beta", fontsize=8, color=MUTED)


def _places(numbers: Mapping[str, Any], key: str) -> np.ndarray:
    """(K, 2): the means, or the means of draws (S, K, 2)."""
    values = array(numbers, key, ndim=(2, 3))
    return values if values.ndim == 2 else values.mean(axis=0)


def _order(matrix: np.ndarray) -> np.ndarray:
    """Rows that go together, next to each other."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(matrix) < 3:
        return np.arange(len(matrix))
    return leaves_list(linkage(np.nan_to_num(matrix), method="average", optimal_ordering=True))
