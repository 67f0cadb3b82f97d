"""The one pass on a GPU: a Triton kernel, or the array program where that is the faster way."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch

from ppl_parity.gpu import crossover
from ppl_parity.gpu.launches import MOST, PROCESSORS, padded, plan, power
from pyro_impl.kernels import cpu

TILE = 1 << 24  # numbers of size rows x K that the array program keeps at a time
LOG2E = math.log2(math.e)

Sums = tuple[Any, Any, Any]
"""Value, n and slope."""


@cache
def present() -> bool:
    """Whether torch sees an NVIDIA GPU and Triton is installed."""
    return torch.cuda.is_available() and _triton_is_here()


def usable(x: Any, K: int) -> bool:
    """Whether the kernel can take this x: float32, with at least one row and not too many columns or components."""
    return x.dtype == torch.float32 and len(x) > 0 and max(x.shape[1], K) <= MOST


def describe() -> str:
    """Which kernel runs, in words."""
    if not _triton_is_here():
        return "array program: Triton is not installed"
    word = crossover.asked()
    if word is not None:
        return {"kernel": "Triton kernel", "array": "array program"}[word]
    return "Triton kernel or array program, whichever is faster"


def one_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """See ``kernels.one_pass``, for tensors on a GPU."""
    if _chosen(beta[None], x) == "kernel":
        return kernel_pass(log_theta, beta, x, noise_scale)
    return array_pass(log_theta, beta, x, noise_scale)


def kernel_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """``one_pass`` by the kernel, whatever is faster; with TRITON_INTERPRET=1 also without a GPU, slowly."""
    value, n, slope = kernel_chains(log_theta[None], beta[None], x, noise_scale)
    return value[0], n[0], slope[0]


def array_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """``one_pass`` by the array program, in tiles that fill a GPU."""
    rows = max(1, TILE // log_theta.shape[-1])
    with full_float32():
        return cpu.array_pass(log_theta, beta, x, noise_scale, tile_rows=rows)


def kernel_chains(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """The kernel for C chains at once: log_theta (C, K), beta (C, K, D) -> (C,), (C, K), (C, K, D)."""
    N, D = x.shape
    total = log_theta.dtype
    x = x.detach().contiguous()
    centre = cpu.centre_of(x)
    beta = beta.detach() - centre.to(beta.dtype)
    variance = noise_scale**2
    weights = LOG2E * beta / variance
    bias = LOG2E * (log_theta.detach() - 0.5 * torch.sum(beta * beta, dim=-1) / variance)
    rounded, rounded_bias = weights.to(x.dtype), bias.to(x.dtype)
    h = 0.5 * LOG2E / variance
    value, n, slope = (sums.to(total) for sums in _launch(rounded, rounded_bias, centre, x, h))
    # To first order the value at the parameters themselves, as in the array program.
    value = value + torch.sum(n * cpu.lost(bias, rounded_bias), dim=-1)
    value = value + torch.sum(slope * cpu.lost(weights, rounded), dim=(-2, -1))
    value = value / LOG2E - 0.5 * N * D * math.log(2 * math.pi * variance)
    return value, n, (slope - n[..., None] * beta) / variance


def array_chains(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """The array program for C chains, one after the other."""
    each = [array_pass(a, b, x, noise_scale) for a, b in zip(log_theta, beta, strict=True)]
    value, n, slope = (torch.stack(results) for results in zip(*each, strict=True))
    return value, n, slope


@contextmanager
def full_float32() -> Iterator[None]:
    """Matrix products in float32 as it is, not in the ten bits of TF32, whatever the process has set."""
    products = torch.backends.cuda.matmul
    name = "fp32_precision" if hasattr(products, "fp32_precision") else "allow_tf32"
    before = getattr(products, name)
    setattr(products, name, "ieee" if name == "fp32_precision" else False)
    try:
        yield
    finally:
        setattr(products, name, before)


def _launch(w: Any, b: Any, centre: Any, x: Any, h: float) -> Sums:
    """The kernel's sums over all programs; value in units of log 2, slope around the centre."""
    from pyro_impl.kernels import gpu_programs  # which imports Triton

    C, K, D = w.shape
    N = len(x)
    launch = plan(N, D, K, C, _processors(x.device))
    P = launch.programs
    empty = partial(torch.empty, dtype=x.dtype, device=x.device)
    value = torch.empty((P, C), dtype=torch.float64, device=x.device)
    options = {"ROWS": launch.rows, "H": h, "num_warps": launch.warps, "num_stages": 2}
    with torch.cuda.device_of(x):
        if launch.lanes:
            both = empty((P, C, K, D + 1))
            options |= {"K": K, "D": D, "LEVELS": power(D).bit_length() - 1, "TILES": launch.tiles}
            gpu_programs.lanes[C, P](
                w.contiguous(), b.contiguous(), centre, x, value, both, N, launch.steps, **options
            )
            n, slope = both[..., D], both[..., :D]
        else:
            wide = padded(K) - K, padded(D) - D
            w = torch.nn.functional.pad(w, (0, wide[1], 0, wide[0]))
            b = torch.nn.functional.pad(b, (0, wide[0]), value=-math.inf)
            centre = torch.nn.functional.pad(centre, (0, wide[1]))
            n, slope = empty((P, *b.shape)), empty((P, *w.shape))
            options |= {"D": D, "HIGH": padded(K), "WIDE": padded(D)}
            gpu_programs.tiles[C, P](w, b, centre, x, value, n, slope, N, launch.steps, **options)
            n, slope = n[..., :K], slope[..., :K, :D]
    # torch adds up along one axis without atomics, in an order that the shape decides.
    return value.sum(0), n.sum(0, dtype=torch.float64), slope.sum(0, dtype=torch.float64)


def _chosen(beta: Any, x: Any) -> str:
    C, K, D = beta.shape
    if not present() or not usable(x, K):
        return "array"
    name = torch.cuda.get_device_name(x.device)
    return crossover.choose("pyro", name, (len(x), D, K, C), partial(_ways, x.device, beta.dtype, C, D, K))


def _ways(device: Any, total: Any, C: int, D: int, K: int, rows: int) -> dict[str, Callable[[int], Any]]:
    """Both ways on zeros, which take as long as other numbers."""
    zeros = partial(torch.zeros, device=device)
    given = zeros((C, K), dtype=total), zeros((C, K, D), dtype=total), zeros((rows, D), dtype=torch.float32)

    def waiting(function: Callable[..., Sums]) -> Callable[[int], Any]:
        def several(count):
            for _ in range(count):
                function(*given, 1.0)
            torch.cuda.synchronize(device)

        return several

    return {"kernel": waiting(kernel_chains), "array": waiting(array_chains)}


def _processors(device: Any) -> int:
    """Of this GPU; the interpreter has none."""
    if device.type != "cuda":
        return PROCESSORS
    return torch.cuda.get_device_properties(device).multi_processor_count


def _triton_is_here() -> bool:
    return importlib.util.find_spec("triton") is not None
