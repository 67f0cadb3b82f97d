"""The one pass on a GPU: a Triton kernel, or the array program where that is the faster way.

    l_k = b_k + w_k . (x - c)         value += max_k l_k + log2 sum_k 2^(l_k - max) - h |x - c|^2
    r_k = softmax of l_k, base 2      n_k += r_k           slope_k += r_k (x - c)

w = beta / s^2 and b = log theta - |beta|^2 / (2 s^2), beta measured from the centre c, both times log2 e: a GPU
raises 2 to a power in hardware. A program of the pass walks a slab of rows for one chain, and rows stay on the chip
from the load to the sums. It writes sums of its own, which are added up afterwards, so the order is fixed and no two
programs write to one place. Sums of n and slope are in float32 within a program; the value, which NUTS takes
differences of, is in float64.

    lanes.py    the pass for few numbers a component: each thread has rows of its own, everything is in registers
    tiles.py    the pass for many: two matrix products a tile of rows, in full float32
    rows.py     what both do with a row
    ends.py     what stands before and after the pass: parameters, and the programs' sums added up
    launch.py   the three programs, one after the other
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch

from ppl_parity.backend.checks import check_pass
from ppl_parity.gpu import crossover
from ppl_parity.gpu.launches import MOST, PROCESSORS
from pyro_impl.kernels import cpu

TILE = 1 << 24  # numbers of size rows x K that the array program keeps at a time

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
    if _chosen(beta, x) == "kernel":
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
    check_pass(log_theta, beta, x, chains=True)
    from pyro_impl.kernels.gpu import launch  # which imports Triton

    given = log_theta.detach().contiguous(), beta.detach().contiguous(), x.detach().contiguous()
    with torch.cuda.device_of(x):
        results = launch.evaluate(*given, noise_scale, _processors(x.device))
    value, n, slope = (result.to(log_theta.dtype) for result in results)
    return value, n, slope


def array_chains(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Sums:
    """The array program for C chains, one after the other."""
    each = [array_pass(a, b, x, noise_scale) for a, b in zip(log_theta, beta, strict=True)]
    value, n, slope = (torch.stack(results) for results in zip(*each, strict=True))
    return value, n, slope


@contextmanager
def full_float32() -> Iterator[None]:
    """Matrix products in float32 as it is, not in the ten bits of TF32, whatever the process has set.

    torch has an old name for that and a new one. Where they contradict each other it refuses to read the old one;
    so the old one, which sets both, is taken wherever it can be.
    """
    products = torch.backends.cuda.matmul
    new = getattr(products, "fp32_precision", None)
    try:
        old = torch.get_float32_matmul_precision()
    except RuntimeError:
        old = None
        products.fp32_precision = "ieee"
    else:
        torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        if old is not None:
            torch.set_float32_matmul_precision(old)
        if new is not None:
            products.fp32_precision = new


def _chosen(beta: Any, x: Any) -> str:
    K, D = beta.shape
    if not present() or not usable(x, K):
        return "array"
    name = torch.cuda.get_device_name(x.device)
    return crossover.choose("pyro", name, (len(x), D, K), partial(_ways, x.device, beta.dtype, D, K))


def _ways(device: Any, total: Any, D: int, K: int, rows: int) -> dict[str, Callable[[int], Any]]:
    """Both ways on zeros, which take as long as other numbers."""
    zeros = partial(torch.zeros, device=device)
    given = zeros(K, dtype=total), zeros((K, D), dtype=total), zeros((rows, D), dtype=torch.float32)

    def waiting(function: Callable[..., Sums]) -> Callable[[int], Any]:
        def several(count):
            for _ in range(count):
                function(*given, 1.0)
            torch.cuda.synchronize(device)

        return several

    return {"kernel": waiting(kernel_pass), "array": waiting(array_pass)}


def _processors(device: Any) -> int:
    """Of this GPU; the interpreter has none."""
    if device.type != "cuda":
        return PROCESSORS
    return torch.cuda.get_device_properties(device).multi_processor_count


def _triton_is_here() -> bool:
    return importlib.util.find_spec("triton") is not None
