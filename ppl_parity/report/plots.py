"""Pictures of a fit: what the sampler did (ArviZ), and what the mixture found (``mixture_plots``)."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_parity.draws import arviz_compat
from ppl_parity.draws.posterior import attribute, group
from ppl_parity.errors import InputError
from ppl_parity.report.canvas import DPI, SEED, new_figure, save_figure
from ppl_parity.report.forest import draw_forest
from ppl_parity.report.mixture_plots import mixture_plot
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
LONG_NAME, SMALLEST = 18, 2.2  # letters from which on a name is set smaller, and how much at most


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
    says so; constant ones are left out. Where the data were standardised, as the root attribute ``data`` says,
    so does each picture of places.

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
    data = attribute(tree, "data")
    standardised = isinstance(data, dict) and bool(data.get("transform"))
    units = "columns standardised" if standardised else ""
    written = _sampler_plots(tree, posterior, folder, title, pivot, truth, units)
    if spec is None and isinstance(stored := attribute(tree, "spec"), dict):
        spec = MixtureSpec(**stored)
    observed = group(tree, "observed_data")
    if spec is not None and "x" in observed and {"theta", "beta"} <= set(posterior.data_vars):
        x = np.asarray(observed["x"].values, dtype=np.float64).reshape(-1, spec.dim)
        columns = _columns(posterior, spec.dim, standardised)
        path = folder / "mixture.png"
        written.append(mixture_plot(x, posterior, spec, path, title, truth.get("beta"), columns))
    return written


def _sampler_plots(
    tree: DataTree,
    posterior: Dataset,
    folder: Path,
    title: str,
    pivot: Pivot | None,
    truth: Mapping[str, np.ndarray],
    units: str,
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
        *([units] if units else []),
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
        what = f"pairs ({units})" if units else "pairs"
        return [*written, _finish(grid, folder / "pair.png", f"{title}: {what}")]
    for name in posterior.data_vars:  # one picture each: the weights and the places differ in unit
        own = [row for row in rows if row.name.startswith(f"{name}[")]
        if len(own) < 2 or len(written) >= MAX_FILES:
            continue
        shown = _pick(own, MAX_FOREST)
        what = f"{name}, median, 50% and 90% intervals{' (diamonds: truth)' * _any_true(shown, true)}"
        figure, axes = new_figure(_heading(title, what, shown, own), (8, 0.32 * len(shown) + 1.4))
        draw_forest(axes, [row.name for row in shown], scalars, true)
        axes.set_xlabel(f"{name} ({units})" if units and "dim" in posterior[name].dims else str(name))
        written.append(save_figure(figure, folder / f"forest_{name}.png"))
    return written


def _columns(posterior: Dataset, dim: int, standardised: bool) -> list[str]:
    """What the columns of the data are called: as the fit says, or ``x[0]`` and so on; their unit may be gone."""
    labels = posterior["dim"].values if "dim" in posterior.coords else np.arange(dim)
    names = [label if isinstance(label, str) else f"x[{label}]" for label in labels.tolist()]
    return [f"{name} (standardised)" for name in names] if standardised else names


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
