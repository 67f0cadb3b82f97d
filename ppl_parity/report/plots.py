"""Pictures of a fit: what the sampler did (ArviZ), and what the mixture found (drawn here)."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from ppl_parity.draws import arviz_compat
from ppl_parity.draws.posterior import attribute, group
from ppl_parity.errors import InputError
from ppl_parity.report.forest import draw_forest
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics.labels import Pivot, relabelled_posterior
from ppl_parity.statistics.summary import Row, Summary, scalar_names, summarize

if TYPE_CHECKING:
    from xarray import Dataset, DataTree

MAX_PANELS = 12  # a grid that is legible on a page
MAX_PAIR = 4  # a triangle of more is not
MAX_FOREST = 40
MAX_FILES = 6
RANK_BAND = 0.99
MIN_RANKED, MAX_RANKED = 50, 200  # draws a chain in the rank plot, whose band costs seconds per hundred
MAX_POINTS = 5000  # more points only darken the page
MAX_CLOUD = 400  # posterior draws of each component's place
MAX_CURVES = 200  # draws that the predictive density and the responsibilities are averaged over
SEED = 20  # of the sample of points and draws that is shown
DPI = 130
LONG_NAME, SMALLEST = 18, 2.2  # letters from which on a name is set smaller, and how much at most
# Okabe and Ito's colours, told apart by colour-blind readers too, without the yellow, which paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C510A", "#762A83", "#000000")


def write_plots(
    tree: DataTree,
    spec: MixtureSpec | None,
    out_dir: str | Path,
    title: str = "Posterior",
    pivot: Pivot | None = None,
    truth: Mapping[str, np.ndarray] | None = None,
) -> list[Path]:
    """Write the pictures of a fit as PNG files: trace, rank, pair or forest, and the mixture on its data.

    Components are relabelled first. Of many scalars, those with the highest R-hat are shown, and the title
    says so; constant ones are left out.

    Args:
        tree: from ``to_datatree``.
        spec: of the mixture; None takes the root attribute ``spec``, or, without one, a generic model.
        out_dir: created if absent; files of the same names are replaced.
        title: above each picture.
        pivot: of the table that stands beside them, whose names the components get; None is their own order.
        truth: variable -> the value that the data were drawn with, components named as by the pivot; marked.

    Returns:
        The files, in the order in which to look at them.

    Raises:
        InputError: ``out_dir`` is a file.
    """
    folder = Path(out_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"The output of plots must be a folder; {folder} is a file.")
    folder.mkdir(parents=True, exist_ok=True)
    posterior, _ = relabelled_posterior(tree, pivot)
    truth = truth or {}
    written = _sampler_plots(tree, posterior, folder, title, pivot, truth)
    if spec is None and isinstance(stored := attribute(tree, "spec"), dict):
        spec = MixtureSpec(**stored)
    observed = group(tree, "observed_data")
    if spec is not None and "x" in observed and {"theta", "beta"} <= set(posterior.data_vars):
        x = np.asarray(observed["x"].values, dtype=np.float64).reshape(-1, spec.dim)
        written.append(_mixture_plot(x, posterior, spec, folder / "mixture.png", title, truth.get("beta")))
    return written


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
    figure, axes = _figure(
        f"Ancestral samples of the mixture: N = {len(x)}, K = {len(beta)}, D = {x.shape[1]}"
    )
    if x.shape[1] == 1:
        parts = [x[z == k, 0] for k in range(len(beta))]
        colours = [_colour(k) for k in range(len(beta))]
        axes.hist(parts, bins=_bins(x), stacked=True, color=colours, alpha=0.7)
        for k, place in enumerate(beta[:, 0]):
            axes.axvline(
                place, color=_colour(k), linestyle="--", label=_name(k, f"n = {len(parts[k])}; dashed: beta")
            )
        axes.set(xlabel="x1", ylabel="samples")
    else:
        first, second = _widest_pair(beta)
        shown = _sample(len(x), MAX_POINTS)
        _points(axes, x[shown][:, (first, second)], z[shown])
        counts = np.bincount(z, minlength=len(beta))
        for k, place in enumerate(beta[:, (first, second)]):
            _centre(axes, place, k, _name(k, f"n = {counts[k]}"))
        _scatter_axes(
            axes, (f"x{first + 1}", f"x{second + 1}"), len(shown), len(x)
        )  # as in the file's columns
        apart = (
            ", of all columns those along which the components lie furthest apart" if x.shape[1] > 2 else ""
        )
        axes.annotate(f"cross: beta{apart}", (0, -0.13), xycoords="axes fraction", fontsize=8, color="0.3")
    _legend(axes, len(beta))
    return _save(figure, Path(out))


def _sampler_plots(
    tree: DataTree,
    posterior: Dataset,
    folder: Path,
    title: str,
    pivot: Pivot | None,
    truth: Mapping[str, np.ndarray],
) -> list[Path]:
    summary = summarize(tree, pivot)
    rows = [row for row in summary if not row.constant and np.isfinite(row.sd)]
    if not rows or summary.num_draws < 4:
        return []
    scalars = _scalars(posterior, {row.name for row in rows})
    true = _true_scalars(posterior, truth)
    az = arviz_compat.plots()
    panels = _pick(rows, MAX_PANELS)
    columns = min(3, len(panels))
    layout = {"size": (4.2 * columns, 2.2 * -(-len(panels) // columns) + 0.8), "col_wrap": columns}
    thin = {"trace": {"alpha": 0.7, "width": 0.7}}
    grid = _arviz(az.plot_trace, tree, scalars, panels, visuals=thin, **layout)
    grid.add_legend("chain")
    stats = group(tree, "sample_stats")
    divergent = "diverging" in stats and bool(stats["diverging"].values.any())
    told = [
        *(["black ticks: divergences"] * divergent),
        *(["dashed: truth"] if _any_true(panels, true) else []),
    ]
    what = f"traces ({', '.join(told)})" if told else "traces"
    heading = _heading(title, what, panels, rows)
    for axes in grid.viz["figure"].item().axes:
        if axes.get_title() in true:
            axes.axhline(true[axes.get_title()], color="black", linestyle="--", linewidth=1.2)
    written = [_finish(grid, folder / "trace.png", heading)]
    if summary.num_chains > 1:  # ranks compare chains
        every = _stride(summary, rows)
        grid = _arviz(
            arviz_compat.plot_rank,
            tree,
            {name: draws[:, ::every] for name, draws in scalars.items()},
            panels,
            prob=RANK_BAND,
            visuals={"ecdf_lines": {"width": 1.2}},
            stats={"ecdf_pit": {"n_simulations": 500, "rng": np.random.default_rng(SEED)}},
            **layout,
        )
        grid.add_legend("chain")
        what = f"rank ECDF of each chain minus uniform, {RANK_BAND:.0%} band, 1 draw in {every}"
        written.append(_finish(grid, folder / "rank.png", _heading(title, what, panels, rows)))
    if 2 <= len(rows) <= MAX_PAIR:
        dots = {"scatter": {"alpha": 0.15, "width": 0}}
        grid = _arviz(az.plot_pair, tree, scalars, rows, (2.6 * len(rows),) * 2, marginal=True, visuals=dots)
        return [*written, _finish(grid, folder / "pair.png", f"{title}: pairs")]
    for name in posterior.data_vars:  # one picture each: the weights and the places differ in unit
        own = [row for row in rows if row.name.startswith(f"{name}[")]
        if len(own) < 2 or len(written) >= MAX_FILES:
            continue
        shown = _pick(own, MAX_FOREST)
        what = f"{name}, median, 50% and 90% intervals{' (diamonds: truth)' * _any_true(shown, true)}"
        figure, axes = _figure(_heading(title, what, shown, own), (8, 0.32 * len(shown) + 1.4))
        draw_forest(axes, [row.name for row in shown], scalars, true)
        axes.set_xlabel(str(name))
        written.append(_save(figure, folder / f"forest_{name}.png"))
    return written


def _true_scalars(posterior: Dataset, truth: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {
        scalar: float(value)
        for name, values in truth.items()
        if name in posterior.data_vars and posterior[name].shape[2:] == np.shape(values)
        for scalar, value in zip(scalar_names(posterior[name]), np.ravel(values), strict=True)
    }


def _any_true(rows: list[Row], true: Mapping[str, float]) -> bool:
    return any(row.name in true for row in rows)


def _stride(summary: Summary, rows: list[Row]) -> int:
    """So many draws lie between two that are about independent: the band supposes that they are."""
    ess = min((row.ess_bulk for row in rows if np.isfinite(row.ess_bulk)), default=np.inf)
    independent = int(np.ceil(summary.num_chains * summary.num_draws / max(ess, 1.0)))
    fewest, most = -(-summary.num_draws // MAX_RANKED), max(1, summary.num_draws // MIN_RANKED)
    return max(fewest, min(independent, most))


def _scalars(posterior: Dataset, wanted: set[str]) -> dict[str, np.ndarray]:
    """Every scalar as a variable of its own, so that panels carry the names of the tables."""
    result = {}
    for values in posterior.data_vars.values():
        draws = np.asarray(values.values, dtype=np.float64)
        draws = draws.reshape(*draws.shape[:2], -1)
        result |= {name: draws[..., i] for i, name in enumerate(scalar_names(values)) if name in wanted}
    return result


def _arviz(
    draw: Callable[..., Any],
    tree: DataTree,
    scalars: dict[str, np.ndarray],
    rows: list[Row],
    size: tuple[float, ...],
    **options: Any,
) -> Any:
    groups = {"posterior": {row.name: scalars[row.name] for row in rows}}
    num_draws = scalars[rows[0].name].shape[1]
    if "diverging" in (stats := group(tree, "sample_stats")) and stats["diverging"].shape[1] == num_draws:
        groups["sample_stats"] = {"diverging": stats["diverging"].values}
    data = arviz_compat.from_dict(groups)
    figure_kwargs = {"figsize": size, "figsize_units": "inches"}
    return draw(data, backend="matplotlib", figure_kwargs=figure_kwargs, **options)


def _finish(grid: Any, path: Path, heading: str) -> Path:
    import matplotlib.pyplot as plt

    figure = grid.viz["figure"].item()
    figure.set_layout_engine("constrained")  # ArviZ's own spacing lets axis names run into titles
    for axes in figure.axes:  # and a long name into the next panel's
        for label in (axes.title, axes.xaxis.label, axes.yaxis.label):
            long = len(label.get_text()) / LONG_NAME
            label.set_fontsize(label.get_fontsize() / max(1.0, min(long, SMALLEST)))
    figure.suptitle("\n".join(textwrap.wrap(heading, int(10 * figure.get_figwidth()))), fontsize=11)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
    return path


def _pick(rows: list[Row], limit: int) -> list[Row]:
    if len(rows) <= limit:
        return rows
    worst = sorted(rows, key=lambda row: -np.nan_to_num(row.r_hat, nan=0.0))[:limit]
    return [row for row in rows if row in worst]


def _heading(title: str, what: str, shown: list[Row], rows: list[Row]) -> str:
    some = (
        f" (the {len(shown)} of {len(rows)} scalars with the highest R-hat)" if len(shown) < len(rows) else ""
    )
    return f"{title}: {what}{some}"


def _mixture_plot(
    x: np.ndarray, posterior: Dataset, spec: MixtureSpec, path: Path, title: str, truth: np.ndarray | None
) -> Path:
    theta, beta = (np.asarray(posterior[name].values, dtype=np.float64) for name in ("theta", "beta"))
    theta, beta = theta.reshape(-1, theta.shape[-1]), beta.reshape(-1, *beta.shape[-2:])
    columns = _columns(posterior, spec.dim)
    if spec.dim == 1:
        figure, axes = _figure(f"{title}: data and posterior predictive density")
        _density(axes, x[:, 0], theta, beta[:, :, 0], spec.noise_scale, columns[0])
    else:
        figure, axes = _figure(f"{title}: data and components")
        _scatter(axes, x, theta, beta, spec.noise_scale, columns)
    if truth is not None and np.shape(truth) == beta.shape[1:]:
        _true_places(axes, truth, _widest_pair(beta.mean(axis=0)) if spec.dim > 1 else None)
    _legend(axes, spec.num_components)
    return _save(figure, path)


def _true_places(axes: Any, truth: np.ndarray, plane: tuple[int, int] | None) -> None:
    if plane is None:
        for k, (place,) in enumerate(truth):
            axes.axvline(place, color="black", linestyle=":", label="true beta" if k == 0 else None)
        return
    places = truth[:, plane].T
    axes.scatter(*places, marker="D", s=60, facecolor="none", edgecolor="black", zorder=6, label="true beta")


def _columns(posterior: Dataset, dim: int) -> list[str]:
    """What the columns of the data are called: as the fit says, or ``x[0]`` and so on."""
    labels = posterior["dim"].values if "dim" in posterior.coords else np.arange(dim)
    return [label if isinstance(label, str) else f"x[{label}]" for label in labels.tolist()]


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
        label = _name(k, f"theta = {theta[:, k].mean():.2f}")
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
        _centre(axes, place, k, _name(k, f"theta = {theta[:, k].mean():.2f}"))
    _scatter_axes(axes, (columns[first], columns[second]), len(shown), len(x))
    axes.autoscale_view()
    axes.annotate(
        "cross: posterior mean of beta; black dots around it: draws of beta; circles: 1 and 2 noise sd"
        + ("; columns along which the components lie furthest apart" if len(columns) > 2 else ""),
        (0, -0.13),
        xycoords="axes fraction",
        fontsize=8,
        color="0.3",
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


def _figure(heading: str, size: tuple[float, float] = (8, 6)) -> tuple[Any, Any]:
    """A figure outside of pyplot: no global state, no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title("\n".join(textwrap.wrap(heading, 75)), fontsize=11)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=DPI)
    return path


def _points(axes: Any, xy: np.ndarray, z: np.ndarray) -> None:
    size = float(np.clip(4000 / len(xy), 3, 20))
    axes.scatter(*xy.T, s=size, c=[_colour(k) for k in z], alpha=0.45, edgecolor="none", zorder=1)


def _centre(axes: Any, place: np.ndarray, k: int, label: str) -> None:
    axes.scatter(*place, marker="X", s=45, color=_colour(k), edgecolor="white", zorder=5, label=label)


def _scatter_axes(axes: Any, names: tuple[str, str], shown: int, total: int) -> None:
    some = f" ({shown} of {total} rows shown)" if shown < total else ""
    axes.set(xlabel=f"{names[0]}{some}", ylabel=names[1], aspect="equal", adjustable="datalim")


def _legend(axes: Any, num_components: int) -> None:
    """Beside the axes, where it hides no data."""
    columns = 1 if num_components <= 20 else 2
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, frameon=False, ncols=columns)


def _name(k: int, detail: str) -> str:
    return f"component {k} ({detail})"


def _colour(k: int) -> Any:
    if k < len(COLOURS):
        return COLOURS[k]
    from matplotlib import colormaps

    return colormaps["tab20"](k % 20)
