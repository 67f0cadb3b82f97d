"""The mixture that a GPU is measured on, without its data, which are made on the device."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

SEPARATION = 6.0  # between means, in noise sd


def problem(D: int, K: int, chains: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Means (K, D), and log theta (C, K) and beta (C, K, D) near them, a point a chain."""
    rng = np.random.default_rng(K * D)
    centres = rng.standard_normal((K, D)) * SEPARATION / np.sqrt(2 * D)
    log_theta = np.log(rng.dirichlet(np.full(K, 50.0), size=chains))
    return centres, (log_theta, centres + 0.01 * rng.standard_normal((chains, K, D)))


def free_memory() -> float:
    """Bytes that this machine can still give; infinite where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return math.inf
