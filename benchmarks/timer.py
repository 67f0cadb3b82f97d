"""The one timer: warm up, repeat until a budget is spent, and keep every time."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

WARM_UP = 0.2  # of the budget
MIN_REPEATS, MAX_REPEATS = 5, 500
LOOP_SECONDS = 0.02  # a loop is long enough that the clock and one dispatch do not count
# There is no dispatch in Python, and what is short falls between the turns that a busy machine gives others: with three
# processes on two cores a gradient of 76 us took 80 in loops of 2 ms, and 109 in loops of 20.
PYTHON_LOOP_SECONDS = 0.002


def repeat(
    run: Callable[[], Any],
    budget: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
    min_repeats: int = MIN_REPEATS,
) -> list[float]:
    """Seconds of each run, in order, after a warm-up; ``run`` must wait for its own result.

    Args:
        run: what is timed.
        budget: seconds for warm-up and repeats together; at least ``min_repeats`` are made, whatever they take.
        clock: seconds, from any origin.
        min_repeats: at least this many times are returned.
    """
    began = clock()
    run()
    while clock() - began < WARM_UP * budget:
        run()
    times: list[float] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        while len(times) < min_repeats or (len(times) < MAX_REPEATS and clock() - began < budget):
            before = clock()
            run()
            times.append(clock() - before)
    finally:
        if collecting:
            gc.enable()
    return times


def loop_count(one: float, *, compiled: bool = True) -> int:
    """How many gradients a loop makes, compiled or in Python, if one takes ``one`` seconds."""
    seconds = LOOP_SECONDS if compiled else PYTHON_LOOP_SECONDS
    return max(1, min(100_000, math.ceil(seconds / max(one, 1e-9))))


def summary(times: Sequence[float], count: int = 1) -> dict[str, float]:
    """Median, 10 % and 90 % quantiles and minimum of seconds a run, each divided by ``count``."""
    values = np.asarray(times, dtype=np.float64) / count
    low, middle, high = (float(q) for q in np.quantile(values, [0.1, 0.5, 0.9]))
    return {"median": middle, "q10": low, "q90": high, "min": float(values.min()), "repeats": len(values)}
