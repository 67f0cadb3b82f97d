"""One value and gradient at one size, in one formulation: first shown to be the right function, then timed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.gpu.problem import problem
from ppl_parity.tolerances import TOLERANCES

REPEATS = 7
LOOP_SHARE = 1 / 15  # of a case's seconds: long enough that the clock and one dispatch do not count
KEPT_BYTES = 5e9  # of data that later cases may ask for again
CHUNKS = (1 << 20, 1_000_000)  # rows that are judged at a time; what divides N needs one compiled program
# Of value, n and slope, relative to the largest entry. A slope's terms are a hundred times larger than their sum;
# a tile left out would show in value and n.
ERRORS = (1e-5, 1e-4, 5e-3)
# Of the slope where a library sums over rows in float32: as for every gradient that is timed. A skinny matrix product
# over millions of rows may keep fewer digits than that, and then has no time.
ROUGH = TOLERANCES["timed gradient", "float32"].relative


@dataclass(frozen=True)
class Timed:
    """How a library runs one formulation.

    Attributes:
        once: one evaluation, dispatched and waited for.
        many: runs about so many gradients, waits, and returns how many they were.
        way: how many are run: a compiled loop, a replayed graph, or calls.
        note: why it is not the way that was wanted, or nothing.
    """

    once: Callable[[], Any]
    many: Callable[[int], int]
    way: str
    note: str = ""


class Bench:
    """Measures cases with one library, and keeps what several cases share.

    Args:
        library: see ``benchmarks.gpu.child``.
    """

    def __init__(self, library: Any) -> None:
        self.library = library
        self._rows: dict[tuple[int, int, int], Any] = {}
        self._expected: dict[tuple[int, int, int, int], list[np.ndarray]] = {}

    def measure(self, case: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Show that a case is the right function at all rows, then time it for ``seconds``."""
        N, D, K, C, formulation = (case[name] for name in ("N", "D", "K", "chains", "formulation"))
        needed = bytes_needed(N, D, K, C, formulation)
        if needed > self.library.free_bytes():
            return {"status": "does not fit", "why": f"{needed / 1e9:.0f} GB"}
        centres, points = problem(D, K, C)
        given = (*self.library.points(points), self._data(centres, N))
        began = time.perf_counter()
        found = self.library.evaluate(formulation, given)
        first = time.perf_counter() - began
        errors = relative(found, self._judged(given, (N, D, K, C)), math.sqrt(N / K))
        about = {"first_seconds": first, "errors": errors}
        most = ERRORS if formulation == "kernel" else (*ERRORS[:2], ROUGH)
        if any(error > limit for error, limit in zip(errors, most, strict=True)):
            return {"status": "not the same", **about}
        timed = self.library.timed(formulation, given)
        single = [seconds_of(timed.once) for _ in range(REPEATS)]
        count = max(1, min(10_000, round(seconds * LOOP_SHARE / min(single))))
        loop: list[float] = []
        ends = time.monotonic() + seconds
        while not loop or (len(loop) < REPEATS and time.monotonic() < ends):
            began = time.perf_counter()
            done = timed.many(count)
            loop.append((time.perf_counter() - began) / done)
        rough = f"its float32 sums leave the slope off by {errors[2]:.1g}" if errors[2] > ERRORS[2] else ""
        note = "; ".join(said for said in (timed.note, rough) if said)
        about |= {"way": timed.way} | ({"note": note} if note else {})
        return {"status": "ok", **about, "single": single, "loop": loop, "count": count}

    def _data(self, centres: np.ndarray, N: int) -> Any:
        K, D = centres.shape
        if (N, D, K) not in self._rows:
            while self._rows and 4 * sum(n * d for n, d, _ in (*self._rows, (N, D, K))) > KEPT_BYTES:
                self._rows.pop(next(iter(self._rows)))
            self._rows[N, D, K] = self.library.rows(centres, N)
        return self._rows[N, D, K]

    def _judged(self, given: Any, size: tuple[int, int, int, int]) -> list[np.ndarray]:
        """The float64 array program, summed over chunks: value, n and slope are additive over rows."""
        if size not in self._expected:
            N = size[0]
            chunk = next((rows for rows in CHUNKS if N % rows == 0), CHUNKS[0])
            parts = (self.library.judge(given, start, min(chunk, N - start)) for start in range(0, N, chunk))
            total = [np.zeros(())] * 3
            for part in parts:
                total = [a + b for a, b in zip(total, part, strict=True)]
            self._expected[size] = total
        return self._expected[size]


def bytes_needed(N: int, D: int, K: int, chains: int, formulation: str) -> float:
    """A guess at the memory of a case, for where too much of it would end the process."""
    kept = {"kernel": 0, "array": 0, "matmul": 3 * N * K * chains, "expanded": 3 * N * K * D * chains}
    judging = 6 * min(N, CHUNKS[0]) * (D + K)
    return 4.0 * (4 * N * D + kept[formulation] + judging)


def relative(found: Any, expected: Any, score: float) -> list[float]:
    """The largest difference of value, n and slope, relative to the largest entry; NaN counts as infinite.

    Args:
        score: a standard deviation of the slope at the truth, its unit where the slope itself is smaller.
    """
    errors = []
    for a, b, least in zip(found, expected, (0.0, 0.0, score), strict=True):
        error = np.max(np.abs(a - b)) / max(np.max(np.abs(b)), least)
        errors.append(float(error) if np.isfinite(error) else 1e300)
    return errors


def seconds_of(function: Callable[[], Any]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
