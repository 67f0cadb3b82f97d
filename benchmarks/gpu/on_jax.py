"""JAX: what it can do on a device, data made there, and the formulations of one value and gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu import doors

NUDGE = 1e-12  # of a gradient: moves a point by nothing that counts, and the compiler cannot know that

Given = tuple[Any, Any, Any]
"""log theta (C, K) and beta (C, K, D) in float64, x (N, D) in float32."""


def settle() -> None:
    """What is global to a process that measures and ends."""
    jax.config.update("jax_enable_x64", True)


class Library:
    """See ``benchmarks.gpu.child``. device: gpu or cpu."""

    name = "jax"

    def __init__(self, device: str) -> None:
        self._place = jax.devices()[0]
        if (self._place.platform in ("gpu", "cuda")) != (device == "gpu"):
            raise LookupError(f"jax {jax.__version__} sees {self._place.platform} first")
        self.device = device
        self._jitted: dict[str, Any] = {}
        self.kernels = doors.kernels("numpyro_impl")

    def describe(self) -> dict[str, Any]:
        """Versions and the device."""
        return {
            "versions": {"jax": jax.__version__},
            "device_name": self._place.device_kind,
            "kernel": self.kernels.describe(self.device),
        }

    def free_bytes(self) -> float:
        """What is left of the device's memory; infinite where JAX does not say."""
        stats = self._place.memory_stats() or {}
        return stats.get("bytes_limit", math.inf) - stats.get("bytes_in_use", 0)

    def limits(self, scale: float) -> dict[str, tuple[Callable[[], Any], float]]:
        """What to run and how much it is: bytes copied, floating-point operations, exponentials."""
        count, order = int(scale * (1 << 30)), max(64, int(8192 * scale ** (1 / 3)) // 64 * 64)
        x = jnp.ones(count, jnp.float32)
        a = jax.random.normal(jax.random.key(0), (order, order), jnp.float32)
        negate, exp = jax.jit(jnp.negative), jax.jit(jnp.exp)  # XLA would leave a mere copy out
        product = jax.jit(partial(jnp.matmul, precision="highest"))
        return {
            "copy": (lambda: negate(x).block_until_ready(), 8.0 * count),
            "matmul": (lambda: product(a, a).block_until_ready(), 2.0 * order**3),
            "exp": (lambda: exp(x).block_until_ready(), float(count)),
        }

    def problem(self, centres: np.ndarray, points: tuple[np.ndarray, np.ndarray], N: int) -> Given:
        """N rows around ``centres`` (K, D), drawn on the device, and the points at which they are evaluated."""
        K, D = centres.shape

        @jax.jit
        def rows(key: Any) -> Any:
            z_key, x_key = jax.random.split(key)
            z = jax.random.randint(z_key, (N,), 0, K)
            noise = jax.random.normal(x_key, (N, D), jnp.float32)
            return jnp.asarray(centres, jnp.float32)[z] + noise

        return jnp.asarray(points[0]), jnp.asarray(points[1]), rows(jax.random.key(N))

    def reference(self, given: Given, rows: int) -> tuple[np.ndarray, ...]:
        """The array program in float64 on the first ``rows`` rows."""
        log_theta, beta, x = given
        return self.numbers(self._compiled("array")((log_theta, beta, x[:rows].astype(jnp.float64))))

    def evaluate(self, formulation: str, given: Given) -> tuple[np.ndarray, ...]:
        """Value (C,), n (C, K), slope (C, K, D)."""
        return self.numbers(self._compiled(formulation)(given))

    def timed(self, formulation: str, given: Given) -> tuple[Callable[[], Any], Callable[[int], Any]]:
        """One evaluation, dispatched and waited for; and many in one compiled loop."""
        evaluate = self._compiled(formulation)

        @jax.jit
        def loop(given: Given, count: Any) -> Any:
            def step(_: Any, carry: Any) -> Any:
                log_theta, beta, total = carry
                value, n, slope = evaluate((log_theta, beta, given[2]))
                return log_theta - NUDGE * n, beta - NUDGE * slope, total + value

            start = (given[0], given[1], jnp.zeros(len(given[0])))
            return jax.lax.fori_loop(0, count, step, start)

        return (
            lambda: jax.block_until_ready(evaluate(given)),
            lambda count: jax.block_until_ready(loop(given, count)),
        )

    @staticmethod
    def numbers(results: Any) -> tuple[np.ndarray, ...]:
        """As NumPy arrays."""
        return tuple(np.asarray(result) for result in results)

    def _compiled(self, formulation: str) -> Callable[[Given], Any]:
        if formulation not in self._jitted:
            ours = {"kernel": self._kernel, "array": self._array}
            self._jitted[formulation] = jax.jit(
                ours.get(formulation) or partial(_differentiated, formulation)
            )
        return self._jitted[formulation]

    def _kernel(self, given: Given) -> Any:
        log_theta, beta, x = given
        if self.device == "gpu":
            return self.kernels.gpu.kernel_chains(log_theta, beta, x, 1.0)
        return jax.vmap(lambda a, b: self.kernels.one_pass(a, b, x, 1.0))(log_theta, beta)

    def _array(self, given: Given) -> Any:
        return self.kernels.gpu.array_chains(*given, 1.0)


def _differentiated(formulation: str, given: Given) -> Any:
    function = {"matmul": _matmul, "expanded": _expanded}[formulation]
    both = jax.value_and_grad(function, argnums=(0, 1))
    value, (n, slope) = jax.vmap(both, in_axes=(0, 0, None))(*given)
    return value, n, slope


def _matmul(log_theta: Any, beta: Any, x: Any) -> Any:
    bias = (log_theta - 0.5 * jnp.sum(beta**2, axis=-1)).astype(x.dtype)
    product = jnp.matmul(x, beta.astype(x.dtype).T, precision="highest")
    rows = jax.nn.logsumexp(product + bias, axis=-1) - 0.5 * jnp.sum(x**2, axis=-1)
    return jnp.sum(rows, dtype=beta.dtype) - 0.5 * x.size * math.log(2 * math.pi)


def _expanded(log_theta: Any, beta: Any, x: Any) -> Any:
    gap = x[:, None] - beta.astype(x.dtype)
    rows = jax.nn.logsumexp(log_theta.astype(x.dtype) - 0.5 * jnp.sum(gap**2, axis=-1), axis=-1)
    return jnp.sum(rows, dtype=beta.dtype) - 0.5 * x.size * math.log(2 * math.pi)
