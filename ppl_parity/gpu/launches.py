"""How one pass over x is cut into programs of a GPU: the same for Pallas and for Triton, and for every run.

A program is one block of threads. It walks a slab of rows for one chain; programs of one slab run side by side,
so that x comes from memory once and from the cache for every further chain.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST = (
    128  # columns, or components, of a kernel; beyond, the array program's matrix products are the faster way
)
LANES_MOST = (
    144  # sums a thread keeps in registers: 64 + 8 fill them without a spill, twice that spills a few
)
LANES_COLUMNS = 32  # the columns of two rows are in registers besides
FILL = 1056  # programs that keep a large GPU busy: 8 on each of 132 processors
ENOUGH_STEPS = 32  # of a program, beside which adding up its threads is little
MOST_PROGRAMS = 4096  # a chain: their sums are added up in one step, without atomics


@dataclass(frozen=True)
class Launch:
    """The shape of a pass.

    Attributes:
        lanes: whether each thread keeps all sums of rows of its own; else tiles go through matrix products.
        rows: of one tile.
        tiles: of one step of a program.
        steps: of one program.
        programs: a chain.
        warps: of 32 threads, a program.
    """

    lanes: bool
    rows: int
    tiles: int
    steps: int
    programs: int
    warps: int


def plan(N: int, D: int, K: int, chains: int = 1) -> Launch:
    """The launch for a size; it depends on nothing else, so sums are added in one order.

    Args:
        N: rows, at least 1. D, K: columns and components, 1 to ``MOST``. chains: evaluated at once.
    """
    lanes = K * (D + 1) <= LANES_MOST and D <= LANES_COLUMNS
    if lanes:
        rows, tiles, warps = 32, 2, 1
    else:
        # What a thread holds of the (K, D) sums and of both factors must stay in its registers.
        area = padded(K) * padded(D)
        rows, tiles, warps = (32, 1, 4) if area <= 2048 else (32, 1, 8) if area <= 4096 else (16, 1, 8)
    steps_in_all = -(-N // (rows * tiles))
    programs = min(steps_in_all, max(-(-FILL // chains), steps_in_all // ENOUGH_STEPS), MOST_PROGRAMS)
    steps = -(-steps_in_all // programs)
    return Launch(lanes, rows, tiles, steps, -(-steps_in_all // steps), warps)


def padded(count: int) -> int:
    """The size of a matrix product's side that holds ``count``: a power of two, at least 16."""
    return max(16, power(count))


def power(count: int) -> int:
    """The power of two at or above ``count``."""
    return 1 << (count - 1).bit_length()
