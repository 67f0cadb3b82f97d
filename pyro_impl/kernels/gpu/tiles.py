"""The pass for many numbers a component, in Triton: two matrix products a tile of rows, in full float32.

What is computed: ``__init__.py``. Importing this file imports Triton.
"""
# Triton reads this source as a language of its own, so annotations are left to it, and so are types.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

import triton
import triton.language as tl

from pyro_impl.kernels.gpu.rows import log_of, times, value_of


@triton.jit
def tiles(
    w_ptr,
    b_ptr,
    centre_ptr,
    x_ptr,
    value_ptr,
    n_ptr,
    slope_ptr,
    N,
    steps,
    D: tl.constexpr,
    HIGH: tl.constexpr,
    WIDE: tl.constexpr,
    ROWS: tl.constexpr,
    H: tl.constexpr,
):
    """As ``lanes``, for w (C, WIDE, HIGH), b (C, HIGH), centre (WIDE,): powers of two of at least 16.

    Padding is 0, and -inf in b. The sums are n (P, C, HIGH) and slope (P, C, HIGH, WIDE). w lies as it does so
    that threads of side by side components read side by side: by components they would all ask one bank of the
    shared memory.
    """
    chain, slab = tl.program_id(0), tl.program_id(1)
    k, d = tl.arange(0, HIGH), tl.arange(0, WIDE)
    weights = tl.load(w_ptr + chain * (HIGH * WIDE) + d[:, None] * HIGH + k[None, :])
    biases = tl.load(b_ptr + chain * HIGH + k)
    middle = tl.load(centre_ptr + d)
    value, product = tl.zeros((ROWS,), tl.float64), tl.full((ROWS,), 1.0, tl.float64)
    power = tl.zeros((ROWS,), tl.int32)
    # The shares are n before it is summed over rows, which threads do together, once.
    shares = tl.zeros((ROWS, HIGH), tl.float32)
    slope = tl.zeros((HIGH, WIDE), tl.float32)
    for i in range(steps):
        first = (slab * steps + i).to(tl.int64) * ROWS
        here = tl.arange(0, ROWS) < N - first
        inside = here[:, None] & (d < D)[None, :]
        place = x_ptr + first * D + tl.arange(0, ROWS)[:, None] * D + d[None, :]
        # The padded columns hold 0, and so does the padded centre.
        x = tl.load(place, mask=inside, other=0.0) - middle[None, :]
        logits = tl.dot(x, weights, input_precision="ieee") + biases[None, :]
        top = tl.max(logits, axis=1)
        powers = tl.exp2(logits - top[:, None])
        row_sum = tl.sum(powers, axis=1)
        value += tl.where(here, value_of(top, tl.sum(x * x, axis=1), H), 0.0)
        product, power = times(product, power, tl.where(here, row_sum, 1.0))
        r = powers * tl.where(here, 1 / row_sum, 0.0)[:, None]
        shares += r
        slope = tl.dot(tl.trans(r), x, slope, input_precision="ieee")
    program = slab * tl.num_programs(0) + chain
    tl.store(value_ptr + program, tl.sum(value + log_of(product, power)))
    tl.store(n_ptr + program * HIGH + k, tl.sum(shares, axis=0))
    tl.store(slope_ptr + program * (HIGH * WIDE) + k[:, None] * WIDE + d[None, :], slope)
