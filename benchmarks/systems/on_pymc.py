"""PyMC's own NUTS on the marginal mixture."""

# pyright: reportMissingImports=false
# Peers live in an environment of their own.
from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
import pymc as pm

from benchmarks.systems import _marginal_pymc
from ppl_parity.errors import InputError, one_of
from ppl_parity.spec import MixtureSpec


def versions() -> dict[str, str]:
    """Distribution name -> version."""
    return {name: metadata.version(name) for name in ("pymc", "pytensor", "numpy")}


class System:
    """See ``benchmarks.systems``; the formulation is ``marginal``."""

    def __init__(self, formulation: str, spec: MixtureSpec, x: np.ndarray, dtype: str, device: str) -> None:
        one_of("formulation of pymc", formulation, ("marginal",))
        if device != "cpu" or dtype != "float64":
            raise InputError(f"pymc runs here on the CPU in float64; got {device}, {dtype}.")
        self._model = _marginal_pymc.model(spec, x)
        self.settings = {
            "first step size": "by dimension, adapted",
            "mass": "diagonal, adapted as it goes",
            "precision": "float64",
            "threads": "1 process a chain",
        }

    def log_density(self, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """See ``benchmarks.systems``."""
        return _marginal_pymc.log_density(self._model, theta, beta)

    def sample(
        self, theta: np.ndarray, beta: np.ndarray, *, num_warmup: int, num_draws: int, seed: int
    ) -> dict[str, Any]:
        """See ``benchmarks.systems``."""
        with self._model:
            tree = pm.sample(
                draws=num_draws,
                tune=num_warmup,
                chains=len(theta),
                random_seed=seed,
                initvals=[{"theta": t, "beta": b} for t, b in zip(theta, beta, strict=True)],
                init="adapt_diag",
                nuts_sampler="pymc",
                progressbar=False,
                compute_convergence_checks=False,
            )
        kept = {name: np.asarray(tree["posterior"][name]) for name in ("theta", "beta")}
        stats = tree["sample_stats"]
        return kept | {"n_steps": np.asarray(stats["n_steps"]), "diverging": np.asarray(stats["diverging"])}
