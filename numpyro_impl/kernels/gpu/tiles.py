"""The pass for many numbers a component, in Pallas: two matrix products a tile of rows, in full float32.

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
from ppl_parity.gpu.launches import Launch


def tiles(
    w: Any, b: Any, centre: Any, x: Any, value: Any, n: Any, slope: Any, *, h: float, launch: Launch
) -> None:
    """As ``lanes``, for w (C, D', K'), b (C, K') and centre (D',) padded to powers of two of at least 16.

    Padding is 0, and -inf in b. The sums are n (P, C, K') and slope (P, C, K', D'). w lies as it does so that
    threads of side by side components read side by side: by components they would all ask one bank of the shared
    memory.
    """
    _, D, K = w.shape
    rows = launch.rows
    chain, slab = pl.program_id(0), pl.program_id(1)
    weights, biases, middle = w[chain], b[chain], centre[...]
    product_of = functools.partial(
        jax.lax.dot_general, precision=jax.lax.Precision.HIGHEST, preferred_element_type=x.dtype
    )

    def step(i, carry):
        (total, product, power), shares, slope_here = carry
        first = (slab * launch.steps + i) * rows
        here = _here(x, first, rows)
        # The padded columns hold 0, and so does the padded centre.
        moved = _load(x, first, rows, D) - middle[None]
        logits = product_of(moved, weights, (((1,), (0,)), ((), ()))) + biases[None]
        top = jnp.max(logits, axis=1)
        powers = jnp.exp2(logits - top[:, None])
        row_sum = jnp.sum(powers, axis=1)
        squares = jnp.sum(moved * moved, axis=1)
        total = total + jnp.where(here, value_of(top, squares, h, total.dtype), 0)
        product, power = times(product, power, jnp.where(here, row_sum, 1))
        r = powers * jnp.where(here, 1 / row_sum, 0)[:, None]
        slope_here = slope_here + product_of(r, moved, (((0,), (0,)), ((), ())))
        return (total, product, power), shares + r, slope_here

    # Known to the program alone: ahead of a loop of known length all weights would be read into registers.
    steps = jnp.minimum(launch.steps, pl.cdiv(x.shape[0], rows) - slab * launch.steps)
    values = jnp.zeros(rows, value.dtype), jnp.ones(rows, value.dtype), jnp.zeros(rows, jnp.int32)
    # The shares are n before it is summed over rows, which threads do together, once.
    start = values, jnp.zeros((rows, K), x.dtype), jnp.zeros((K, D), x.dtype)
    (total, product, power), shares, slope_here = jax.lax.fori_loop(0, steps, step, start)
    value[slab, chain] = jnp.sum(total + log_of(product, power))
    n[slab, chain] = jnp.sum(shares, axis=0)
    slope[slab, chain] = slope_here


def _here(x: Any, first: Any, rows: int) -> Any:
    """Which of the rows from ``first`` exist."""
    return jnp.arange(rows, dtype=jnp.int32) < x.shape[0] - first


def _load(x: Any, first: Any, rows: int, width: int) -> Any:
    """The (rows, width) tile of x from row ``first``, 0 outside x."""
    D = x.shape[1]
    inside = _here(x, first, rows)[:, None] & (jnp.arange(width) < D)[None]
    # The mask keeps the load inside x. From JAX 0.12 a slice that is known to leave it is refused all the
    # same; of one that begins where the program says, nothing is known.
    begin = 0 if width == D else 0 * first
    return triton.load(x.at[pl.ds(first, rows), pl.ds(begin, width)], mask=inside, other=0)
