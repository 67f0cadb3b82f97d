"""What stands before and after the pass, in Pallas: its parameters, and its programs' sums added up.

As array operations these were a dozen small kernels, which take a third of a pass over ten million rows.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from ppl_parity.gpu.launches import power

LOG2E = math.log2(math.e)


def prepare(
    log_theta: Any,
    beta: Any,
    x: Any,
    w: Any,
    b: Any,
    centre: Any,
    *,
    variance: float,
    sample: int,
    turned: bool,
) -> None:
    """log theta (C, K), beta (C, K, D), x -> w (C, K', D'), b (C, K'), centre (D',), rounded to x's precision.

    A program is one component of one chain; what is beyond K is 0 in w and -inf in b. turned: w is (C, D', K').
    The centre is the mean of at most ``sample`` rows spread over x; all programs find the same.
    """
    (N, D), K = x.shape, beta.shape[1]
    chain, k = pl.program_id(0), pl.program_id(1)
    every = -(-N // sample)
    taken = -(-N // every)
    rows, d = jnp.arange(sample), jnp.arange(power(centre.shape[0]))
    place = x.at[rows[:, None] * every, d[None, :]]
    some = triton.load(place, mask=(rows < taken)[:, None] & (d < D)[None, :], other=0)
    middle = jnp.sum(some, axis=0) / taken
    weights, bias = _parameters(log_theta, beta, middle, chain, jnp.minimum(k, K - 1), variance)
    stored = d < centre.shape[0]
    place = w.at[chain, d, k] if turned else w.at[chain, k, d]
    triton.store(place, jnp.where(k < K, weights, 0).astype(w.dtype), mask=stored)
    b[chain, k] = jnp.where(k < K, bias, -jnp.inf).astype(b.dtype)
    triton.store(centre.at[d], middle, mask=stored & (chain + k == 0))


def finish(
    log_theta: Any,
    beta: Any,
    centre: Any,
    value_sums: Any,
    n_sums: Any,
    slope_sums: Any,
    value: Any,
    n: Any,
    slope: Any,
    *,
    variance: float,
    constant: float,
    block: int,
) -> None:
    """The sums of the pass -> value (C, K), of which the sum over K is the value, n (C, K), slope (C, K, D).

    A program is one component of one chain. It adds up ``block`` programs of the pass at a time, in the precision of
    the results and in an order that depends on nothing but the launch. The value lacks ``constant``.
    """
    chain, k = pl.program_id(0), pl.program_id(1)
    D, wide, programs = beta.shape[2], value.dtype, len(value_sums)
    lines, d = jnp.arange(block), jnp.arange(power(D))
    columns = (d < D)[None, :]

    def add(i, sums):
        program = i * block + lines
        here = program < programs
        loaded = (
            triton.load(value_sums.at[program, chain], mask=here & (k == 0), other=0),
            triton.load(n_sums.at[program, chain, k], mask=here, other=0),
            triton.load(
                slope_sums.at[program[:, None], chain, k, d[None, :]], mask=here[:, None] & columns, other=0
            ),
        )
        return tuple(so_far + more.astype(wide) for so_far, more in zip(sums, loaded, strict=True))

    zero = jnp.zeros(block, wide)
    start = zero, zero, jnp.zeros((block, len(d)), wide)
    sums = jax.lax.fori_loop(0, -(-programs // block), add, start)
    value_k, n_k, slope_k = (jnp.sum(each, axis=0) for each in sums)
    middle = triton.load(centre.at[d], mask=d < D, other=0)
    weights, bias = _parameters(log_theta, beta, middle, chain, k, variance)
    # To first order the value at the parameters themselves, as in the array program.
    value_k += n_k * _lost(bias, n_sums.dtype) + jnp.sum(slope_k * _lost(weights, n_sums.dtype))
    value_k = value_k / LOG2E
    value[chain, k] = jnp.where(k == 0, value_k + constant, value_k)
    n[chain, k] = n_k
    moved = (slope_k - n_k * _moved(beta, middle, chain, k)) / variance
    triton.store(slope.at[chain, k, d], moved, mask=d < D)


def _parameters(
    log_theta: Any, beta: Any, middle: Any, chain: Any, k: Any, variance: float
) -> tuple[Any, Any]:
    """A component's row of w and its b, in the parameters' own precision."""
    moved = _moved(beta, middle, chain, k)
    bias = log_theta[chain, k] - 0.5 * jnp.sum(moved * moved) / variance
    return LOG2E * moved / variance, LOG2E * bias


def _moved(beta: Any, middle: Any, chain: Any, k: Any) -> Any:
    """A component's mean, measured from the centre; 0 beyond D."""
    d = jnp.arange(len(middle))
    inside = d < beta.shape[2]
    mean = triton.load(beta.at[chain, k, d], mask=inside, other=0)
    return jnp.where(inside, mean - middle.astype(mean.dtype), 0)


def _lost(exact: Any, precision: Any) -> Any:
    """What rounding takes away; nothing where it becomes infinite."""
    rounded = exact.astype(precision).astype(exact.dtype)
    return jnp.where(jnp.abs(rounded) < jnp.inf, exact - rounded, 0)
