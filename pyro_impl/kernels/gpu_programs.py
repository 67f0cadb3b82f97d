"""The one pass as programs of a GPU, in Triton: rows stay on the chip from the load to the sums.

    l_k = b_k + w_k . (x - c)         value += max_k l_k + log2 sum_k 2^(l_k - max) - H |x - c|^2
    r_k = softmax of l_k, base 2      n_k += r_k           slope_k += r_k (x - c)

w = beta / s^2 and b = log theta - |beta|^2 / (2 s^2), beta measured from the centre c, both times log2 e: a GPU
raises 2 to a power in hardware. A program walks a slab of rows for one chain. It writes sums of its own, which
the caller adds up, so the order is fixed and no two programs write to one place. Sums of n and slope are in
float32 within a program; the value, which NUTS takes differences of, is in float64.

    lanes   few numbers a component: each thread has rows of its own, everything is in registers
    tiles   many: two matrix products a tile of rows, in full float32

Importing this file imports Triton.
"""
# Triton reads this source as a language of its own, so annotations are left to it, and so are types.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

import triton
import triton.language as tl


@triton.jit
def lanes(
    w_ptr,
    b_ptr,
    centre_ptr,
    x_ptr,
    value_ptr,
    sums_ptr,
    N,
    steps,
    K: tl.constexpr,
    D: tl.constexpr,
    LEVELS: tl.constexpr,
    ROWS: tl.constexpr,
    TILES: tl.constexpr,
    H: tl.constexpr,
):
    """w (C, K, D), b (C, K), centre (D,), x (N, D) -> value (P, C), sums (P, C, K, D + 1), n last.

    2^LEVELS is the power of two at or above D. A step's TILES tiles of ROWS rows are on their way while those of
    the step before are worked on: few programs fit on a processor, and memory is as far as a step takes.
    """
    chain, slab = tl.program_id(0), tl.program_id(1)
    weights, biases, middle = (), (), ()
    for k in tl.static_range(K):
        biases += (tl.load(b_ptr + chain * K + k),)
        for d in tl.static_range(D):
            weights += (tl.load(w_ptr + (chain * K + k) * D + d),)
    for d in tl.static_range(D):
        middle += (tl.load(centre_ptr + d),)
    zero = tl.zeros((ROWS,), tl.float32)
    total = tl.zeros((ROWS,), tl.float64)
    n, slope = (), ()
    for _ in tl.static_range(K):
        n += (zero,)
    for _ in tl.static_range(K * D):
        slope += (zero,)
    first = (slab * steps).to(tl.int64) * (TILES * ROWS)
    coming = _tiles(x_ptr, first, N, D, 1 << LEVELS, ROWS, TILES)
    for _i in range(steps):
        loaded, left = coming, _left(first, N, TILES * ROWS)
        first += TILES * ROWS
        coming = _tiles(x_ptr, first, N, D, 1 << LEVELS, ROWS, TILES)
        for u in tl.static_range(TILES):
            here = u * ROWS + tl.arange(0, ROWS) < left
            columns = _columns(loaded[u], LEVELS, ROWS)
            x = ()
            for d in tl.static_range(D):
                x += (columns[d] - middle[d],)
            logits = ()
            for k in tl.static_range(K):
                logit = zero + biases[k]
                for d in tl.static_range(D):
                    logit += weights[k * D + d] * x[d]
                logits += (logit,)
            top = logits[0]
            for k in tl.static_range(1, K):
                top = tl.maximum(top, logits[k])
            powers, row_sum, squares = (), zero, zero
            for k in tl.static_range(K):
                powers += (tl.exp2(logits[k] - top),)
                row_sum += powers[k]
            for d in tl.static_range(D):
                squares += x[d] * x[d]
            total += tl.where(here, _row_value(top, row_sum, squares, H), 0.0)
            share = tl.where(here, 1 / row_sum, 0.0)
            n_next, slope_next = (), ()
            for k in tl.static_range(K):
                r = powers[k] * share
                n_next += (n[k] + r,)
                for d in tl.static_range(D):
                    slope_next += (slope[k * D + d] + r * x[d],)
            n, slope = n_next, slope_next
    program = slab * tl.num_programs(0) + chain
    tl.store(value_ptr + program, tl.sum(total))
    sums_ptr += program * (K * (D + 1))
    for k in tl.static_range(K):
        tl.store(sums_ptr + k * (D + 1) + D, tl.sum(n[k]))
        for d in tl.static_range(D):
            tl.store(sums_ptr + k * (D + 1) + d, tl.sum(slope[k * D + d]))


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
    """As ``lanes``, for w (C, HIGH, WIDE), b (C, HIGH), centre (WIDE,): powers of two of at least 16.

    Padding is 0, and -inf in b. The sums are n (P, C, HIGH) and slope (P, C, HIGH, WIDE).
    """
    chain, slab = tl.program_id(0), tl.program_id(1)
    k, d = tl.arange(0, HIGH), tl.arange(0, WIDE)
    weights = tl.load(w_ptr + chain * (HIGH * WIDE) + k[:, None] * WIDE + d[None, :])
    biases = tl.load(b_ptr + chain * HIGH + k)
    middle = tl.load(centre_ptr + d)
    total = tl.zeros((ROWS,), tl.float64)
    n = tl.zeros((HIGH,), tl.float32)
    slope = tl.zeros((HIGH, WIDE), tl.float32)
    for i in range(steps):
        first = (slab * steps + i).to(tl.int64) * ROWS
        here = tl.arange(0, ROWS) < _left(first, N, ROWS)
        # The padded columns hold 0, and so does the padded centre.
        x = _load(x_ptr, first, N, D, WIDE, ROWS) - middle[None, :]
        logits = tl.dot(x, tl.trans(weights), input_precision="ieee") + biases[None, :]
        top = tl.max(logits, axis=1)
        powers = tl.exp2(logits - top[:, None])
        row_sum = tl.sum(powers, axis=1)
        total += tl.where(here, _row_value(top, row_sum, tl.sum(x * x, axis=1), H), 0.0)
        r = powers * tl.where(here, 1 / row_sum, 0.0)[:, None]
        n += tl.sum(r, axis=0)
        slope = tl.dot(tl.trans(r), x, slope, input_precision="ieee")
    program = slab * tl.num_programs(0) + chain
    tl.store(value_ptr + program, tl.sum(total))
    tl.store(n_ptr + program * HIGH + k, n)
    tl.store(slope_ptr + program * (HIGH * WIDE) + k[:, None] * WIDE + d[None, :], slope)


