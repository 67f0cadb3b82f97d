"""What ``ppl-parity fit`` runs: its own start and warmup, NUTS in the backend's own process, the file's content."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl_parity.data.dataset import Dataset
from ppl_parity.draws.posterior import group
from ppl_parity.fitting.fits import fit_mixture
from ppl_parity.process.references import MixtureReference
from ppl_parity.process.sides import SIDES, Side
from ppl_parity.spec import MixtureSpec, SamplerSettings


def versions() -> dict[str, str]:
    """Distribution name -> version, of both backends' packages that are here."""
    from benchmarks.machine import versions

    return versions()


class System:
    """See ``benchmarks.systems``; the formulation is ``numpyro`` or ``pyro``, fitted as ``fit`` does by default.

    The starts that others are given are not used: the fit's own start is part of what is measured.
    """

    def __init__(self, formulation: str, spec: MixtureSpec, x: np.ndarray, dtype: str, device: str) -> None:
        self._side = Side(formulation if formulation in SIDES else SIDES[0])
        self._spec, self._precision, self._device = spec, dtype, device
        columns = tuple(f"x{d}" for d in range(x.shape[1]))
        self._data = Dataset(x, columns, "simulated", "Simulated for a benchmark.")
        self.settings = {"start": "the fit's own", "precision": dtype}

    def log_density(self, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """See ``benchmarks.systems``."""
        program = self._side.program(
            MixtureReference(self._spec, "fused"),
            {"x": self._data.x},
            precision=self._precision,
            device=self._device,
        )
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
            init="mode",
            precision=self._precision,
            device=self._device,
        )
        tree = fit_mixture(
            self._side,
            self._spec,
            self._data,
            settings,
            log_likelihood=False,
            assignments=False,
            long_steps=True,
        )
        posterior, stats = group(tree, "posterior"), group(tree, "sample_stats")
        kept = {name: posterior[name].values for name in ("theta", "beta")}
        return kept | {name: stats[name].values for name in ("n_steps", "diverging")}
