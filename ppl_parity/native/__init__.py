"""The fused kernel in C++: value and gradient of the mixture's log likelihood in one pass over x.

    value       = sum_i logsumexp_k [ log theta_k + log N(x_i; beta_k, s^2 I) ]
    d/d log theta_k = n_k = sum_i r_ik             d/d beta_k = sum_i r_ik (x_i - beta_k) / s^2

One library for both backends: torch calls it through ``ctypes``, JAX through a handler of XLA. Arithmetic on
rows is in the data's precision; parameters and sums over rows are in float64. Where there is no library,
``available`` says no, ``describe`` says why, and the backends compute the same as an array program.

    mixture.h   the C interface                 building.py  compiling, at installation or at need
    tile.h      the one pass, for any CPU       library.py   loading
    pool.h      threads                         xla/         its custom calls
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ppl_parity.backend.checks import check_pass
from ppl_parity.errors import InputError
from ppl_parity.native import library
from ppl_parity.native.building import NoLibrary
from ppl_parity.native.library import VARIANTS, MixtureCall, PotentialCall

__all__ = [
    "MixtureCall",
    "NoLibrary",
    "PotentialCall",
    "available",
    "describe",
    "evaluate",
    "potential",
    "set_threads",
    "value_and_gradient",
    "variants",
    "xla_handlers",
]


def available() -> bool:
    """Whether the native kernel can be used in this process; it is built here if it must be."""
    return _why_not() is None


def describe() -> str:
    """Which kernel runs, in words: ``native, AVX2, 2 threads``, or the array program and the reason."""
    reason = _why_not()
    if reason is not None:
        return f"array program: {reason}"
    threads = library.core().ppl_threads()
    return f"native, {variants()[-1]}, {threads} {'thread' if threads == 1 else 'threads'}"


def variants() -> list[str]:
    """The instruction sets that this CPU has a compiled kernel for, slowest first; the last one is used."""
    bits = library.core().ppl_variants()
    return [name for name, bit in VARIANTS.items() if bits & bit]


def set_threads(threads: int) -> None:
    """Let a call use so many threads at most; 0 is one for each core. Results do not depend on it."""
    if threads < 0:
        raise InputError(f"threads must be at least 0; got {threads}.")
    library.set_threads(threads)


def value_and_gradient(
    log_theta: np.ndarray,
    beta: np.ndarray,
    x: np.ndarray,
    noise_scale: float,
    *,
    threads: int = 0,
    variant: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The kernel on NumPy arrays, for C points of the parameter space at once.

    Args:
        log_theta: (C, K), or (K,) for one point. beta: (C, K, D) or (K, D), in the unit of x.
        x: (N, D), float32 or float64; a copy is made only where its rows do not lie side by side.
        noise_scale: s.
        threads: at most so many; 0 is what ``set_threads`` allows.
        variant: one of ``variants()``; None is the fastest.

    Returns:
        the value (C,), its gradient in log theta (C, K), and in beta (C, K, D), all float64; without C for
        one point. Not finite where a parameter is not.

    Raises:
        NoLibrary: there is no native kernel here.
        InputError: the shapes do not fit, or x is of another type.
    """
    log_theta, beta = (np.ascontiguousarray(a, dtype=np.float64) for a in (log_theta, beta))
    x = np.ascontiguousarray(x)
    single = log_theta.ndim == 1
    check_pass(log_theta, beta, x, chains=not single)
    C, K, D = beta.shape if not single else (1, *beta.shape)
    if K < 1:
        raise InputError("A mixture must have at least one component; got none.")
    results = np.empty(C), np.empty((C, K)), np.empty((C, K, D))
    addresses = [array.ctypes.data for array in (x, log_theta, beta, *results)]
    bit = VARIANTS[variant] if variant is not None else 0
    evaluate(MixtureCall(*addresses, len(x), D, K, C, noise_scale, x.itemsize, threads, bit))
    value, n, slope = (result[0] for result in results) if single else results
    return np.asarray(value), n, slope


def evaluate(call: MixtureCall) -> None:
    """Fill in the outputs of ``call``, whose pointers must be to contiguous arrays of its shapes."""
    _check(library.core().ppl_mixture(ctypes.byref(call)))


def potential(call: PotentialCall, y: int, beta: int, value: int, grad_y: int, grad_beta: int) -> None:
    """U(y, beta) of NUTS and its gradient, all float64, given and returned by address."""
    _check(library.core().ppl_potential(ctypes.byref(call), y, beta, value, grad_y, grad_beta))


def xla_handlers(jaxlib: str, include: str) -> dict[str, Any]:
    """The custom calls by the names that XLA knows them by; ``jax.ffi.pycapsule`` takes each.

    Args:
        jaxlib: its version; handlers belong to one.
        include: the folder of its headers.

    Raises:
        NoLibrary: there are none; the message completes "array program: ...".
    """
    return library.xla(jaxlib, include)


def _why_not() -> str | None:
    try:
        library.core()
    except NoLibrary as reason:
        return str(reason)
    return None


def _check(status: int) -> None:
    if status != 0:
        raise InputError(
            "The native kernel could not run: the memory it asked for, or the instruction set, is not here."
        )
