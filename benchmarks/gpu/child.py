"""One library on one device, in a process of its own: limits, then the cases, each result a JSON line as it comes.

A library (``on_jax``, ``on_torch``) has ``describe``, ``free_bytes``, ``limits``, ``problem``, ``reference``,
``evaluate`` and ``timed``. Nothing is timed before it was shown to be the same function.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.gpu.problem import problem

REPEATS = 7
LOOP_SHARE = 1 / 15  # of a case's seconds: long enough that the clock and one dispatch do not count
CHECKED_ROWS = 1 << 20  # in float64; at all rows the formulations are held to the float32 array program
VALUE_ERROR, GRADIENT_ERROR = 1e-5, 1e-4  # relative to the largest entry; a wrong formula is far beyond

Emit = Callable[[dict[str, Any]], None]


def run(task: dict[str, Any], emit: Emit) -> None:
    """Everything that ``task`` asks of one library; ``benchmarks.gpu.__main__`` says what that is."""
    ends = time.monotonic() + task["seconds"]
    try:
        module = importlib.import_module(f"benchmarks.gpu.on_{task['library']}")
        module.settle()
        library = module.Library(task["device"])
    except (ImportError, LookupError) as reason:
        emit({"kind": "left out", "why": str(reason)})
        return
    emit({"kind": "library", **library.describe()})
    if task["device"] == "gpu" or task["scale"] < 1:
        for record in limits(library, task["scale"]):
            emit(record)
    for case in task["cases"]:
        record = {"kind": "gradient", **case}
        if time.monotonic() > ends:
            emit({**record, "status": "no time left"})
            continue
        try:
            emit({**record, **measure(library, case, task["case_seconds"])})
        except Exception as error:  # out of memory, or a compiler's refusal: the next case may be well
            emit({**record, "status": "failed", "why": f"{type(error).__name__}: {str(error)[:500]}"})
    if task["samplers"] and task["library"] == "jax":
        from benchmarks.gpu import nuts

        try:
            emit({"kind": "nuts", **nuts.measure(library, task["samplers"])})
        except ImportError as reason:
            emit({"kind": "left out", "why": f"NUTS: {reason}"})


def limits(library: Any, scale: float) -> Iterator[dict[str, Any]]:
    """What the device can do, by this library."""
    for name, (once, amount) in library.limits(scale).items():
        once()
        times = [_seconds(once) for _ in range(REPEATS)]
        yield {"kind": "limit", "name": name, "rate": amount / min(times), "raw": times}


def measure(library: Any, case: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Show that a case is the same function as the array program, then time it for ``seconds``."""
    N, D, K, C, formulation = (case[name] for name in ("N", "D", "K", "chains", "formulation"))
    needed = bytes_needed(N, D, K, C, formulation)
    if needed > library.free_bytes():
        return {"status": "does not fit", "why": f"{needed / 1e9:.0f} GB"}
    given = library.problem(*problem(D, K, C), N)
    began = time.perf_counter()
    found = library.evaluate(formulation, given)
    first = time.perf_counter() - began
    rows = min(N, CHECKED_ROWS)
    part = (given[0], given[1], given[2][:rows])
    errors = {
        "float64": relative(library.evaluate(formulation, part), library.reference(given, rows)),
        "all rows": relative(found, library.evaluate("array", given)),
    }
    about = {"first_seconds": first, "errors": errors}
    if any(e[0] > VALUE_ERROR or max(e[1:]) > GRADIENT_ERROR for e in errors.values()):
        return {"status": "not the same", **about}
    once, many = library.timed(formulation, given)
    once()
    single = [_seconds(once) for _ in range(REPEATS)]
    many(1)
    count = max(1, min(10_000, round(seconds * LOOP_SHARE / min(single))))
    loop = [_seconds(lambda: many(count)) / count]
    ends = time.monotonic() + seconds
    while len(loop) < REPEATS and time.monotonic() < ends:
        loop.append(_seconds(lambda: many(count)) / count)
    return {"status": "ok", **about, "single": single, "loop": loop, "count": count}


def bytes_needed(N: int, D: int, K: int, chains: int, formulation: str) -> float:
    """A guess at the memory of a case with the checks beside it."""
    kept = {"kernel": 0, "array": 0, "matmul": 3 * N * K * chains, "expanded": 3 * N * K * D * chains}
    checking = 6 * min(N, CHECKED_ROWS) * (D + K * chains) + (1 << 26) * chains
    return 4.0 * (2 * N * D + kept[formulation] + checking)


def relative(found: Any, expected: Any) -> list[float]:
    """The largest difference of value, n and slope, relative to the largest entry; NaN counts as infinite."""
    errors = []
    for a, b in zip(found, expected, strict=True):
        error = np.max(np.abs(a - b)) / np.max(np.abs(b))
        errors.append(float(error) if np.isfinite(error) else 1e300)
    return errors


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


if __name__ == "__main__":
    run(json.load(sys.stdin), lambda record: print(json.dumps(record), flush=True))
