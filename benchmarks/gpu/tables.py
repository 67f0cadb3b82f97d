"""What was measured, as plain tables, and the number of rows from which the GPU is the faster device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu import verdicts

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
                "run by",
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
                "kernel",
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
        _table("Targets", ["what", "by", "found", "reached"], verdicts.rows(records)),
        "\n".join(_left_out(records)),
    ]
    return "\n\n".join(part for part in parts if part)


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
    copy, matmul = verdicts.rate(records, "copy"), verdicts.rate(records, "matmul")
    kernels = _cpu_kernels(records)
    rows = []
    for r in sorted(
        (r for r in records if r["kind"] == "gradient"),
        key=lambda r: (r["D"], r["K"], r["N"], r["chains"], r["device"], r["formulation"]),
    ):
        name = r["formulation"]
        if (name, r["device"]) == ("kernel", "cpu"):
            name = kernels.get(r["library"], name)
        lead = [f"{r['N']:,}", f"{r['D']}, {r['K']}", str(r["chains"]), r["device"], r["library"], name]
        if r["status"] != "ok":
            rows.append([*lead, r["status"], "", "", "", ""])
            continue
        on_gpu = r["device"] == "gpu"
        read, part = verdicts.copies(r, copy), verdicts.share(r, matmul)
        rows.append(
            [
                *lead,
                _seconds(min(r["loop"])),
                r["way"],
                _seconds(min(r["single"])),
                f"{read:.2f}" if on_gpu and read is not None else "",
                f"{part:.0%}" if on_gpu and part is not None else "",
            ]
        )
    return rows


def _cpu_kernels(records: Sequence[Record]) -> dict[str, str]:
    """Which kernel each library ran on the CPU, without the reason for it."""
    here = [r for r in records if r["kind"] == "library" and r["device"] == "cpu"]
    return {r["library"]: r["kernel"].split(":")[0] for r in here}


def _crossovers(records: Sequence[Record]) -> list[str]:
    lines = []
    kernels = _cpu_kernels(records)
    done = [
        r
        for r in records
        if r["kind"] == "gradient" and (r["status"], r["formulation"], r["chains"]) == ("ok", "kernel", 1)
    ]
    for library, D, K in dict.fromkeys((r["library"], r["D"], r["K"]) for r in done):
        times: dict[str, dict[int, float]] = {"gpu": {}, "cpu": {}}
        for r in done:
            if (r["library"], r["D"], r["K"]) == (library, D, K):
                times[r["device"]][r["N"]] = min(r["loop"])
        shared = sorted(set(times["gpu"]) & set(times["cpu"]))
        if not shared:
            continue
        rows = crossover(times["gpu"], times["cpu"])
        where = (
            "at no N measured"
            if rows is None
            else "at every N measured"
            if not rows
            else f"from N = {rows:,.0f} on"
        )
        measured = ", ".join(f"{N:,}" for N in shared)
        lines.append(
            f"{library}, D = {D}, K = {K}, one chain: the GPU is faster than the CPU "
            f"({kernels.get(library, 'unknown kernel')}) {where} (N = {measured})."
        )
    return lines


def _nuts_rows(records: Sequence[Record]) -> list[list[str]]:
    rows = [
        [
            r["device"],
            r["kernel"].split(":")[0],
            str(r["chains"]),
            f"{r['N']:,}",
            f"{r['ess_per_second']:.3g}",
            f"{r['leapfrogs_per_draw']:.1f}",
            f"{r['acceptance']:.2f}",
            f"{r['rhat']:.3f}",
            str(r["divergences"]),
        ]
        for r in records
        if r["kind"] == "nuts" and r["status"] == "ok"
    ]
    ratio = verdicts.nuts_ratio(records)
    if ratio is not None:
        rows.append(["ratio", "", "", "", f"{ratio:.3g}", "", "", "", ""])
    return rows


def _left_out(records: Sequence[Record]) -> list[str]:
    lines = []
    for r in records:
        if r["kind"] == "left out":
            lines.append(f"Left out: {r['library']} on {r['device']}, {r['stage']}: {_first_line(r['why'])}")
        elif r["kind"] == "nuts" and r["status"] != "ok":
            lines.append(f"NUTS on {r['device']}: {_first_line(r['why'])}")
        elif r["kind"] == "gradient":
            size = f"N = {r['N']:,}, D = {r['D']}, K = {r['K']}, {r['chains']} chains"
            why = r.get("why", r.get("note", ""))
            if r["status"] == "not the same":
                why = "value, n and slope are off by " + ", ".join(f"{e:.2g}" for e in r["errors"])
            if why:
                lines.append(
                    f"{r['library']} {r['formulation']} on {r['device']}, {size}: {_first_line(why)}"
                )
    kernels = {
        (r["library"], r["kernel"]) for r in records if r["kind"] == "library" and r["device"] == "cpu"
    }
    return lines + [f"{library} on the CPU: {kernel}" for library, kernel in sorted(kernels)]


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0]


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
