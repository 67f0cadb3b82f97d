"""Pictures of curves: two posteriors, energies along a trajectory, rows of data, ranks of a calibration."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.report.envelopes import (
    COVERAGE,
    Envelope,
    two_sample_difference,
    two_sample_envelope,
    uniform_difference,
    uniform_envelope,
)
from ppl_parity.report.palette import (
    ALERT,
    BAND,
    COLOURS,
    INK,
    LABELS,
    LINES,
    MUTED,
    RULE,
    WIDE,
    array,
    legend,
    panels,
)

MAX_DRAWS = 2000
MAX_ROWS = 600
MAX_STEPS = 1000
MAX_RANKED = 12
BAND_LABEL = f"{COVERAGE:.0%} band if the same"


def posterior(figure: Any, numbers: Mapping[str, Any], name: str) -> None:
    """Two densities, and the difference of the two distribution functions with its envelope."""
    draws = {side: _thin(_finite(array(numbers, side)), MAX_DRAWS) for side in LINES}
    left, right = panels(figure, 2, 2)
    low, high = np.quantile(np.concatenate(list(draws.values())), (0.002, 0.998))
    for side, values in draws.items():
        _density(left, values, float(low), float(high), side)
    left.set(xlabel=name, ylabel="density", ylim=(0, None), yticks=[])
    if high > low:
        left.set_xlim(low, high)
        left.locator_params(axis="x", nbins=4)
    ranked = draws
    if isinstance(given := numbers.get("ranks"), Mapping):
        ranked = {side: _finite(array({"plot": "posterior ranks", **given}, side)) for side in LINES}
    band = two_sample_envelope(len(ranked["pyro"]), len(ranked["numpyro"]))
    gap = two_sample_difference(ranked["pyro"], ranked["numpyro"], band.at)
    patch = _difference(right, gap, band, INK)
    right.set(xlabel="quantile of both together", ylabel="ECDF difference")
    legend(figure, [*left.get_lines()[:2], patch])


def energy(figure: Any, numbers: Mapping[str, Any], name: str) -> None:
    """Energy errors along the lock-step trajectory, and how far the two are apart."""
    steps = array(numbers, "steps")
    errors = {side: array(numbers, side) for side in LINES}
    if any(values.shape != steps.shape for values in errors.values()):
        lengths = {key: len(values) for key, values in {"steps": steps, **errors}.items()}
        raise InputError(f"An energy plot needs as many energies as steps; got {lengths}.")
    shown = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MAX_STEPS)).astype(int))
    figure.set_figwidth(WIDE)
    left, right = panels(figure, 2, 2)
    for side, values in errors.items():
        left.plot(steps[shown], values[shown], label=LABELS[side], **LINES[side])
    left.axhline(0, color=RULE, linewidth=0.8, zorder=0)
    left.set(xlabel="leapfrog step", ylabel="H - H at the start")
    gap = np.abs(errors["numpyro"] - errors["pyro"])
    handles = list(left.get_lines()[:2])
    allowed = np.empty(0)
    if "tolerance" in numbers:
        allowed = np.broadcast_to(np.asarray(numbers["tolerance"], dtype=np.float64), steps.shape)[shown]
        handles += right.plot(steps[shown], allowed, color=MUTED, linestyle=":", label="rounding allows")
    if (gap == 0).all():
        right.text(0.5, 0.5, "equal to the last bit", transform=right.transAxes, ha="center", color=MUTED)
    handles += _gap(right, steps[shown], gap[shown], allowed)
    right.set(xlabel="leapfrog step", ylabel="|NumPyro - Pyro|")
    for panel in (left, right):
        _count(panel)
    right.set_xlim(left.get_xlim())
    if numbers.get("parted") is not None:
        parted = right.axvline(float(numbers["parted"]), color=ALERT, linewidth=1.2, label="they part here")
        left.axvline(float(numbers["parted"]), color=ALERT, linewidth=1.2)
        handles.append(parted)
    legend(figure, handles)


def _gap(axes: Any, steps: np.ndarray, gap: np.ndarray, allowed: np.ndarray) -> list[Any]:
    """How far two energies are apart, on a log scale; zero, which that has no place for, as a tick of its own.

    Returns:
        A handle for the steps at which there is no difference, if both such and others are there.
    """
    from matplotlib.ticker import NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    every = np.concatenate([gap, allowed])
    sizes = np.log10(every[np.isfinite(every) & (every > 0)])
    if not sizes.size:
        axes.set_yticks([])
        return []
    low, high = int(max(np.floor(sizes.min()), -200)), int(min(np.ceil(sizes.max()), 300))
    high = max(high, low + 1)  # one tick alone is no scale
    ticks = {10.0**each: f"1e{each}" for each in range(high, low - 1, (low - high) // 5)}
    zero = (gap == 0) & (gap > 0).any()
    floor = 10.0 ** (low - 0.15 * (high - low))
    if zero.any():
        ticks[floor] = "0"
    axes.plot(steps, np.where(zero, floor, np.where(gap > 0, gap, np.nan)), color=INK, linewidth=1.4)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(floor if zero.any() else 10.0**low, 10.0**high)
    if not zero.any():
        return []
    equal = {"marker": "o", "markersize": 3.5, "linestyle": "", "clip_on": False}
    return axes.plot(
        steps[zero], np.full(zero.sum(), floor), color=INK, label="0: equal to the last bit", **equal
    )


def _count(axes: Any) -> None:
    """Ticks at whole numbers, as they are: there is no row 2.5, and row 20000 is not 2e4."""
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_xlim()
    if high - low < 1:  # of one row alone
        axes.set_xlim(low - 0.5, high + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")


def rows(figure: Any, numbers: Mapping[str, Any], name: str) -> None:
    """The log density's difference, row by row; of many rows, the extremes of each stretch."""
    difference = array(numbers, "difference")
    where = array(numbers, "rows") if "rows" in numbers else np.arange(len(difference), dtype=np.float64)
    if where.shape != difference.shape:
        raise InputError(
            f"A rows plot needs a row for each of {len(difference)} differences; got {len(where)}."
        )
    finite = np.isfinite(difference)
    figure.set_figwidth(WIDE)
    (axes,) = panels(figure, 1, 1)
    shown = _extremes(np.where(finite, difference, 0.0), MAX_ROWS)
    heights = np.where(finite, difference, 0.0)[shown]
    stems = np.stack([np.zeros_like(heights), heights, np.full_like(heights, np.nan)], axis=1)
    axes.plot(np.repeat(where[shown], 3), stems.ravel(), color=BAND, linewidth=0.8)
    axes.scatter(where[shown], np.where(finite, difference, np.nan)[shown], s=7, color=INK, linewidth=0)
    axes.axhline(0, color=RULE, linewidth=0.8)
    if finite.any():
        worst = int(np.argmax(np.where(finite, np.abs(difference), -1.0)))
        top = axes.scatter(where[worst], difference[worst], s=32, color=ALERT, zorder=4, linewidth=0)
        top.set_label(f"largest: row {where[worst]:.0f}, {difference[worst]:.3g}")
        handles = [top]
        if not finite.all():
            lost = axes.scatter(where[~finite], np.zeros((~finite).sum()), marker="x", s=20, color=ALERT)
            lost.set_label(f"not finite: {(~finite).sum()} rows")
            handles.append(lost)
        legend(figure, handles)
    axes.set(xlabel=f"row of {name}", ylabel="NumPyro - Pyro")
    _count(axes)
    axes.margins(y=0.15)


