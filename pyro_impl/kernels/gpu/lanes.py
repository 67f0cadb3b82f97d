"""The pass for few numbers a component, in Triton: each thread has rows of its own, and everything is in registers.

What is computed: ``__init__.py``. Importing this file imports Triton.
"""
# Triton reads this source as a language of its own, so annotations are left to it, and so are types.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

import triton
import triton.language as tl

from pyro_impl.kernels.gpu.rows import log_of, times, value_of


@triton.jit
def lanes(
    w_ptr,
    b_ptr,
    centre_ptr,
    x_ptr,
    value_ptr,
    n_ptr,
    slope_ptr,
    N,
    steps,
    K: tl.constexpr,
    D: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    TILES: tl.constexpr,
    STAGES: tl.constexpr,
    H: tl.constexpr,
):
    """w (C, K, D), b (C, K), centre (D,), x (N, D) -> value (P, C), n (P, C, K), slope (P, C, K, D).

    A step is TILES tiles of ROWS rows. Those of the next STAGES - 1 steps are on their way to the shared memory
    meanwhile: few programs fit on a processor, and memory is further than one step. Whole steps ask nothing of a
    row; what is left after them, of the last program alone, goes tile by tile and is masked.
    """
    chain, slab = tl.program_id(0), tl.program_id(1)
    weights, biases, middle = (), (), ()
    for k in tl.static_range(K):
        biases += (tl.load(b_ptr + chain * K + k),)
        for d in tl.static_range(D):
            weights += (tl.load(w_ptr + (chain * K + k) * D + d),)
    for d in tl.static_range(D):
        middle += (tl.load(centre_ptr + d),)
    n, slope = (), ()
    for _ in tl.static_range(K):
        n += (tl.zeros((ROWS,), tl.float32),)
    for _ in tl.static_range(K * D):
        slope += (tl.zeros((ROWS,), tl.float32),)
    value, product = tl.zeros((ROWS,), tl.float64), tl.full((ROWS,), 1.0, tl.float64)
    power = tl.zeros((ROWS,), tl.int32)
    start = (slab * steps).to(tl.int64) * (TILES * ROWS)
    left = tl.minimum(tl.maximum(N - start, 0), steps * (TILES * ROWS))
    whole = left // (TILES * ROWS) * (TILES * ROWS)
    x_ptr += start * D
    for first in tl.range(0, whole, TILES * ROWS, num_stages=STAGES):
        row_sums = tl.full((ROWS,), 1.0, tl.float32)
        for u in tl.static_range(TILES):
            x = _centred(_load(x_ptr + (first + u * ROWS) * D, ROWS, D, WIDTH, ROWS, False), middle, D)
            top, powers, row_sum, squares = _row(weights, biases, x, K, D, ROWS)
            value += value_of(top, squares, H)
            row_sums *= row_sum
            n, slope = _added(n, slope, powers, 1 / row_sum, x, K, D)
        product, power = times(product, power, row_sums)
    for first in tl.range(whole, left, ROWS, num_stages=STAGES):
        here = tl.arange(0, ROWS) < left - first
        x = _centred(_load(x_ptr + first * D, left - first, D, WIDTH, ROWS, True), middle, D)
        top, powers, row_sum, squares = _row(weights, biases, x, K, D, ROWS)
        value += tl.where(here, value_of(top, squares, H), 0.0)
        product, power = times(product, power, tl.where(here, row_sum, 1.0))
        n, slope = _added(n, slope, powers, tl.where(here, 1 / row_sum, 0.0), x, K, D)
    program = slab * tl.num_programs(0) + chain
    tl.store(value_ptr + program, tl.sum(value + log_of(product, power)))
    for k in tl.static_range(K):
        tl.store(n_ptr + program * K + k, tl.sum(n[k]))
        for d in tl.static_range(D):
            tl.store(slope_ptr + (program * K + k) * D + d, tl.sum(slope[k * D + d]))


@triton.jit
def _row(weights, biases, x, K: tl.constexpr, D: tl.constexpr, ROWS: tl.constexpr):
    """Each row's largest logit, 2 to the powers of the logits less that, their sum, and |x - c|^2."""
    logits = ()
    for k in tl.static_range(K):
        logit = tl.zeros((ROWS,), tl.float32) + biases[k]
        for d in tl.static_range(D):
            logit += weights[k * D + d] * x[d]
        logits += (logit,)
    top = logits[0]
    for k in tl.static_range(1, K):
        top = tl.maximum(top, logits[k])
    powers, row_sum, squares = (), tl.zeros((ROWS,), tl.float32), tl.zeros((ROWS,), tl.float32)
    for k in tl.static_range(K):
        powers += (tl.exp2(logits[k] - top),)
        row_sum += powers[k]
    for d in tl.static_range(D):
        squares += x[d] * x[d]
    return top, powers, row_sum, squares


@triton.jit
def _added(n, slope, powers, share, x, K: tl.constexpr, D: tl.constexpr):
    """n and slope with a row's r = powers share more."""
    n_next, slope_next = (), ()
    for k in tl.static_range(K):
        r = powers[k] * share
        n_next += (n[k] + r,)
        for d in tl.static_range(D):
            slope_next += (slope[k * D + d] + r * x[d],)
    return n_next, slope_next


@triton.jit
def _centred(columns, middle, D: tl.constexpr):
    x = ()
    for d in tl.static_range(D):
        x += (columns[d] - middle[d],)
    return x


@triton.jit
def _load(x_ptr, left, D: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, MASKED: tl.constexpr):
    """The columns of a tile, 0 in rows from ``left`` on if MASKED; WIDTH, a power of two, divides D."""
    rows, columns = tl.arange(0, ROWS), ()
    for first in tl.static_range(0, D, WIDTH):
        place = x_ptr + rows[:, None] * D + first + tl.arange(0, WIDTH)[None, :]
        if MASKED:
            part = tl.load(place, mask=(rows < left)[:, None], other=0.0)
        else:
            part = tl.load(place)
        columns += _columns(part, WIDTH, ROWS)
    return columns


@triton.jit
def _columns(tile, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """The columns of a tile, halved and halved again."""
    if WIDTH == 1:
        columns = (tl.reshape(tile, (ROWS,)),)
    else:
        left, right = tl.split(tl.permute(tl.reshape(tile, (ROWS, 2, WIDTH // 2)), (0, 2, 1)))
        columns = _columns(left, WIDTH // 2, ROWS) + _columns(right, WIDTH // 2, ROWS)
    return columns
