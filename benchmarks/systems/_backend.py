"""A backend's own NUTS, through the contract, with the settings that ``sample_posterior`` has by default."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ppl_parity.spec import MixtureSpec, SamplerSettings

SETTINGS = {
    "numpyro": {"first step size": "1, adapted", "mass": "diagonal, adapted in windows", "threads": "all"},
    "pyro": {
        "first step size": "found by search",
        "mass": "diagonal, adapted in windows",
        "threads": "1 a chain",
    },
}


class BackendSystem:
    """See ``benchmarks.systems``."""

    def __init__(
        self, backend: str, formulation: str, spec: MixtureSpec, x: np.ndarray, dtype: str, device: str
    ) -> None:
        self._backend = importlib.import_module(f"{backend}_impl")
        self._model, self._data = self._backend.mixture(spec, formulation), {"x": x}
        self._precision, self._device = dtype, device
        self.settings = SETTINGS[backend] | {"precision": dtype}

    def log_density(self, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """See ``benchmarks.systems``."""
        options = {"precision": self._precision, "device": self._device}
        program = self._backend.Program(self._model, self._data, **options)
        points = zip(theta, beta, strict=True)
        return np.array([program.log_density({"theta": t, "beta": b}) for t, b in points])

    def sample(
        self, theta: np.ndarray, beta: np.ndarray, *, num_warmup: int, num_draws: int, seed: int
    ) -> dict[str, Any]:
        """See ``benchmarks.systems``."""
        settings = SamplerSettings(
            num_draws=num_draws,
            num_warmup=num_warmup,
            num_chains=len(theta),
            seed=seed,
            precision=self._precision,
            device=self._device,
        )
        groups, _ = self._backend.sample_posterior(
            self._model, self._data, settings, initial_values={"theta": theta, "beta": beta}
        )
        stats = groups["sample_stats"]
        kept = {name: groups["posterior"][name] for name in ("theta", "beta")}
        return kept | {name: stats[name] for name in ("n_steps", "diverging")}
