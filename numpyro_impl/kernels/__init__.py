"""The one pass over x that the fused mixture is made of, by the device it runs on.

    value = sum_i logsumexp_k [ log theta_k + log N(x_i; beta_k, s^2 I) ]
    n_k   = sum_i r_ik                          slope_k = sum_i r_ik (x_i - beta_k) / s^2

theta is not held to sum to one here: n_k is the derivative of the value in log theta_k, each on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from numpyro_impl.kernels import cpu, gpu
from numpyro_impl.sharding import over_rows


@over_rows
def one_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> tuple[Any, Any, Any]:
    """Value (), n (K,) and slope (K, D), in the precision of the parameters.

    Args:
        log_theta: (K,). beta: (K, D), in the unit of x. x: (N, D), whose precision is that of the arithmetic
            on rows; sums over rows are in the precision of the parameters.
        noise_scale: s.
    """
    ways: dict[str, Callable[..., Any]] = {}
    if cpu.usable(x):
        ways["cpu"] = partial(cpu.native_pass, noise_scale=noise_scale)
    if gpu.present():
        ways["cuda"] = partial(gpu.one_pass, noise_scale=noise_scale)
    return by_platform(ways, partial(cpu.array_pass, noise_scale=noise_scale))(log_theta, beta, x)


def by_platform(ways: dict[str, Callable[..., Any]], otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the platform that is compiled for, by JAX's names, or else the other one."""
    if jax.default_backend() == "cpu" and not gpu.present():
        return ways.get("cpu", otherwise)  # the other one need not be traced
    return partial(jax.lax.platform_dependent, **ways, default=otherwise)


def describe(device: str = "cpu") -> str:
    """Which kernel runs on ``device``, in words."""
    return cpu.describe() if device == "cpu" else gpu.describe()
