"""What a mixture's samples, or its fit, look like beside the data: components, their places, densities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from ppl_parity.errors import InputError
from ppl_parity.report.canvas import SEED, footnote, new_figure, save_figure
from ppl_parity.spec import MixtureSpec

if TYPE_CHECKING:
    from xarray import Dataset

MAX_POINTS = 5000  # more points only darken the page
MAX_CLOUD = 400  # posterior draws of each component's place
MAX_CURVES = 200  # draws that the predictive density and the responsibilities are averaged over
MAX_NAMED = 20  # components in the legend: more would push the axes off the page
OF_ALL = "columns shown: the two along which the components lie furthest apart"
# Okabe and Ito's colours, told apart by colour-blind readers too, without the yellow, which paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C510A", "#762A83", "#000000")


def mixture_plot(
    x: np.ndarray,
    posterior: Dataset,
    spec: MixtureSpec,
    path: Path,
    title: str,
    truth: np.ndarray | None,
    columns: list[str],
) -> Path:
    theta, beta = (np.asarray(posterior[name].values, dtype=np.float64) for name in ("theta", "beta"))
    theta, beta = theta.reshape(-1, theta.shape[-1]), beta.reshape(-1, *beta.shape[-2:])
    if spec.dim == 1:
        figure, axes = new_figure(f"{title}: data and posterior predictive density")
        _density(axes, x[:, 0], theta, beta[:, :, 0], spec.noise_scale, columns[0])
    else:
        figure, axes = new_figure(f"{title}: data and components")
        _scatter(axes, x, theta, beta, spec.noise_scale, columns)
    if truth is not None and np.shape(truth) == beta.shape[1:]:
        _true_places(axes, truth, _widest_pair(beta.mean(axis=0)) if spec.dim > 1 else None)
    _legend(axes)
    return save_figure(figure, path)


def plot_samples(x: np.ndarray, z: np.ndarray, beta: np.ndarray, out: str | Path) -> Path:
    """Draw ancestral samples of the mixture, coloured by their component, with the components' places.

    Args:
        x: (N, D).
        z: (N,), integers from 0.
        beta: (K, D).
        out: the PNG file, replaced if it is there.

    Returns:
        The file.
    """
    x, z, beta = np.asarray(x, dtype=np.float64), np.asarray(z), np.asarray(beta, dtype=np.float64)
    if x.ndim != 2 or z.shape != x.shape[:1] or beta.ndim != 2 or beta.shape[1] != x.shape[1]:
        raise InputError(
            "Samples must have shapes x (N, D), z (N,) and beta (K, D); "
            f"got {x.shape}, {z.shape} and {beta.shape}."
        )
    figure, axes = new_figure(
        f"Ancestral samples of the mixture: N = {len(x)}, K = {len(beta)}, D = {x.shape[1]}"
    )
    if x.shape[1] == 1:
        parts = [x[z == k, 0] for k in range(len(beta))]
        colours = [_colour(k) for k in range(len(beta))]
        axes.hist(parts, bins=_bins(x), stacked=True, color=colours, alpha=0.7)
        for k, place in enumerate(beta[:, 0]):
            axes.axvline(
                place,
                color=_colour(k),
                linestyle="--",
                label=_name(k, f"n = {len(parts[k])}; dashed: beta", len(beta)),
            )
        axes.set(xlabel="x1", ylabel="samples")
    else:
        first, second = _widest_pair(beta)
        shown = _sample(len(x), MAX_POINTS)
        _points(axes, x[shown][:, (first, second)], z[shown])
        counts = np.bincount(z, minlength=len(beta))
        for k, place in enumerate(beta[:, (first, second)]):
            _centre(axes, place, k, _name(k, f"n = {counts[k]}", len(beta)))
        _scatter_axes(
            axes, (f"x{first + 1}", f"x{second + 1}"), len(shown), len(x)
        )  # as in the file's columns
        footnote(figure, f"cross: beta; {OF_ALL}" if x.shape[1] > 2 else "cross: beta")
    _legend(axes)
    return save_figure(figure, Path(out))


def _true_places(axes: Any, truth: np.ndarray, plane: tuple[int, int] | None) -> None:
    if plane is None:
        for k, (place,) in enumerate(truth):
            axes.axvline(place, color="black", linestyle=":", label="true beta" if k == 0 else None)
        return
    places = truth[:, plane].T
    axes.scatter(*places, marker="D", s=60, facecolor="none", edgecolor="black", zorder=6, label="true beta")


def _density(
    axes: Any, x: np.ndarray, theta: np.ndarray, beta: np.ndarray, scale: float, column: str
) -> None:
    """A histogram under the mean over draws of sum_k theta_k N(x; beta_k, scale^2), whole and in parts."""
    axes.hist(x, bins=_bins(x), density=True, color="0.85", edgecolor="0.7", label=f"data (N = {len(x)})")
    margin = 2 * scale
    grid = np.linspace(x.min() - margin, x.max() + margin, 400)
    draws = _sample(len(theta), MAX_CURVES)
    normal = np.exp(-0.5 * ((grid - beta[draws][..., None]) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))
    parts = theta[draws][..., None] * normal  # (draws, K, grid)
    low, high = np.quantile(parts.sum(axis=1), (0.05, 0.95), axis=0)
    axes.plot(grid, parts.sum(axis=1).mean(axis=0), color="black", label="posterior predictive density")
    axes.fill_between(grid, low, high, color="black", alpha=0.25, linewidth=0, label="its 90% interval")
    for k, part in enumerate(parts.mean(axis=0)):
        label = _name(k, f"theta = {theta[:, k].mean():.2f}", theta.shape[1])
        axes.plot(grid, part, color=_colour(k), linestyle="--", label=label)
    axes.set(xlabel=column, ylabel="density")


def _scatter(
    axes: Any, x: np.ndarray, theta: np.ndarray, beta: np.ndarray, scale: float, columns: list[str]
) -> None:
    from matplotlib.patches import Circle

    mean = beta.mean(axis=0)
    first, second = _widest_pair(mean)
    plane = (first, second)
    shown = _sample(len(x), MAX_POINTS)
    _points(axes, x[shown][:, plane], _most_probable(x[shown], theta, beta, scale))
    cloud = beta[_sample(len(beta), MAX_CLOUD)]
    for k, place in enumerate(mean[:, plane]):
        colour = _colour(k)
        axes.scatter(*cloud[:, k, plane].T, s=5, color="black", edgecolor="none", alpha=0.3, zorder=3)
        for radius in (1, 2):  # the covariance is scale^2 I, so these are circles in any plane
            axes.add_patch(Circle(place, radius * scale, fill=False, color=colour, linewidth=1.4, zorder=4))
        _centre(axes, place, k, _name(k, f"theta = {theta[:, k].mean():.2f}", theta.shape[1]))
    _scatter_axes(axes, (columns[first], columns[second]), len(shown), len(x))
    axes.autoscale_view()
    footnote(
        axes.figure,
        "cross: posterior mean of beta; black dots around it: draws of beta; circles: 1 and 2 noise sd",
        *([OF_ALL] if len(columns) > 2 else []),
    )


def _most_probable(x: np.ndarray, theta: np.ndarray, beta: np.ndarray, scale: float) -> np.ndarray:
    """argmax_k of the mean over relabelled draws of softmax_k [log theta_k - |x - beta_k|^2 / (2 scale^2)].

    Computed here even where a file holds responsibilities: their columns need not carry these names.
    """
    total = np.zeros((len(x), theta.shape[1]))
    for draw in _sample(len(theta), MAX_CURVES):
        squared = np.stack([np.sum((x - place) ** 2, axis=1) for place in beta[draw]], axis=1)
        with np.errstate(divide="ignore"):  # a weight may underflow to 0
            total += softmax(np.log(theta[draw]) - squared / (2 * scale**2), axis=1)
    return total.argmax(axis=1)


def _widest_pair(places: np.ndarray) -> tuple[int, int]:
    """The two coordinates in which the components (K, D) lie furthest apart, in ascending order."""
    first, second = sorted(np.argsort(-places.std(axis=0), kind="stable")[:2].tolist())
    return first, second


def _sample(size: int, limit: int) -> np.ndarray:
    if size <= limit:
        return np.arange(size)
    return np.sort(np.random.default_rng(SEED).choice(size, limit, replace=False))


def _bins(x: np.ndarray) -> np.ndarray:
    return np.linspace(x.min(), x.max(), int(np.clip(np.sqrt(x.size), 10, 80)) + 1)


def _points(axes: Any, xy: np.ndarray, z: np.ndarray) -> None:
    size = float(np.clip(4000 / len(xy), 3, 20))
    axes.scatter(*xy.T, s=size, c=[_colour(k) for k in z], alpha=0.45, edgecolor="none", zorder=1)


def _centre(axes: Any, place: np.ndarray, k: int, label: str) -> None:
    axes.scatter(*place, marker="X", s=45, color=_colour(k), edgecolor="white", zorder=5, label=label)


def _scatter_axes(axes: Any, names: tuple[str, str], shown: int, total: int) -> None:
    some = f" ({shown} of {total} rows shown)" if shown < total else ""
    axes.set(xlabel=f"{names[0]}{some}", ylabel=names[1], aspect="equal", adjustable="datalim")


def _legend(axes: Any) -> None:
    """Beside the axes, where it hides no data."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, frameon=False)


def _name(k: int, detail: str, num_components: int) -> str:
    """Of a component in the legend, where the first of those that are too many stands for all of them."""
    if k > MAX_NAMED:
        return "_nolegend_"
    return f"component {k} ({detail})" if k < MAX_NAMED else f"and {num_components - MAX_NAMED} more"


def _colour(k: int) -> Any:
    if k < len(COLOURS):
        return COLOURS[k]
    from matplotlib import colormaps

    return colormaps["tab20"](k % 20)
