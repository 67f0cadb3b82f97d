"""Pictures of results: time against N, K, D and chains with the floor drawn in; ESS a second by sampler."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import SIZES, Case
from benchmarks.records import Record, latest
from benchmarks.tables import limits_of, number, per_gradient

AXES = ("N", "D", "K", "chains")
LABELS = {"N": "rows N", "D": "dimensions D", "K": "components K", "chains": "chains"}
COLOURS = {"numpyro": "tab:blue", "pyro": "tab:orange", "scikit-learn": "tab:green"}
STYLES = ("-", "--", ":", "-.")


def write_plots(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write what the records allow, as PNG: ``scaling.png``, ``samplers.png``."""
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    files = [_scaling(records, folder / "scaling.png"), _samplers(records, folder / "samplers.png")]
    return [file for file in files if file is not None]


def _scaling(records: Sequence[Record], path: Path) -> Path | None:
    import matplotlib.pyplot as plt

    found = [r for r in latest(records, "gradient") if per_gradient(r) is not None]
    lines = {axis: _lines(found, axis) for axis in AXES}
    shown = [axis for axis in AXES if lines[axis]]
    if not shown:
        return None
    figure, places = plt.subplots(
        1, len(shown), figsize=(4.2 * len(shown) + 1.8, 4.2), squeeze=False, sharey=True, layout="constrained"
    )
    limits = limits_of(records)
    for place, axis in zip(places[0], shown, strict=True):
        for (system, _), points in sorted(lines[axis].items()):
            cases = sorted(points, key=lambda pair: getattr(pair[0], axis))
            first = cases[0][0]
            place.plot(
                [getattr(case, axis) for case, _ in cases],
                [seconds * 1e3 for _, seconds in cases],
                marker="o",
                markersize=4,
                color=COLOURS.get(first.backend, "tab:gray"),
                linestyle=STYLES[_rank(found, first) % len(STYLES)],
                label=system,
            )
        _floor(place, axis, lines[axis], limits)
        place.set(xscale="log", yscale="log", xlabel=LABELS[axis])
        if axis != "N":  # a handful of small numbers, which read better as they are
            values = sorted({getattr(case, axis) for points in lines[axis].values() for case, _ in points})
            place.set_xticks(values, [str(value) for value in values])
            place.minorticks_off()
        place.grid(visible=True, which="major", alpha=0.3)
        fixed = next(iter(lines[axis].values()))[0][0]
        others = [f"{n} = {getattr(fixed, n):,}" for n in ("N", "D", "K") if n != axis]
        place.set_title(", ".join(others), fontsize=9)
    places[0][0].set_ylabel("one value and gradient, ms")
    handles: dict[str, Any] = {}
    for place in places[0]:
        for handle, label in zip(*place.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside right center",
        fontsize=8,
        frameon=False,
        handlelength=5,  # a marker hides the dashes of a shorter one
    )
    figure.savefig(path, dpi=140)
    plt.close(figure)
    return path


def _lines(found: Sequence[Record], axis: str) -> dict[Any, list[tuple[Case, float]]]:
    """(system, what is held fixed) -> points along ``axis``; the longest set of fixed values only."""
    lines: dict[Any, list[tuple[Case, float]]] = {}
    for record in found:
        case = Case.of_dict(record["case"])
        fixed = tuple((n, getattr(case, n)) for n in (*AXES, "dtype", "device") if n != axis)
        lines.setdefault(fixed, []).append((case, per_gradient(record) or 0.0))
    grouped = {fixed: _by_system(points, axis) for fixed, points in lines.items()}
    best = max(grouped.values(), key=lambda g: sum(map(len, g.values())), default={})
    return best if any(len(points) >= 3 for points in best.values()) else {}


def _by_system(points: Sequence[tuple[Case, float]], axis: str) -> dict[Any, list[tuple[Case, float]]]:
    systems: dict[Any, list[tuple[Case, float]]] = {}
    for case, seconds in points:
        more = "".join(f" {name}={value}" for name, value in case.environment)
        systems.setdefault((f"{case.backend} {case.formulation}{more}", case.dtype), []).append(
            (case, seconds)
        )
    return {key: values for key, values in systems.items() if len({getattr(c, axis) for c, _ in values}) >= 2}


def _floor(place: Any, axis: str, lines: dict[Any, list[tuple[Case, float]]], limits: dict[Any, Any]) -> None:
    cases = {getattr(case, axis): case for points in lines.values() for case, _ in points}
    first = next(iter(cases.values()))
    found = limits.get((first.dtype, first.device.partition(":")[0]))
    if found is None:
        return
    at = sorted(cases)
    floors = [found.floor(c.N, c.D, c.K, c.chains) * 1e3 for c in (cases[value] for value in at)]
    place.plot(at, floors, color="black", linewidth=2.5, alpha=0.6, label="floor of this machine")


def _rank(found: Sequence[Record], case: Case) -> int:
    names = sorted({(r["case"]["formulation"], str(r["case"]["environment"])) for r in found})
    return names.index((case.formulation, str(dict(case.environment))))


def _samplers(records: Sequence[Record], path: Path) -> Path | None:
    import matplotlib.pyplot as plt

    found = [r for r in latest(records, "sampler") if r["status"] == "ok" and r["ess_per_second"]]
    sizes = sorted({r["size"] for r in found}, key=[*SIZES].index)
    if not sizes:
        return None
    most = max(sum(r["size"] == size for r in found) for size in sizes)
    figure, places = plt.subplots(
        1, len(sizes), figsize=(5.2 * len(sizes), 1.2 + 0.26 * most), squeeze=False, layout="constrained"
    )
    for place, size in zip(places[0], sizes, strict=True):
        rows = sorted((r for r in found if r["size"] == size), key=lambda r: r["ess_per_second"])
        names = [f"{r['system']}, {r['case']['dtype']}" for r in rows]
        # A fit is one of our backends', which its formulation names.
        whose = [
            {"fit": r["case"]["formulation"]}.get(r["case"]["backend"], r["case"]["backend"]) for r in rows
        ]
        colours = [COLOURS.get(name, "tab:gray") for name in whose]
        bars = place.barh(names, [r["ess_per_second"] for r in rows], color=colours)
        place.bar_label(bars, [number(r["ess_per_second"]) for r in rows], padding=3, fontsize=8)
        place.set(xscale="log", xlabel="smallest bulk ESS a second of sampling", title=f"size {size}")
        place.set_xlim(right=5 * max(r["ess_per_second"] for r in rows))  # room for the numbers
        place.set_ylim(
            len(rows) - most - 0.6, len(rows) - 0.4
        )  # bars of one height in all panels, from the top
        place.tick_params(axis="y", labelsize=8)
    figure.savefig(path, dpi=140)
    plt.close(figure)
    return path
