"""The work by which a device's limits are measured, as each library does it: what to run, and how much it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ppl_parity.cores import usable

Work = dict[str, tuple[Callable[[], Any], float]]
"""Kind of work -> (what runs it once and waits, its amount: bytes, floating-point operations, exponentials)."""

SOURCES = ("numpy", "torch", "jax")

# On a CPU: many times the last-level cache; a large product; exponentials within the second-level cache. On a
# GPU all of them larger, to fill it.
SIZES = {"cpu": (256 << 20, 1536, 1 << 18), "gpu": (4 << 30, 8192, 1 << 28)}


def work(source: str, dtype: str, device: str) -> Work:
    """What to run with one library on one device."""
    makers: dict[str, Callable[[str, str], Work]] = {"numpy": _numpy, "torch": _torch, "jax": _jax}
    return makers[source](dtype, device)


def _numpy(dtype: str, device: str) -> Work:
    copied, order, exps = SIZES["cpu"]
    itemsize, threads = np.dtype(dtype).itemsize, usable()
    pool = ThreadPoolExecutor(threads)  # NumPy lets go of the interpreter's lock in large operations
    part = copied // itemsize // threads
    pairs = [(np.ones(part, dtype), np.zeros(part, dtype)) for _ in range(threads)]
    values = [(np.linspace(-20, 0, exps, dtype=dtype), np.empty(exps, dtype)) for _ in range(threads)]
    a, b, c = (np.full((order, order), 0.5, dtype) for _ in range(3))

    def copy() -> None:
        list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs))

    def exp() -> None:
        list(pool.map(lambda pair: np.exp(pair[0], out=pair[1]), values))

    return {
        "copy": (copy, 2.0 * part * itemsize * threads),
        "gemm": (lambda: np.matmul(a, b, out=c), 2.0 * order**3),
        "exp": (exp, float(exps * threads)),
    }


def _torch(dtype: str, device: str) -> Work:
    import torch

    place = torch.device("cpu" if device == "cpu" else device.replace("gpu", "cuda"))
    copied, order, exps = SIZES[device.partition(":")[0]]
    kind = getattr(torch, dtype)
    x = torch.ones(copied // np.dtype(dtype).itemsize, dtype=kind, device=place)
    y = torch.zeros_like(x)
    a, b, c = (torch.full((order, order), 0.5, dtype=kind, device=place) for _ in range(3))
    e = torch.linspace(-20, 0, exps, dtype=kind, device=place)
    out = torch.empty_like(e)

    def wait(result: Any) -> Any:
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        return result

    return {
        "copy": (lambda: wait(y.copy_(x)), 2.0 * x.numel() * x.element_size()),
        "gemm": (lambda: wait(torch.matmul(a, b, out=c)), 2.0 * order**3),
        "exp": (lambda: wait(torch.exp(e, out=out)), float(exps)),
    }


def _jax(dtype: str, device: str) -> Work:
    import jax
    import jax.numpy as jnp

    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)  # this process measures limits and ends
    kind, _, index = device.partition(":")
    place = jax.devices(kind)[int(index or 0)]
    copied, order, exps = SIZES[kind]
    with jax.default_device(place):
        x = jnp.ones(copied // np.dtype(dtype).itemsize, dtype)
        a, b = (jnp.full((order, order), 0.5, dtype) for _ in range(2))
        e = jnp.linspace(-20, 0, exps, dtype=dtype)
    negate, exp = jax.jit(jnp.negative), jax.jit(jnp.exp)  # XLA would leave a mere copy out
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))
    return {
        "copy": (lambda: negate(x).block_until_ready(), 2.0 * x.size * x.itemsize),
        "gemm": (lambda: product(a, b).block_until_ready(), 2.0 * order**3),
        "exp": (lambda: exp(e).block_until_ready(), float(exps)),
    }
