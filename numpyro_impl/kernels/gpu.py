"""The one pass on a GPU: a Pallas kernel, or the array program where that is the faster way."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from numpyro_impl.kernels import cpu
from ppl_parity.gpu import crossover
from ppl_parity.gpu.launches import MOST, PROCESSORS, padded, plan

TILE = 1 << 24  # numbers of size rows x K that the array program keeps at a time
LOG2E = math.log2(math.e)

Sums = tuple[Any, Any, Any]
"""Value, n and slope."""


@cache
def present() -> bool:
    """Whether JAX sees an NVIDIA GPU, so that a program may have a branch for one."""
    return _device() is not None


def usable(x: Any, K: int) -> bool:
    """Whether the kernel can take this x: float32, with at least one row and not too many columns or components."""
    return x.dtype == jnp.float32 and len(x) > 0 and max(x.shape[1], K) <= MOST


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
    N, D = x.shape
    total = log_theta.dtype
    centre = cpu.centre_of(x)
    beta = beta - centre.astype(beta.dtype)
    variance = noise_scale**2
    weights = LOG2E * beta / variance
    bias = LOG2E * (log_theta - 0.5 * jnp.sum(beta * beta, axis=-1) / variance)
    rounded, rounded_bias = weights.astype(x.dtype), bias.astype(x.dtype)
    h = 0.5 * LOG2E / variance
    value, n, slope = _launch(rounded, rounded_bias, centre, x, h, total, interpret)
    # To first order the value at the parameters themselves, as in the array program.
    value += jnp.sum(n * cpu.lost(bias, rounded_bias), axis=-1)
    value += jnp.sum(slope * cpu.lost(weights, rounded), axis=(-2, -1))
    value = value / LOG2E - 0.5 * N * D * math.log(2 * math.pi * variance)
    return value, n, (slope - n[..., None] * beta) / variance


def array_chains(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """The array program for C chains at once."""
    return jax.vmap(lambda a, b: array_pass(a, b, x, noise_scale))(log_theta, beta)


def _launch(w: Any, b: Any, centre: Any, x: Any, h: float, total: Any, interpret: bool) -> Sums:
    """The kernel's sums over all programs; value in units of log 2, slope around the centre."""
    from jax.experimental import pallas as pl  # only where there is, or shall be, a GPU
    from jax.experimental.pallas import triton

    from numpyro_impl.kernels import gpu_programs

    C, K, D = w.shape
    launch = plan(len(x), D, K, C, _processors())
    P = launch.programs
    shape, dtype = jax.ShapeDtypeStruct, x.dtype
    if launch.lanes:
        program, outputs = gpu_programs.lanes, [shape((P, C, K, D + 1), dtype)]
    else:
        wide = padded(K) - K, padded(D) - D
        w = jnp.pad(w, ((0, 0), (0, wide[0]), (0, wide[1])))
        b = jnp.pad(b, ((0, 0), (0, wide[0])), constant_values=-jnp.inf)
        centre = jnp.pad(centre, (0, wide[1]))
        program = gpu_programs.tiles
        outputs = [shape((P, *b.shape), dtype), shape((P, *w.shape), dtype)]
    results = pl.pallas_call(
        partial(program, h=h, launch=launch),
        grid=(C, P),
        out_shape=[shape((P, C), total), *outputs],
        compiler_params=triton.CompilerParams(num_warps=launch.warps, num_stages=2),
        interpret=interpret,
        name=f"mixture_{program.__name__}",
    )(w, b, centre, x)
    # So few terms that XLA adds them up without atomics, in an order that the shape decides.
    value, *sums = (jnp.sum(result, axis=0, dtype=total) for result in results)
    if launch.lanes:
        return value, sums[0][..., D], sums[0][..., :D]
    return value, sums[0][:, :K], sums[1][:, :K, :D]


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
    C, K, D = beta.shape
    if not usable(x, K):
        return "array"
    if jax.process_count() > 1 and crossover.asked() is None:
        return (
            "kernel"  # a program of several processes is one program: no two may find another way the faster
        )
    device = _device()
    name = "none" if device is None else device.device_kind
    return crossover.choose("numpyro", name, (len(x), D, K, C), partial(_ways, log_theta.dtype, C, D, K))


def _ways(total: Any, C: int, D: int, K: int, rows: int) -> dict[str, Callable[[int], Any]]:
    """Both ways on zeros, which take as long as other numbers. Run beside the trace that asks for it."""
    given: list[Any] = []

    def compiled(function: Callable[..., Sums]) -> Callable[[int], Any]:
        run = jax.jit(partial(function, noise_scale=1.0))

        def several(count):
            with jax.enable_x64(total == jnp.float64), jax.default_device(_device()):
                if not given:
                    shapes = ((C, K), total), ((C, K, D), total), ((rows, D), jnp.float32)
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