def ranks(figure: Any, numbers: Mapping[str, Any], name: str) -> None:
    """Calibration: for each quantity the ECDF of its ranks minus the uniform one, with the envelope."""
    given = numbers.get("ranks")
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"A ranks plot needs 'ranks', a list for each quantity; got {given!r}.")
    most = None if numbers.get("num_ranks") is None else int(numbers["num_ranks"])
    drawn = []
    for key in given:
        values = _finite(array({"plot": "ranks", **given}, key))
        band = uniform_envelope(len(values), most)
        gap = uniform_difference(values, most, band.at)
        drawn.append((str(key), gap, band, bool(((gap < band.low) | (gap > band.high)).any())))
    drawn = sorted(drawn, key=lambda each: -float(np.abs(each[1]).max()))[:MAX_RANKED]
    columns = min(4, len(drawn))
    figure.set_figwidth(WIDE if columns > 2 else figure.get_figwidth())
    patch = None
    for axes, (key, gap, band, outside) in zip(panels(figure, len(drawn), columns, 1.9), drawn, strict=True):
        patch = _difference(axes, gap, band, ALERT if outside else INK)
        axes.set_title(key if len(key) < 30 else f"{key[:28]}..", color=ALERT if outside else INK)
    figure.supxlabel("rank, as a fraction", fontsize=8, color=MUTED)
    figure.supylabel("ECDF difference", fontsize=8, color=MUTED)
    legend(figure, [patch])


