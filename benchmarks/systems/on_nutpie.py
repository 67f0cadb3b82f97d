"""nutpie's NUTS, given PyMC's marginal mixture compiled by Numba, or the tiled JAX density."""

# pyright: reportMissingImports=false
# Peers live in an environment of their own.
from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
import nutpie

from ppl_parity.errors import InputError, one_of
from ppl_parity.spec import MixtureSpec

FORMULATIONS = ("marginal-numba", "marginal-jax", "tiled-jax")


def versions() -> dict[str, str]:
    """Distribution name -> version."""
    names = ("nutpie", "pymc", "pytensor", "numba", "jax", "jaxlib", "numpy")
    return {name: metadata.version(name) for name in names}


class System:
    """See ``benchmarks.systems``."""

    def __init__(self, formulation: str, spec: MixtureSpec, x: np.ndarray, dtype: str, device: str) -> None:
        one_of("formulation of nutpie", formulation, FORMULATIONS)
        if device != "cpu" or (dtype != "float64" and formulation != "tiled-jax"):
            raise InputError(f"nutpie runs {formulation} here on the CPU in float64; got {device}, {dtype}.")
        self._K, self._D = spec.num_components, spec.dim
        self._formulation, self._model, self._compiled = formulation, None, None
        if formulation == "tiled-jax":
            self._log_posterior, self._both = _tiled_functions(spec, x, dtype)
        else:
            from benchmarks.systems import _marginal_pymc

            self._model = _marginal_pymc.model(spec, x)
        self.settings = {
            "first step size": "found by search",
            "mass": "diagonal, from draws and gradients",
            "precision": "float64" if dtype == "float64" else f"{dtype} arithmetic, float64 sums",
            "threads": "all" if "jax" in formulation else "1 a chain",
        }

    def log_density(self, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """See ``benchmarks.systems``."""
        if self._model is not None:
            from benchmarks.systems import _marginal_pymc

            return _marginal_pymc.log_density(self._model, theta, beta)
        from benchmarks.systems import _tiled

        values = [float(self._log_posterior(u)) for u in _tiled.unconstrain(theta, beta)]
        return np.array(values) - np.log(theta).sum(axis=-1)

    def sample(
        self, theta: np.ndarray, beta: np.ndarray, *, num_warmup: int, num_draws: int, seed: int
    ) -> dict[str, Any]:
        """See ``benchmarks.systems``; nutpie takes one start, the first, for all chains."""
        if self._compiled is None:  # the start is part of what nutpie compiles
            self._compiled = self._compile(theta[0], beta[0])
        tree: Any = nutpie.sample(
            self._compiled,
            draws=num_draws,
            tune=num_warmup,
            chains=len(theta),
            seed=seed,
            progress_bar=False,
        )
        stats, posterior = tree["sample_stats"], tree["posterior"]
        kept = {"n_steps": np.asarray(stats["n_steps"]), "diverging": np.asarray(stats["diverging"])}
        if self._model is not None:
            return kept | {name: np.asarray(posterior[name]) for name in ("theta", "beta")}
        from benchmarks.systems import _tiled

        theta, beta = _tiled.constrain(np.asarray(posterior["u"]), self._K, self._D)
        return kept | {"theta": theta, "beta": beta}

    def _compile(self, theta: np.ndarray, beta: np.ndarray) -> Any:
        if self._model is not None:
            backend: Any = self._formulation.removeprefix("marginal-")
            options: dict[str, Any] = {"gradient_backend": "jax"} if backend == "jax" else {}
            start: Any = {"theta": theta, "beta": beta}
            return nutpie.compile_pymc_model(
                self._model, backend=backend, initial_points=start, jitter_rvs=set(), **options
            )
        from nutpie.compiled_pyfunc import from_pyfunc

        from benchmarks.systems import _tiled

        start, both = _tiled.unconstrain(theta, beta), self._both

        def make_logp() -> Any:
            def logp(u: np.ndarray) -> tuple[float, np.ndarray]:
                value, gradient = both(u)
                return float(value), np.asarray(gradient)

            return logp

        return from_pyfunc(
            len(start),
            make_logp,
            lambda *_: lambda u: {"u": np.asarray(u)},
            [np.dtype(np.float64)],
            [(len(start),)],
            ["u"],
            make_initial_point_fn=lambda seed: start,
        )


def _tiled_functions(spec: MixtureSpec, x: np.ndarray, dtype: str) -> tuple[Any, Any]:
    import jax

    from benchmarks.systems import _tiled

    jax.config.update("jax_enable_x64", True)  # the process is this system's alone
    log_posterior = _tiled.log_posterior(spec, x, dtype)
    return jax.jit(log_posterior), jax.jit(jax.value_and_grad(log_posterior))
