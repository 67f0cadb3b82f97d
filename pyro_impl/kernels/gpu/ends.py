"""What stands before and after the pass, in Triton: its parameters, and its programs' sums added up.

As operations of torch these were forty small kernels, which take as long as a pass over ten million rows.
Importing this file imports Triton.
"""
# Triton reads this source as a language of its own, so annotations are left to it, and so are types.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def prepare(
    log_theta_ptr,
    beta_ptr,
    x_ptr,
    w_ptr,
    b_ptr,
    centre_ptr,
    K,
    every,
    taken,
    D: tl.constexpr,
    WIDE: tl.constexpr,
    STORED: tl.constexpr,
    TURNED: tl.constexpr,
    SAMPLE: tl.constexpr,
    VARIANCE: tl.constexpr,
):
    """log theta (C, K), beta (C, K, D), x -> w (C, HIGH, STORED), b (C, HIGH), centre (STORED,), in float32.

    A program is one component of one chain; what is beyond K is 0 in w and -inf in b. TURNED: w is
    (C, STORED, HIGH). The centre is the mean of ``taken`` rows, every ``every``-th; all programs find the same.
    """
    chain, k = tl.program_id(0), tl.program_id(1)
    high = tl.num_programs(1)
    rows, d = tl.arange(0, SAMPLE), tl.arange(0, WIDE)
    sampled = (rows < taken)[:, None] & (d < D)[None, :]
    some = tl.load(x_ptr + rows[:, None].to(tl.int64) * every * D + d[None, :], mask=sampled, other=0.0)
    centre = tl.sum(some, axis=0) / taken
    weights, bias = _parameters(
        log_theta_ptr, beta_ptr, centre, chain, tl.minimum(k, K - 1), K, D, WIDE, VARIANCE
    )
    place = d * high + k if TURNED else k * STORED + d
    tl.store(w_ptr + chain * (high * STORED) + place, tl.where(k < K, weights, 0.0), mask=d < STORED)
    tl.store(b_ptr + chain * high + k, tl.where(k < K, bias, -float("inf")))
    tl.store(centre_ptr + d, centre, mask=(d < STORED) & (chain + k == 0))


@triton.jit
def finish(
    log_theta_ptr,
    beta_ptr,
    centre_ptr,
    value_sums_ptr,
    n_sums_ptr,
    slope_sums_ptr,
    value_ptr,
    n_ptr,
    slope_ptr,
    N,
    programs,
    HIGH: tl.constexpr,
    D: tl.constexpr,
    WIDE: tl.constexpr,
    STORED: tl.constexpr,
    BLOCK: tl.constexpr,
    VARIANCE: tl.constexpr,
    CONSTANT: tl.constexpr,
):
    """The sums of the pass -> value (C, K), of which the sum over K is the value, n (C, K), slope (C, K, D).

    A program is one component of one chain. It adds up BLOCK programs of the pass at a time, in float64 and in an
    order that depends on nothing but the launch. CONSTANT is what each row's value lacks.
    """
    chain, k = tl.program_id(0), tl.program_id(1)
    chains, K = tl.num_programs(0), tl.num_programs(1)
    lines, d = tl.arange(0, BLOCK), tl.arange(0, WIDE)
    value = tl.zeros((BLOCK,), tl.float64)
    n = tl.zeros((BLOCK,), tl.float64)
    slope = tl.zeros((BLOCK, WIDE), tl.float64)
    for first in range(0, programs, BLOCK):
        program = (first + lines).to(tl.int64) * chains + chain
        here = first + lines < programs
        value += tl.load(value_sums_ptr + program, mask=here & (k == 0), other=0.0)
        n += tl.load(n_sums_ptr + program * HIGH + k, mask=here, other=0.0).to(tl.float64)
        place = slope_sums_ptr + ((program * HIGH + k) * STORED)[:, None] + d[None, :]
        slope += tl.load(place, mask=here[:, None] & (d < D)[None, :], other=0.0).to(tl.float64)
    n_k, slope_k = tl.sum(n), tl.sum(slope, axis=0)
    centre = tl.load(centre_ptr + d, mask=d < D, other=0.0)
    weights, bias = _parameters(log_theta_ptr, beta_ptr, centre, chain, k, K, D, WIDE, VARIANCE)
    # To first order the value at the parameters themselves, as in the array program.
    value_k = tl.sum(value) + n_k * _lost(bias) + tl.sum(slope_k * _lost(weights))
    rows = tl.where(k == 0, N, 0).to(tl.float64)
    tl.store(value_ptr + chain * K + k, value_k / LOG2E - CONSTANT * rows)
    tl.store(n_ptr + chain * K + k, n_k)
    beta = _moved(beta_ptr, centre, chain * K + k, D, WIDE)
    tl.store(slope_ptr + (chain * K + k) * D + d, (slope_k - n_k * beta) / VARIANCE, mask=d < D)


@triton.jit
def _parameters(
    log_theta_ptr, beta_ptr, centre, chain, k, K, D: tl.constexpr, WIDE: tl.constexpr, VARIANCE: tl.constexpr
):
    """A component's row of w and its b, in float64."""
    beta = _moved(beta_ptr, centre, chain * K + k, D, WIDE)
    log_theta = tl.load(log_theta_ptr + chain * K + k).to(tl.float64)
    return beta / VARIANCE * LOG2E, (log_theta - 0.5 * tl.sum(beta * beta) / VARIANCE) * LOG2E


@triton.jit
def _moved(beta_ptr, centre, row, D: tl.constexpr, WIDE: tl.constexpr):
    """A component's mean, measured from the centre; 0 beyond D."""
    d = tl.arange(0, WIDE)
    beta = tl.load(beta_ptr + row * D + d, mask=d < D, other=0.0).to(tl.float64)
    return tl.where(d < D, beta - centre.to(tl.float64), 0.0)


@triton.jit
def _lost(exact):
    """What rounding to float32 takes away; nothing where it becomes infinite."""
    rounded = exact.to(tl.float32).to(tl.float64)
    finite = tl.abs(rounded) < float("inf")
    return tl.where(finite, exact, 0.0) - tl.where(finite, rounded, 0.0)