def _difference(axes: Any, gap: np.ndarray, band: Envelope, colour: str) -> Any:
    at = np.concatenate([[0.0], band.at, [1.0]])
    low, high, gap = (np.concatenate([[0.0], each, [0.0]]) for each in (band.low, band.high, gap))
    patch = axes.fill_between(at, low, high, color=BAND, alpha=0.3, linewidth=0, label=BAND_LABEL)
    axes.axhline(0, color=RULE, linewidth=0.8)
    axes.plot(at, gap, color=colour, linewidth=1.4)
    axes.locator_params(axis="y", nbins=5)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return patch


def _density(axes: Any, values: np.ndarray, low: float, high: float, side: str) -> None:
    """A kernel estimate, reflected at the ends of the sample so that a bound is not smeared; bars for integers."""
    distinct = np.unique(values)
    if len(distinct) <= 25 and np.array_equal(distinct, np.round(distinct)):
        shift = -0.2 if side == "pyro" else 0.2
        shares = [np.mean(values == each) for each in distinct]
        axes.plot([], [], label=LABELS[side], color=COLOURS[side], linewidth=4)
        axes.bar(distinct + shift, shares, width=0.4, color=COLOURS[side])
        return
    width = float(np.quantile(values, 0.75) - np.quantile(values, 0.25)) / 1.34
    scale = min(values.std(), width) if width > 0 else values.std()
    if not scale > 0 or not high > low:
        axes.axvline(values[0], label=LABELS[side], **LINES[side])
        return
    bandwidth = 0.9 * scale * len(values) ** -0.2
    grid = np.linspace(low, high, 160)
    mirrored = np.concatenate([values, 2 * values.min() - values, 2 * values.max() - values])
    near = mirrored[(mirrored > low - 5 * bandwidth) & (mirrored < high + 5 * bandwidth)]
    heights = np.exp(-0.5 * ((grid[:, None] - near) / bandwidth) ** 2).sum(axis=1)
    heights /= len(values) * bandwidth * np.sqrt(2 * np.pi)
    axes.plot(grid, heights, label=LABELS[side], **LINES[side])
    axes.fill_between(grid, heights, color=COLOURS[side], alpha=0.06, linewidth=0)


def _finite(values: np.ndarray) -> np.ndarray:
    kept = values[np.isfinite(values)]
    if kept.size < 2:
        raise InputError(f"A plot of draws needs at least 2 finite ones; got {kept.size} of {values.size}.")
    return kept


def _thin(values: np.ndarray, most: int) -> np.ndarray:
    return values[:: -(-len(values) // most)]


def _extremes(values: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most ``most`` values: in each stretch the smallest and the largest."""
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), most // 2 + 1).astype(int)
    stretches = [(int(a), values[a:b]) for a, b in pairwise(edges) if b > a]
    picked = [start + index for start, part in stretches for index in (part.argmin(), part.argmax())]
    return np.unique(picked)
