"""What was measured, as plain tables, and the number of rows from which the GPU is the faster device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

Record = dict[str, Any]


def text(records: Sequence[Record]) -> str:
    """All tables, and what was left out."""
    parts = [
        _table("Limits of the GPU", ["by", "copy", "matrix product", "exp"], _limit_rows(records)),
        _table(
            "One value and gradient of the log likelihood (all chains)",
            [
                "N",
                "D, K",
                "chains",
                "device",
                "by",
                "formulation",
                "a gradient",
                "one call",
                "x copy",
                "of matmul",
            ],
            _gradient_rows(records),
        ),
        "\n".join(_crossovers(records)),
        _table(
            "NUTS, after warmup",
            [
                "device",
                "chains",
                "N",
                "min ESS a second",
                "leapfrogs a draw",
                "acceptance",
                "R-hat",
                "divergences",
            ],
            _nuts_rows(records),
        ),
        "\n".join(_left_out(records)),
    ]
    return "\n\n".join(part for part in parts if part)


def rate(records: Iterable[Record], name: str) -> float | None:
    """The fastest of what the libraries reached on the GPU."""
    rates = [
        r["rate"] for r in records if r["kind"] == "limit" and r["name"] == name and r["device"] == "gpu"
    ]
    return max(rates, default=None)


def crossover(gpu: dict[int, float], cpu: dict[int, float]) -> float | None:
    """The rows from which a GPU is faster, by a straight line between logarithms; None if it is nowhere.

    Args:
        gpu, cpu: rows -> seconds; only rows that both have count.
    """
    shared = sorted(set(gpu) & set(cpu))
    last: tuple[int, float] | None = None
    for N in shared:
        gap = math.log(gpu[N] / cpu[N])
        if gap <= 0:
            if last is None:
                return 0.0
            part = last[1] / (last[1] - gap)
            return math.exp(math.log(last[0]) + part * (math.log(N) - math.log(last[0])))
        last = N, gap
    return None


def _limit_rows(records: Sequence[Record]) -> list[list[str]]:
    units = {"copy": (1e9, "GB/s"), "matmul": (1e12, "TFLOP/s"), "exp": (1e9, "G/s")}
    rows = []
    for library in dict.fromkeys(r["library"] for r in records if r["kind"] == "limit"):
        mine = {r["name"]: r["rate"] for r in records if r["kind"] == "limit" and r["library"] == library}
        rows.append(
            [library, *(f"{mine[n] / size:.4g} {unit}" for n, (size, unit) in units.items() if n in mine)]
        )
    return rows


def _gradient_rows(records: Sequence[Record]) -> list[list[str]]:
    copy, matmul = rate(records, "copy"), rate(records, "matmul")
    rows = []
    for r in sorted(
        (r for r in records if r["kind"] == "gradient"),
        key=lambda r: (r["D"], r["K"], r["N"], r["chains"], r["device"], r["formulation"]),
    ):
        lead = [
            f"{r['N']:,}",
            f"{r['D']}, {r['K']}",
            str(r["chains"]),
            r["device"],
            r["library"],
            r["formulation"],
        ]
        if r["status"] != "ok":
            rows.append([*lead, r["status"], "", "", ""])
            continue
        best = min(r["loop"])
        on_gpu = r["device"] == "gpu"
        work = 4 * r["N"] * r["K"] * r["D"] * r["chains"]
        rows.append(
            [
                *lead,
                _seconds(best),
                _seconds(min(r["single"])),
                f"{best * copy / (4 * r['N'] * r['D']):.2f}" if on_gpu and copy else "",
                f"{100 * work / best / matmul:.0f} %" if on_gpu and matmul else "",
            ]
        )
    return rows


def _crossovers(records: Sequence[Record]) -> list[str]:
    lines = []
    done = [
        r for r in records if r["kind"] == "gradient" and r["status"] == "ok" and r["formulation"] == "kernel"
    ]
    for library in dict.fromkeys(r["library"] for r in done):
        times: dict[str, dict[int, float]] = {"gpu": {}, "cpu": {}}
        for r in done:
            if (r["library"], r["chains"], r["D"], r["K"]) == (library, 1, 8, 8):
                times[r["device"]][r["N"]] = min(r["loop"])
        if not (times["gpu"] and times["cpu"]):
            continue
        rows = crossover(times["gpu"], times["cpu"])
        where = (
            "at no N measured"
            if rows is None
            else "at every N measured"
            if not rows
            else f"from N = {rows:,.0f} on"
        )
        lines.append(f"{library}, D = K = 8, one chain: the GPU is faster than the CPU {where}.")
    return lines


def _nuts_rows(records: Sequence[Record]) -> list[list[str]]:
    found = [r for r in records if r["kind"] == "nuts"]
    rows = [
        [
            r["device"],
            str(r["chains"]),
            f"{r['N']:,}",
            f"{r['ess_per_second']:.3g}",
            f"{r['leapfrogs_per_draw']:.1f}",
            f"{r['acceptance']:.2f}",
            f"{r['rhat']:.3f}",
            str(r["divergences"]),
        ]
        for r in found
    ]
    by = {r["device"]: r["ess_per_second"] for r in found}
    if {"gpu", "cpu"} <= set(by):
        rows.append(["ratio", "", "", f"{by['gpu'] / by['cpu']:.3g}", "", "", "", ""])
    return rows


def _left_out(records: Sequence[Record]) -> list[str]:
    lines = [
        f"Left out: {r['library']} on {r['device']}: {r['why']}" for r in records if r["kind"] == "left out"
    ]
    for r in records:
        if r["kind"] == "gradient" and r["status"] in ("failed", "does not fit"):
            size = f"N = {r['N']:,}, D = {r['D']}, K = {r['K']}, {r['chains']} chains"
            lines.append(
                f"{r['library']} {r['formulation']} on {r['device']}, {size}: {r['why'].splitlines()[0]}"
            )
    return lines


def _table(title: str, header: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(header))]
    body = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in lines
    ]
    return "\n".join([title, *body])


def _seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
