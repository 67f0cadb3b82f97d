"""In a child: prepare a formulation's value and gradient, evaluate it at shared points, and time it."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np

from benchmarks import timer
from benchmarks.memory import PeakMemory
from ppl_parity.backend.timed import Timed
from ppl_parity.spec import MixtureSpec

OUTSIDE = {"scikit-learn": "benchmarks.expectation"}  # programs that do the same work and are no backend

_prepared: dict[str, Any] = {}


def load(backend: str) -> dict[str, Any]:
    """Import what ``backend`` needs: seconds, versions and devices."""
    began = time.perf_counter()
    module = importlib.import_module(OUTSIDE.get(backend, f"{backend}_impl"))
    versions, devices = module.versions(), module.devices()
    return {"seconds": time.perf_counter() - began, "versions": versions, "devices": devices}


def prepare(
    backend: str,
    formulation: str,
    spec: MixtureSpec,
    x: np.ndarray,
    *,
    dtype: str,
    device: str,
    chains: int,
    points: dict[str, np.ndarray],
    typical: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Build it and call it for the first time: what that took, and values and gradients at ``points``.

    It is left at ``typical``, one point a chain, where it will be timed.
    """
    module = importlib.import_module(OUTSIDE.get(backend, f"{backend}_impl.timing"))
    _prepared.clear()  # the case before this one frees its memory
    began = time.perf_counter()
    timed = module.prepare(spec, formulation, x, precision=dtype, device=device, num_chains=chains)
    built = time.perf_counter() - began
    return {"build_seconds": built} | begin(timed, points, typical, chains)


def begin(
    timed: Timed, points: dict[str, np.ndarray], typical: dict[str, np.ndarray], chains: int = 1
) -> dict[str, Any]:
    """Call what ``measure`` will time for the first time: what that took, and values and gradients at ``points``."""
    _prepared.clear()
    began = time.perf_counter()
    timed.evaluate(typical)
    called = time.perf_counter()
    values, gradients = timed.evaluate(_padded(points, chains))
    timed.evaluate(typical)
    count = len(next(iter(points.values())))
    _prepared["timed"] = timed
    return {
        "first_seconds": called - began,
        "values": values[:count],
        "gradients": {name: value[:count] for name, value in gradients.items()},
        "potential": timed.potential,
        "compiled_loop": timed.compiled_loop,
    }


def measure(budget: float) -> dict[str, Any]:
    """Time what was prepared: single dispatches, then many in one loop, ``budget`` seconds for both."""
    timed = _prepared["timed"]
    single = timer.repeat(timed.once, budget / 2)
    began = time.perf_counter()
    timed.many(1)  # the loop is a program of its own, compiled here
    loop_first = time.perf_counter() - began
    began = time.perf_counter()
    timed.many(1)
    one = min(time.perf_counter() - began, min(single))
    count = timer.loop_count(one, compiled=timed.compiled_loop)
    memory = PeakMemory()
    loop = timer.repeat(lambda: timed.many(count), budget / 2)
    return {
        "single": single,
        "loop": loop,
        "loop_count": count,
        "loop_first_seconds": loop_first,
        "extra_bytes": memory.extra(),
    }


def _padded(points: dict[str, np.ndarray], chains: int) -> dict[str, np.ndarray]:
    """Points repeated up to a multiple of the chains."""
    count = len(next(iter(points.values())))
    rows = np.arange(-(-count // chains) * chains) % count
    return {name: value[rows] for name, value in points.items()}
