"""BlackJAX's NUTS with its window adaptation, given a tiled array-program density; one compiled program."""

# pyright: reportMissingImports=false
# Peers live in an environment of their own.
from __future__ import annotations

from importlib import metadata
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.systems import _tiled
from ppl_parity.errors import one_of
from ppl_parity.spec import MixtureSpec


def versions() -> dict[str, str]:
    """Distribution name -> version."""
    return {name: metadata.version(name) for name in ("blackjax", "jax", "jaxlib", "numpy")}


class System:
    """See ``benchmarks.systems``; the formulation is ``tiled``."""

    def __init__(self, formulation: str, spec: MixtureSpec, x: np.ndarray, dtype: str, device: str) -> None:
        one_of("formulation of blackjax", formulation, ("tiled",))
        jax.config.update("jax_enable_x64", True)  # the process is this system's alone
        self._device = jax.devices(device.partition(":")[0])[0]
        self._K, self._D = spec.num_components, spec.dim
        with jax.default_device(self._device):
            self._log_posterior = _tiled.log_posterior(spec, x, dtype)
        self._programs: dict[tuple[int, int, int], Any] = {}
        self.settings = {
            "first step size": "1, adapted",
            "mass": "diagonal, adapted in windows",
            "precision": f"{dtype} arithmetic, float64 sums",
            "threads": "all",
        }

    def log_density(self, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """See ``benchmarks.systems``; the Jacobian of the transform, sum_k log theta_k, is taken out again."""
        with jax.default_device(self._device):
            values = jax.lax.map(self._log_posterior, jnp.asarray(_tiled.unconstrain(theta, beta)))
        return np.asarray(values) - np.log(theta).sum(axis=-1)

    def sample(
        self, theta: np.ndarray, beta: np.ndarray, *, num_warmup: int, num_draws: int, seed: int
    ) -> dict[str, Any]:
        """See ``benchmarks.systems``."""
        key = (len(theta), num_warmup, num_draws)
        if key not in self._programs:
            each = lambda key, start: self._chain(key, start, num_warmup, num_draws)  # noqa: E731
            self._programs[key] = jax.jit(jax.vmap(each) if len(theta) > 1 else _one(each))
        with jax.default_device(self._device):
            keys = jax.random.split(jax.random.PRNGKey(seed), len(theta))
            u, n_steps, diverging = self._programs[key](keys, jnp.asarray(_tiled.unconstrain(theta, beta)))
            draws_theta, draws_beta = _tiled.constrain(u, self._K, self._D)
        return {
            "theta": draws_theta,
            "beta": draws_beta,
            "n_steps": np.asarray(n_steps),
            "diverging": np.asarray(diverging),
        }

    def _chain(self, key: Any, start: Any, num_warmup: int, num_draws: int) -> Any:
        warmup_key, draws_key = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, self._log_posterior)
        (state, parameters), _ = adaptation.run(warmup_key, start, num_steps=num_warmup)
        kernel = blackjax.nuts(self._log_posterior, **parameters)

        def step(state: Any, key: Any) -> tuple[Any, Any]:
            state, info = kernel.step(key, state)
            return state, (state.position, info.num_integration_steps, info.is_divergent)

        return jax.lax.scan(step, state, jax.random.split(draws_key, num_draws))[1]


def _one(each: Any) -> Any:
    """A single chain, compiled unbatched: a batched tree doubling runs both branches of every condition."""
    return lambda keys, starts: jax.tree.map(lambda a: a[None], each(keys[0], starts[0]))
