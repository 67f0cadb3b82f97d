"""In a child: build a sampler, hold its density to the reference's, and time its runs."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np

from ppl_parity.spec import MixtureSpec

_systems: dict[str, Any] = {}


def load(system: str) -> dict[str, Any]:
    """Import a system: seconds and versions."""
    began = time.perf_counter()
    module = importlib.import_module(f"benchmarks.systems.on_{system}")
    versions = module.versions()
    return {"seconds": time.perf_counter() - began, "versions": versions}


def build(
    system: str, formulation: str, spec: MixtureSpec, x: np.ndarray, dtype: str, device: str
) -> dict[str, str]:
    """Make the sampler that the other calls use; its settings."""
    module = importlib.import_module(f"benchmarks.systems.on_{system}")
    _systems["built"] = module.System(formulation, spec, x, dtype, device)
    return _systems["built"].settings


def log_density(theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Its log density at P points, theta (P, K), beta (P, K, D)."""
    return np.asarray(_systems["built"].log_density(theta, beta), dtype=np.float64)


def sample(theta: np.ndarray, beta: np.ndarray, num_warmup: int, num_draws: int, seed: int) -> dict[str, Any]:
    """Its draws, and the seconds that they took with their warmup."""
    began = time.perf_counter()
    draws = _systems["built"].sample(theta, beta, num_warmup=num_warmup, num_draws=num_draws, seed=seed)
    seconds = time.perf_counter() - began
    arrays = {name: np.asarray(value) for name, value in draws.items()}
    return arrays | {"seconds": seconds}
