"""What was hoped for of a GPU, and whether it was reached; the hopes are older than the first measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Record = dict[str, Any]

COPIES = 1.5  # times reading x once
SHARE = 0.4  # of the float32 matrix product's rate
NUTS_RATIO = 20.0
MANY_ROWS = 10_000_000


def rows(records: Sequence[Record]) -> list[list[str]]:
    """(target, by, found, yes or no or not measured)."""
    kernels = [
        r for r in records if r["kind"] == "gradient" and (r["device"], r["formulation"]) == ("gpu", "kernel")
    ]
    found = []
    for library in dict.fromkeys(r["library"] for r in kernels):
        mine = [r for r in kernels if r["library"] == library]
        one = [r for r in mine if (r["D"], r["K"], r["chains"]) == (8, 8, 1) and r["N"] >= MANY_ROWS]
        for r in sorted(one, key=lambda r: r["N"]):
            ratio = copies(r, rate(records, "copy"))
            target = f"N = {r['N']:,}, D = K = 8, one chain: within {COPIES} of reading x once"
            found.append([target, library, *_said(ratio, f"{ratio:.2f}" if ratio else "", _most(COPIES))])
        busy = [r for r in mine if (r["D"] > 8 and r["N"] >= 1_000_000) or r["chains"] == 64]
        for r in busy:
            part = share(r, rate(records, "matmul"))
            size = f"N = {r['N']:,}, D = {r['D']}, K = {r['K']}, chains: {r['chains']}"
            target = f"{size}: at least {SHARE:.0%} of the matrix product's rate"
            found.append([target, library, *_said(part, f"{part:.0%}" if part else "", _least(SHARE))])
    if not kernels:
        found.append(["the kernel on a GPU", "", "", "not measured"])
    ratio = nuts_ratio(records)
    target = f"NUTS: at least {NUTS_RATIO:.0f} times the CPU's ESS a second"
    found.append([target, "jax", *_said(ratio, f"{ratio:.3g}" if ratio else "", _least(NUTS_RATIO))])
    return found


def rate(records: Iterable[Record], name: str) -> float | None:
    """The fastest of what the libraries reached on the GPU."""
    rates = [
        r["rate"] for r in records if r["kind"] == "limit" and r["name"] == name and r["device"] == "gpu"
    ]
    return max(rates, default=None)


def copies(r: Record, copy: float | None) -> float | None:
    """A gradient's time over that of reading x once at ``copy`` bytes a second."""
    if copy is None or r["status"] != "ok":
        return None
    return min(r["loop"]) * copy / (4 * r["N"] * r["D"])


def share(r: Record, matmul: float | None) -> float | None:
    """A gradient's two matrix products a second, as a share of ``matmul``."""
    if matmul is None or r["status"] != "ok":
        return None
    return 4 * r["N"] * r["K"] * r["D"] * r["chains"] / min(r["loop"]) / matmul


def nuts_ratio(records: Iterable[Record]) -> float | None:
    """ESS a second on the GPU over that on the CPU."""
    by = {r["device"]: r["ess_per_second"] for r in records if r["kind"] == "nuts" and r["status"] == "ok"}
    return by["gpu"] / by["cpu"] if {"gpu", "cpu"} <= set(by) else None


def _most(limit: float) -> Any:
    return lambda value: value <= limit


def _least(limit: float) -> Any:
    return lambda value: value >= limit


def _said(value: float | None, text: str, reached: Any) -> list[str]:
    return ["", "not measured"] if value is None else [text, "yes" if reached(value) else "no"]
