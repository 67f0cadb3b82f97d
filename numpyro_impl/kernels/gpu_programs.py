"""The one pass as programs of a GPU, in Pallas: rows stay on the chip from the load to the sums.

    l_k = b_k + w_k . (x - c)         value += max_k l_k + log2 sum_k 2^(l_k - max) - h |x - c|^2
    r_k = softmax of l_k, base 2      n_k += r_k           slope_k += r_k (x - c)

w = beta / s^2 and b = log theta - |beta|^2 / (2 s^2), beta measured from the centre c, both times log2 e: a GPU
raises 2 to a power in hardware. A program walks a slab of rows for one chain. It writes sums of its own, which
the caller adds up, so the order is fixed and no two programs write to one place. Sums of n and slope are in
float32 within a program; the value, which NUTS takes differences of, is in the precision of its output.

    lanes   few numbers a component: each thread has rows of its own, everything is in registers
    tiles   many: two matrix products a tile of rows, in full float32
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from ppl_parity.gpu.launches import Launch, power

LOG2E = math.log2(math.e)


def lanes(w: Any, b: Any, centre: Any, x: Any, value: Any, sums: Any, *, h: float, launch: Launch) -> None:
    """w (C, K, D), b (C, K), centre (D,), x (N, D) -> value (P, C), sums (P, C, K, D + 1), n last.

    A step's tiles are on their way while those of the step before are worked on: few programs fit on a processor,
    and memory is as far as a step takes.
    """
    _, K, D = w.shape
    rows, stride = launch.rows, launch.tiles * launch.rows
    chain, slab = pl.program_id(0), pl.program_id(1)
    weights = [[w[chain, k, d] for d in range(D)] for k in range(K)]
    biases = [b[chain, k] for k in range(K)]
    middle = [centre[d] for d in range(D)]

    def fetch(first):
        return [_load(x, first + u * rows, rows, power(D)) for u in range(launch.tiles)]

    def step(i, carry):
        first = (slab * launch.steps + i) * stride
        so_far, loaded = carry
        coming = fetch(first + stride)
        for u, tile in enumerate(loaded):
            columns = [column - c for column, c in zip(_columns(tile)[:D], middle, strict=True)]
            so_far = row_by_row(so_far, _here(x, first + u * rows, rows), columns)
        return so_far, coming

    def row_by_row(so_far, here, columns):
        total, n, slope = so_far
        logits = [
            functools.reduce(lambda logit, wx: logit + wx[0] * wx[1], zip(w_k, columns, strict=True), b_k)
            for w_k, b_k in zip(weights, biases, strict=True)
        ]
        top = functools.reduce(jnp.maximum, logits)
        powers = [jnp.exp2(logit - top) for logit in logits]
        row_sum = functools.reduce(jnp.add, powers)
        squares = functools.reduce(jnp.add, [column * column for column in columns])
        total = total + jnp.where(here, _row_value(top, row_sum, squares, h, total.dtype), 0)
        share = jnp.where(here, 1 / row_sum, 0)
        r = [power * share for power in powers]
        n = [a + r_k for a, r_k in zip(n, r, strict=True)]
        slope = [
            [a + r_k * column for a, column in zip(row, columns, strict=True)]
            for row, r_k in zip(slope, r, strict=True)
        ]
        return total, n, slope

    zero = jnp.zeros(rows, x.dtype)
    start = (jnp.zeros(rows, value.dtype), [zero] * K, [[zero] * D for _ in range(K)])
    first = fetch(slab * launch.steps * stride)
    (total, n, slope), _ = jax.lax.fori_loop(0, launch.steps, step, (start, first))
    value[slab, chain] = jnp.sum(total)
    for k in range(K):
        sums[slab, chain, k, D] = jnp.sum(n[k])
        for d in range(D):
            sums[slab, chain, k, d] = jnp.sum(slope[k][d])


def tiles(
    w: Any, b: Any, centre: Any, x: Any, value: Any, n: Any, slope: Any, *, h: float, launch: Launch
) -> None:
    """As ``lanes``, for w (C, K', D'), b (C, K') and centre (D',) padded to powers of two of at least 16.

    Padding is 0, and -inf in b. The sums are n (P, C, K') and slope (P, C, K', D').
    """
    _, K, D = w.shape
    rows = launch.rows
    chain, slab = pl.program_id(0), pl.program_id(1)
    weights, biases, middle = w[chain], b[chain], centre[...]
    product = functools.partial(
        jax.lax.dot_general, precision=jax.lax.Precision.HIGHEST, preferred_element_type=x.dtype
    )

    def step(i, carry):
        total, n_here, slope_here = carry
        first = (slab * launch.steps + i) * rows
        here = _here(x, first, rows)
        # The padded columns hold 0, and so does the padded centre.
        moved = _load(x, first, rows, D) - middle[None]
        logits = product(moved, weights, (((1,), (1,)), ((), ()))) + biases[None]
        top = jnp.max(logits, axis=1)
        powers = jnp.exp2(logits - top[:, None])
        row_sum = jnp.sum(powers, axis=1)
        squares = jnp.sum(moved * moved, axis=1)
        total = total + jnp.where(here, _row_value(top, row_sum, squares, h, total.dtype), 0)
        r = powers * jnp.where(here, 1 / row_sum, 0)[:, None]
        return (
            total,
            n_here + jnp.sum(r, axis=0),
            slope_here + product(r, moved, (((0,), (0,)), ((), ()))),
        )

    start = (jnp.zeros(rows, value.dtype), jnp.zeros(K, x.dtype), jnp.zeros((K, D), x.dtype))
    total, n_here, slope_here = jax.lax.fori_loop(0, launch.steps, step, start)
    value[slab, chain] = jnp.sum(total)
    n[slab, chain] = n_here
    slope[slab, chain] = slope_here


def _row_value(top: Any, row_sum: Any, squares: Any, h: float, precision: Any) -> Any:
    # Each in the wider precision first: their sum would round away what the logits still know.
    # The logarithm is the natural one: to base 2 some releases of JAX divide, and others have no rule for a GPU.
    log2 = jnp.log(row_sum) * LOG2E
    return top.astype(precision) + log2.astype(precision) - h * squares.astype(precision)


def _here(x: Any, first: Any, rows: int) -> Any:
    """Which of the rows from ``first`` exist: one difference, in 64 bits, not one a thread."""
    left = jnp.minimum(x.shape[0] - first, rows).astype(jnp.int32)
    return jnp.arange(rows, dtype=jnp.int32) < left


def _load(x: Any, first: Any, rows: int, width: int) -> Any:
    """The (rows, width) tile of x from row ``first``, 0 outside x."""
    D = x.shape[1]
    inside = _here(x, first, rows)[:, None] & (jnp.arange(width) < D)[None]
    # The mask keeps the load inside x. From JAX 0.12 a slice that is known to leave it is refused all the
    # same; of one that begins where the program says, nothing is known.
    begin = 0 if width == D else 0 * first
    return triton.load(x.at[pl.ds(first, rows), pl.ds(begin, width)], mask=inside, other=0)


def _columns(tile: Any) -> list[Any]:
    """The columns of a tile whose width is a power of two; whole rows are what memory gives fast."""
    rows, width = tile.shape
    if width == 1:
        return [tile.reshape(rows)]
    return [column.reshape(rows) for column in jax.lax.split(tile, [1] * width, axis=1)]
