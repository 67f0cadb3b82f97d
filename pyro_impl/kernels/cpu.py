"""The one pass on a CPU: the native kernel, called by address, and the array program where there is none.

The native kernel is an operator of torch's, ``torch.ops.ppl_parity.one_pass``, so that a model that uses it can be
recorded as a graph; its gradient is an ``autograd.Function``'s business (formulations.py).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ppl_parity import native
from ppl_parity.backend.checks import check_pass
from ppl_parity.errors import InputError

TILE = 8192  # rows: their logits stay in the cache
SAMPLE = 64  # rows at most, whose mean is the centre


def usable(x: Any) -> bool:
    """Whether the native kernel can take this x: it is here, and x is in float32 or float64 on a CPU."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and native.available()


def describe() -> str:
    """Which kernel runs, in words."""
    return native.describe()


def native_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> tuple[Any, Any, Any]:
    """See ``kernels.one_pass``."""
    return torch.ops.ppl_parity.one_pass(log_theta, beta, x, noise_scale)


def _native_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> tuple[Any, Any, Any]:
    check_pass(log_theta, beta, x)
    K, D = beta.shape
    results = [torch.empty(shape, dtype=torch.float64) for shape in ((), (K,), (K, D))]
    given = [log_theta.detach().to(torch.float64).contiguous(), beta.detach().to(torch.float64).contiguous()]
    x = x.detach().contiguous()
    native.evaluate(mixture_call(x, K, noise_scale, given, results))
    value, n, slope = (result.to(log_theta.dtype) for result in results)
    return value, n, slope


def _shapes(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> tuple[Any, Any, Any]:
    return log_theta.new_empty(()), torch.empty_like(log_theta), torch.empty_like(beta)


def mixture_call(x: Any, K: int, noise_scale: float, given: Any = (), results: Any = ()) -> Any:
    """The call of the native kernel on contiguous tensors, which must outlive it; only x is checked here."""
    if not (usable(x) and x.dim() == 2 and x.is_contiguous()):
        raise InputError(
            "pyro: the kernel takes an x (N, D) of float32 or float64, rows side by side, on the CPU; got shape "
            f"{tuple(x.shape)} of {x.dtype} on {x.device}."
        )
    addresses = [tensor.data_ptr() for tensor in (x, *given, *results)]
    addresses += [None] * (6 - len(addresses))
    N, D = x.shape
    return native.MixtureCall(*addresses, N, D, K, 1, noise_scale, x.element_size(), 0, 0)


def array_pass(
    log_theta: Any, beta: Any, x: Any, noise_scale: float, tile_rows: int = TILE
) -> tuple[Any, Any, Any]:
    """See ``kernels.one_pass``; x is walked in tiles, so that nothing of size N x K is kept."""
    check_pass(log_theta, beta, x)
    N, D = x.shape
    total = log_theta.dtype
    centre = centre_of(x)
    beta = beta - centre.to(beta.dtype)
    weights = beta / noise_scale**2
    bias = log_theta - 0.5 * torch.sum(beta * weights, dim=-1)
    rounded, rounded_bias = weights.to(x.dtype), bias.to(x.dtype)
    value, squares = (torch.zeros((), dtype=total, device=x.device) for _ in range(2))
    n, slope = torch.zeros_like(log_theta), torch.zeros_like(beta)
    for rows in torch.split(x, tile_rows) if N else ():
        here = rows - centre
        # (K, rows): torch reduces over K several times faster when rows lie side by side. In place: passes
        # over memory are what this costs.
        logits = torch.addmm(rounded_bias[:, None], rounded, here.T)
        top = torch.amax(logits, dim=0)
        r = logits.sub_(top).exp_()
        row_sums = torch.sum(r, dim=0)
        r.div_(row_sums)
        value += torch.sum(top, dtype=total) + torch.sum(row_sums.log_(), dtype=total)
        squares += torch.sum(here**2, dtype=total)
        n += torch.sum(r, dim=1, dtype=total)
        slope += (r @ here).to(total)
    # Rounded parameters would move the value by n_k times the rounding, which N makes large: the gradient is
    # at hand, so the value at the parameters themselves follows to first order.
    value += torch.sum(n * lost(bias, rounded_bias)) + torch.sum(slope * lost(weights, rounded))
    value -= 0.5 * squares / noise_scale**2 + 0.5 * N * D * math.log(2 * math.pi * noise_scale**2)
    return value, n, (slope - n[:, None] * beta) / noise_scale**2


def centre_of(x: Any) -> Any:
    """The mean of a few rows spread over the data: it keeps the terms of the expanded square small."""
    if not len(x):
        return torch.zeros(x.shape[1], dtype=x.dtype, device=x.device)
    return torch.mean(x[:: -(-len(x) // SAMPLE)], dim=0)


def lost(exact: Any, rounded: Any) -> Any:
    """What rounding took away; nothing where it became infinite."""
    return torch.where(torch.isfinite(rounded), exact - rounded.to(exact.dtype), 0.0)


# Kept alive by its name: torch forgets the operators of a library that is gone.
_library = torch.library.Library("ppl_parity", "DEF")
_library.define(
    "one_pass(Tensor log_theta, Tensor beta, Tensor x, float noise_scale) -> (Tensor, Tensor, Tensor)"
)
_library.impl("one_pass", _native_pass, "CPU")
torch.library.register_fake("ppl_parity::one_pass", _shapes, lib=_library)
