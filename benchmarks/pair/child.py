"""In a child: one side of a pair as a program, its gradient and its NUTS, each timed where it runs."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import gradients, timer
from ppl_parity.process.defaults import default_precision
from ppl_parity.process.references import Reference
from ppl_parity.spec import SamplerSettings

LEAST_STEPS = 50  # what a first step costs beyond the others is then little of a loop

_built: dict[str, Any] = {}


def build(
    backend: str,
    model: Reference,
    data: Mapping[str, Any],
    *,
    max_plate_nesting: int | None,
    precision: str,
    device: str,
) -> dict[str, Any]:
    """Import the backend and describe the model: what each took, versions and devices."""
    began = time.perf_counter()
    module = importlib.import_module(f"{backend}_impl")
    imported = time.perf_counter()
    with default_precision(precision):
        function = model.resolve(module, precision)
        program = module.Program(
            function, data, max_plate_nesting=max_plate_nesting, precision=precision, device=device
        )
    _built.update(backend=backend, model=function, data=data, program=program, precision=precision)
    _built.update(max_plate_nesting=max_plate_nesting, device=device)
    return {
        "import_seconds": imported - began,
        "build_seconds": time.perf_counter() - imported,
        "versions": module.versions(),
        "devices": module.devices(),
    }


def begin(points: dict[str, np.ndarray], typical: dict[str, np.ndarray]) -> dict[str, Any]:
    """See ``gradients.begin``: values and gradients at unconstrained points (P, ...), of the function that is timed."""
    timing = importlib.import_module(f"{_built['backend']}_impl.timing")
    with default_precision(_built["precision"]):
        return gradients.begin(timing.of_program(_built["program"], points), points, typical)


def measure(budget: float) -> dict[str, Any]:
    """See ``gradients.measure``."""
    with default_precision(_built["precision"]):
        return gradients.measure(budget)


def begin_learning(model: Reference, guide: Reference) -> dict[str, Any]:
    """Build the steps of variational inference, and take the first: what that took."""
    module = importlib.import_module(f"{_built['backend']}_impl")
    timing = importlib.import_module(f"{_built['backend']}_impl.timing")
    with default_precision(_built["precision"]):
        began = time.perf_counter()
        functions = (reference.resolve(module, _built["precision"]) for reference in (model, guide))
        options = {name: _built[name] for name in ("precision", "device", "max_plate_nesting")}
        learns = timing.learning(*functions, _built["data"], **options)
        learns.many(1)
        _built["learns"] = learns
    return {"first_seconds": time.perf_counter() - began, "compiled_loop": learns.compiled_loop}


def learn(budget: float) -> dict[str, Any]:
    """Time the steps, many in one loop, for ``budget`` seconds."""
    learns = _built["learns"]
    with default_precision(_built["precision"]):
        count = LEAST_STEPS
        began = time.perf_counter()
        learns.many(count)
        one = (time.perf_counter() - began) / count
        count = max(count, timer.loop_count(one, compiled=learns.compiled_loop))
        return {"loop": timer.repeat(lambda: learns.many(count), budget), "loop_count": count}


def sample(settings: SamplerSettings, starts: Mapping[str, np.ndarray] | None) -> dict[str, Any]:
    """Draws of NUTS, how they were made, and the seconds that they took with their warmup."""
    module = importlib.import_module(f"{_built['backend']}_impl")
    with default_precision(_built["precision"]):
        began = time.perf_counter()
        groups, attributes = module.sample_posterior(
            _built["model"],
            _built["data"],
            settings,
            initial_values=starts,
            max_plate_nesting=_built["max_plate_nesting"],
        )
        seconds = time.perf_counter() - began
    stats = {name: np.asarray(groups["sample_stats"][name]) for name in ("n_steps", "diverging")}
    told = {name: attributes[name] for name in ("potential", "potential_reason", "chain_method")}
    posterior = {name: np.asarray(value) for name, value in groups["posterior"].items()}
    return {"posterior": posterior, **stats, **told, "seconds": seconds}
