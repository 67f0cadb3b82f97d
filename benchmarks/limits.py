"""What a device can do, measured on the spot; its sum is the floor under one value and gradient.

    floor = bytes of x / copy bandwidth  +  4 N K D / matrix-product rate  +  N K * time of an exponential

The three are added because a core does one of them at a time; a kernel that overlaps them can be faster. Each
is measured by every library that is here, and the fastest counts: a floor is the machine's, not a library's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks import timer
from benchmarks.rates import SOURCES, work
from ppl_parity.errors import one_of


@dataclass(frozen=True)
class Limits:
    """Rates of one device with all its cores, in one precision.

    Attributes:
        bandwidth: bytes a second, read and written, by a copy of arrays far larger than the cache.
        gemm_rate: floating-point operations a second in a large matrix product.
        exp_seconds: of one exponential, all cores at work.
        dtype: float32 or float64.
        device: cpu or gpu.
        fastest: for each rate, the library that reached it.
    """

    bandwidth: float
    gemm_rate: float
    exp_seconds: float
    dtype: str
    device: str
    fastest: Mapping[str, str]

    def floor(self, N: int, D: int, K: int, chains: int = 1) -> float:
        """Seconds that one value and gradient must take for ``chains`` points; x is read once for all."""
        read = N * D * np.dtype(self.dtype).itemsize / self.bandwidth
        return read + chains * (4 * N * K * D / self.gemm_rate + N * K * self.exp_seconds)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``Limits(**limits.as_dict())`` gives it back."""
        return asdict(self)


def measure(source: str, dtype: str, device: str, budget: float) -> dict[str, Any]:
    """In a child: raw seconds and the rate of each kind of work, by one library."""
    one_of("source of limits", source, SOURCES)
    found = {}
    for name, (run, amount) in work(source, dtype, device).items():
        times = timer.repeat(run, budget / 3)
        found[name] = {"amount": amount, "raw": times, "rate": amount / min(times)}
    return found


def best(found: Mapping[str, Mapping[str, Any]], dtype: str, device: str) -> Limits:
    """The fastest of what the libraries reached: source -> kind of work -> what ``measure`` returned."""

    def fastest(name: str) -> tuple[float, str]:
        rates: Iterable[tuple[float, str]] = ((f[name]["rate"], s) for s, f in found.items() if name in f)
        return max(rates)

    copy, gemm, exp = (fastest(name) for name in ("copy", "gemm", "exp"))
    by = {"copy": copy[1], "gemm": gemm[1], "exp": exp[1]}
    return Limits(copy[0], gemm[0], 1 / exp[0], dtype, device, by)
