"""The pass for few numbers a component, in Pallas: each thread has rows of its own, and everything is in registers.

What is computed: ``__init__.py``.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from numpyro_impl.kernels.gpu.rows import log_of, times, value_of
from ppl_parity.gpu.launches import Launch, width


def lanes(
    w: Any, b: Any, centre: Any, x: Any, value: Any, n: Any, slope: Any, *, h: float, launch: Launch
) -> None:
    """w (C, K, D), b (C, K), centre (D,), x (N, D) -> value (P, C), n (P, C, K), slope (P, C, K, D).

    A step is some tiles of rows. They are on their way while those of the step before are worked on: few programs
    fit on a processor, and memory is as far as a step takes. Whole steps ask nothing of a row; what is left after
    them, of the last program alone, goes tile by tile and is masked.
    """
    _, K, D = w.shape
    rows, stride = launch.rows, launch.tiles * launch.rows
    chain, slab = pl.program_id(0), pl.program_id(1)
    weights = [[w[chain, k, d] for d in range(D)] for k in range(K)]
    biases = [b[chain, k] for k in range(K)]
    middle = [centre[d] for d in range(D)]
    wide = value.dtype

    def row(columns):
        """The columns from the centre; the largest logit, 2 to the logits less that, their sum, and the row's value."""
        columns = [column - c for column, c in zip(columns, middle, strict=True)]
        logits = [
            functools.reduce(lambda logit, wx: logit + wx[0] * wx[1], zip(w_k, columns, strict=True), b_k)
            for w_k, b_k in zip(weights, biases, strict=True)
        ]
        top = functools.reduce(jnp.maximum, logits)
        powers = [jnp.exp2(logit - top) for logit in logits]
        squares = functools.reduce(jnp.add, [column * column for column in columns])
        return columns, powers, functools.reduce(jnp.add, powers), value_of(top, squares, h, wide)

    def added(sums, columns, powers, share):
        r = [power * share for power in powers]
        n = [a + r_k for a, r_k in zip(sums[0], r, strict=True)]
        slope = [
            [a + r_k * column for a, column in zip(so_far, columns, strict=True)]
            for so_far, r_k in zip(sums[1], r, strict=True)
        ]
        return n, slope

    start = slab * launch.steps * stride
    left = jnp.minimum(jnp.maximum(x.shape[0] - start, 0), launch.steps * stride)
    whole = left // stride

    def tile(first, masked=False):
        return _load(x, start + first, rows, left - first if masked else None)

    def step(i, carry):
        loaded, (total, product, power), sums = carry
        # Once too often: after the last step its own rows come again.
        ahead = jnp.minimum(i + 1, whole - 1) * stride
        coming = [tile(ahead + u * rows) for u in range(launch.tiles)]
        row_sums = 1.0
        for given in loaded:
            columns, powers, row_sum, row_value = row(given)
            total, row_sums = total + row_value, row_sums * row_sum
            sums = added(sums, columns, powers, 1 / row_sum)
        return coming, (total, *times(product, power, row_sums)), sums

    def rest(j, carry):
        loaded, (total, product, power), sums = carry
        first = whole * stride + j * rows
        here = jnp.arange(rows, dtype=jnp.int32) < left - first
        coming = tile(first + rows, masked=True)
        columns, powers, row_sum, row_value = row(loaded)
        total = total + jnp.where(here, row_value, 0)
        sums = added(sums, columns, powers, jnp.where(here, 1 / row_sum, 0))
        return coming, (total, *times(product, power, jnp.where(here, row_sum, 1))), sums

    zero = jnp.zeros(rows, x.dtype)
    values = jnp.zeros(rows, wide), jnp.ones(rows, wide), jnp.zeros(rows, jnp.int32)
    sums = [zero] * K, [[zero] * D for _ in range(K)]
    coming = [tile(u * rows, masked=True) for u in range(launch.tiles)]
    _, values, sums = jax.lax.fori_loop(0, whole, step, (coming, values, sums))
    coming = tile(whole * stride, masked=True)
    tiles_left = (left - whole * stride + rows - 1) // rows
    _, values, sums = jax.lax.fori_loop(0, tiles_left, rest, (coming, values, sums))
    (total, product, power), (n_rows, slope_rows) = values, sums
    value[slab, chain] = jnp.sum(total + log_of(product, power))
    for k in range(K):
        n[slab, chain, k] = jnp.sum(n_rows[k])
        for d in range(D):
            slope[slab, chain, k, d] = jnp.sum(slope_rows[k][d])


def _load(x: Any, first: Any, rows: int, left: Any) -> list[Any]:
    """The columns of a tile from row ``first``, 0 in rows from ``left`` on; of rows that all exist if that is None.

    As many columns come at a time as a thread gets at once, so that it gets all of a row itself. A load of whole
    rows would be shared out among threads, and moving them costs more than reading.
    """
    D = x.shape[1]
    columns = []
    for begin in range(0, D, width(D)):
        part = x.at[pl.ds(first, rows), pl.ds(begin, width(D))]
        if left is None:
            tile = triton.load(part)
        else:
            here = (jnp.arange(rows, dtype=jnp.int32) < left)[:, None]
            tile = triton.load(part, mask=jnp.broadcast_to(here, (rows, width(D))), other=0)
        columns += jax.lax.split(tile, [1] * width(D), axis=1) if width(D) > 1 else [tile]
    return [column.reshape(rows) for column in columns]