@triton.jit
def _row_value(top, row_sum, squares, H: tl.constexpr):
    # Each in float64 first: their sum would round away what the logits still know.
    return top.to(tl.float64) + tl.log2(row_sum).to(tl.float64) - H * squares.to(tl.float64)


@triton.jit
def _left(first, N, most: tl.constexpr):
    """How many of ``most`` rows from ``first`` are rows of x: one 64-bit difference, not one a thread."""
    return tl.minimum(tl.maximum(N - first, 0), most).to(tl.int32)


@triton.jit
def _tiles(x_ptr, first, N, D: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, TILES: tl.constexpr):
    """So many tiles of x, one below the other, from row ``first``."""
    loaded = ()
    for u in tl.static_range(TILES):
        loaded += (_load(x_ptr, first + u * ROWS, N, D, WIDTH, ROWS),)
    return loaded


@triton.jit
def _load(x_ptr, first, N, D: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """The (ROWS, WIDTH) tile of x from row ``first``, 0 outside x."""
    rows, d = tl.arange(0, ROWS), tl.arange(0, WIDTH)
    inside = (rows < _left(first, N, ROWS))[:, None] & (d < D)[None, :]
    return tl.load(x_ptr + first * D + rows[:, None] * D + d[None, :], mask=inside, other=0.0)


@triton.jit
def _columns(tile, LEVELS: tl.constexpr, ROWS: tl.constexpr):
    """The 2^LEVELS columns of a tile, which is halved level by level; whole rows are what memory gives fast."""
    parts = (tile,)
    for level in tl.static_range(LEVELS):
        halves = ()
        for i in tl.static_range(1 << level):
            pair = tl.reshape(parts[i], (ROWS, 2, 1 << (LEVELS - 1 - level)))
            left, right = tl.split(tl.permute(pair, (0, 2, 1)))
            halves += (left, right)
        parts = halves
    columns = ()
    for i in tl.static_range(1 << LEVELS):
        columns += (tl.reshape(parts[i], (ROWS,)),)
    return columns
