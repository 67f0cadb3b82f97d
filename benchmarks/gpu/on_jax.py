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
from benchmarks.gpu.measuring import Timed
from benchmarks.gpu.problem import free_memory

NUDGE = 1e-12  # of a gradient: moves a point by nothing that counts, and the compiler cannot know that
# Where XLA does not know how often a loop goes round, the host asks the GPU each time, for 20 to 30 us. So a loop
# whose length is open has one of INNER gradients within, but where a gradient takes milliseconds anyway.
INNER = 16
LONG = 5e10  # N x D x K x chains

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
        self._programs: dict[tuple[str, int], Any] = {}
        self.kernels = doors.kernels("numpyro_impl")
        self._judge = jax.jit(self._judge_chains)

    def describe(self) -> dict[str, Any]:
        """Versions and the device."""
        return {
            "versions": {"jax": jax.__version__},
            "device_name": self._place.device_kind,
            "kernel": self.kernels.describe(self.device),
        }

    def free_bytes(self) -> float:
        """What is free of a CPU's memory; on a GPU too much is tried and refused, which harms nothing."""
        return free_memory() if self.device == "cpu" else math.inf

    def limits(self, scale: float) -> dict[str, Callable[[], tuple[Callable[[], Any], float]]]:
        """What prepares what to run, and how much that is: bytes copied, floating-point operations, exponentials."""
        count, order = int(scale * (1 << 30)), max(64, int(8192 * scale ** (1 / 3)) // 64 * 64)

        def elementwise(function: Any, amount: float) -> Any:
            run, x = jax.jit(function), jnp.ones(count, jnp.float32)
            return lambda: run(x).block_until_ready(), amount

        def matmul() -> Any:
            a = jax.random.normal(jax.random.key(0), (order, order), jnp.float32)
            product = jax.jit(partial(jnp.matmul, precision="highest"))
            return lambda: product(a, a).block_until_ready(), 2.0 * order**3

        return {
            "copy": lambda: elementwise(jnp.negative, 8.0 * count),  # XLA would leave a mere copy out
            "matmul": matmul,
            "exp": lambda: elementwise(jnp.exp, float(count)),
        }

    def rows(self, centres: np.ndarray, N: int) -> Any:
        """x (N, D): rows around ``centres`` (K, D), drawn on the device."""
        return _rows(jax.random.key(N), jnp.asarray(centres, jnp.float32), N)

    def points(self, points: tuple[np.ndarray, np.ndarray]) -> tuple[Any, ...]:
        """Where the function is evaluated, on the device."""
        return tuple(jnp.asarray(point) for point in points)

    def judge(self, given: Given, start: int, rows: int) -> tuple[np.ndarray, ...]:
        """The array program in float64 on some rows, one chain after the other."""
        log_theta, beta, x = given
        return self.numbers(self._judge(log_theta, beta, _part(x, start, rows)))

    def evaluate(self, formulation: str, given: Given) -> tuple[np.ndarray, ...]:
        """Value (C,), n (C, K), slope (C, K, D)."""
        return self.numbers(self._program(formulation, given)[0](given, 0)[0])

    def timed(self, formulation: str, given: Given) -> Timed:
        """By the program of ``evaluate``, which is compiled by then."""
        program, inner = self._program(formulation, given)

        def many(count: int) -> int:
            outer = -(-(count - 1) // inner)
            jax.block_until_ready(program(given, outer))
            return 1 + inner * outer

        return Timed(lambda: jax.block_until_ready(program(given, 0)), many, "compiled loop")

    @staticmethod
    def numbers(results: Any) -> tuple[np.ndarray, ...]:
        """As NumPy arrays."""
        return tuple(np.asarray(result) for result in results)

    def _program(self, formulation: str, given: Given) -> tuple[Any, int]:
        """(given, outer) -> one evaluation, and the end of a loop of outer x inner more; and inner.

        One program for the check, the single call and the loop, because a kernel takes seconds to compile.
        """
        C, K, D = given[1].shape
        inner = INNER if self.device == "gpu" and len(given[2]) * D * K * C < LONG else 1
        if (formulation, inner) not in self._programs:
            ours = {"kernel": self._kernel, "array": self._array}
            evaluate = ours.get(formulation) or partial(_differentiated, formulation)
            self._programs[formulation, inner] = jax.jit(partial(_repeated, evaluate, inner))
        return self._programs[formulation, inner], inner

    def _judge_chains(self, log_theta: Any, beta: Any, x: Any) -> Any:
        one = self.kernels.gpu.array_pass
        return jax.lax.map(lambda point: one(*point, x, 1.0), (log_theta, beta))

    def _kernel(self, given: Given) -> Any:
        log_theta, beta, x = given
        if self.device == "gpu":
            return self.kernels.gpu.kernel_chains(log_theta, beta, x, 1.0)
        return jax.vmap(lambda a, b: self.kernels.one_pass(a, b, x, 1.0))(log_theta, beta)

    def _array(self, given: Given) -> Any:
        return self.kernels.gpu.array_chains(*given, 1.0)


@partial(jax.jit, static_argnums=2)
def _rows(key: Any, centres: Any, N: int) -> Any:
    z_key, x_key = jax.random.split(key)
    z = jax.random.randint(z_key, (N,), 0, len(centres))
    return centres[z] + jax.random.normal(x_key, (N, centres.shape[1]), jnp.float32)


@partial(jax.jit, static_argnums=2)
def _part(x: Any, start: Any, rows: int) -> Any:
    return jax.lax.dynamic_slice_in_dim(x, start, rows).astype(jnp.float64)


def _repeated(evaluate: Any, inner: int, given: Given, outer: Any) -> Any:
    """One evaluation; and where outer x inner more lead, each at a point that the one before has moved."""

    def moved(point: Any, results: Any) -> Any:
        log_theta, beta, total = point
        value, n, slope = results
        return log_theta - NUDGE * n, beta - NUDGE * slope, total + value

    def step(_: Any, point: Any) -> Any:
        return moved(point, evaluate((*point[:2], given[2])))

    first = evaluate(given)
    point = moved((*given[:2], jnp.zeros(len(given[0]))), first)
    return first, jax.lax.fori_loop(0, outer, lambda _, p: jax.lax.fori_loop(0, inner, step, p), point)


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
