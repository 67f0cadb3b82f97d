"""The one pass on a GPU: a Pallas kernel, or the array program where that is the faster way.

    l_k = b_k + w_k . (x - c)         value += max_k l_k + log2 sum_k 2^(l_k - max) - h |x - c|^2
    r_k = softmax of l_k, base 2      n_k += r_k           slope_k += r_k (x - c)

w = beta / s^2 and b = log theta - |beta|^2 / (2 s^2), beta measured from the centre c, both times log2 e: a GPU
raises 2 to a power in hardware. A program of the pass walks a slab of rows for one chain, and rows stay on the chip
from the load to the sums. It writes sums of its own, which are added up afterwards, so the order is fixed and no two
programs write to one place. Sums of n and slope are in float32 within a program; the value, which NUTS takes
differences of, is in the precision of the parameters.

    lanes.py    the pass for few numbers a component: each thread has rows of its own, everything is in registers
    tiles.py    the pass for many: two matrix products a tile of rows, in full float32
    rows.py     what both do with a row
    ends.py     what stands before and after the pass: parameters, and the programs' sums added up
    launch.py   the three programs, one after the other
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from numpyro_impl.kernels import cpu
from ppl_parity.backend.checks import check_pass
from ppl_parity.gpu import crossover
from ppl_parity.gpu.launches import MOST, PROCESSORS

COUNTED = (1 << 31) - (1 << 12)  # rows at most: their numbers, and those of a step further, have 32 bits
TILE = 1 << 24  # numbers of size rows x K that the array program keeps at a time

Sums = tuple[Any, Any, Any]
"""Value, n and slope."""


@cache
def present() -> bool:
    """Whether JAX sees an NVIDIA GPU, so that a program may have a branch for one."""
    return _device() is not None


def usable(x: Any, K: int) -> bool:
    """Whether the kernel can take this x: float32, with at least one row and not too many columns or components."""
    return x.dtype == jnp.float32 and 0 < len(x) <= COUNTED and max(x.shape[1], K) <= MOST


def describe() -> str:
    """Which kernel runs, in words."""
    word = crossover.asked()
    if word is not None:
        return {"kernel": "Pallas kernel", "array": "array program"}[word]
    return "Pallas kernel or array program, whichever is faster"


def one_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """See ``kernels.one_pass``; its derivative is the array program's."""
    return _one_pass(log_theta, beta, x, float(noise_scale), False)


def kernel_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float, *, interpret: bool = False) -> Sums:
    """``one_pass`` by the kernel, whatever is faster; ``interpret`` runs it without a GPU, slowly."""
    return _one_pass(log_theta, beta, x, float(noise_scale), True, interpret)


def array_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """``one_pass`` by the array program, in tiles that fill a GPU."""
    rows = max(1, TILE // log_theta.shape[-1])
    return cpu.array_pass(log_theta, beta, x, noise_scale, tile_rows=rows)


def kernel_chains(log_theta: Any, beta: Any, x: Any, noise_scale: float, *, interpret: bool = False) -> Sums:
    """The kernel for C chains at once: log_theta (C, K), beta (C, K, D) -> (C,), (C, K), (C, K, D)."""
    check_pass(log_theta, beta, x, chains=True)
    from numpyro_impl.kernels.gpu import launch  # only where there is, or shall be, a GPU

    return launch.evaluate(log_theta, beta, x, noise_scale, _processors(), interpret)


def array_chains(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """The array program for C chains at once."""
    return jax.vmap(lambda a, b: array_pass(a, b, x, noise_scale))(log_theta, beta)


@partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5))
def _one_pass(log_theta, beta, x, noise_scale, always, interpret=False):
    def evaluate(log_theta, beta, x):
        if always or _chosen(log_theta, beta, x) == "kernel":
            return kernel_chains(log_theta, beta, x, noise_scale, interpret=interpret)
        return array_chains(log_theta, beta, x, noise_scale)

    return cpu.for_one_chain(evaluate, log_theta, beta, x)


@_one_pass.defjvp
def _one_pass_jvp(noise_scale, always, interpret, primals, tangents):
    _, out = jax.jvp(partial(array_pass, noise_scale=noise_scale), primals, tangents)
    return _one_pass(*primals, noise_scale, always, interpret), out


def _chosen(log_theta: Any, beta: Any, x: Any) -> str:
    _, K, D = beta.shape
    if not usable(x, K):
        return "array"
    if jax.process_count() > 1 and crossover.asked() is None:
        # A program of several processes is one program: no two may find another way the faster.
        return "kernel"
    device = _device()
    name = "none" if device is None else device.device_kind
    return crossover.choose("numpyro", name, (len(x), D, K), partial(_ways, log_theta.dtype, D, K))


def _ways(total: Any, D: int, K: int, rows: int) -> dict[str, Callable[[int], Any]]:
    """Both ways on zeros, which take as long as other numbers. Run beside the trace that asks for it."""
    given: list[Any] = []

    def compiled(function: Callable[..., Sums]) -> Callable[[int], Any]:
        run = jax.jit(partial(function, noise_scale=1.0))

        def several(count):
            with jax.enable_x64(total == jnp.float64), jax.default_device(_device()):
                if not given:
                    shapes = ((1, K), total), ((1, K, D), total), ((rows, D), jnp.float32)
                    given.extend(jnp.zeros(*shape) for shape in shapes)
                return jax.block_until_ready([run(*given) for _ in range(count)])

        return lambda count: _beside(partial(several, count))

    return {"kernel": compiled(kernel_chains), "array": compiled(array_chains)}


def _beside(function: Callable[[], Any]) -> Any:
    """Run it in a thread of its own: a trace that is under way here would otherwise take it in."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def _processors() -> int:
    """Of the GPU that JAX sees, as far as it says."""
    return getattr(_device(), "core_count", None) or PROCESSORS


@cache
def _device() -> Any:
    return next((d for d in jax.devices() if d.platform in ("gpu", "cuda")), None)
