"""How one pass over x is cut into programs of a GPU: the same for Pallas and for Triton, and for every run.

A program is one block of threads. It walks a slab of rows for one chain; programs of one slab run side by side,
so that x comes from memory once and from the cache for every further chain. There are as many programs as the GPU's
processors hold at once, or whole multiples of that, all of them as long: a last wave of a few that are left would take
as long as the first.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST = 128  # columns, or components, of a kernel; beyond, the array program's products are the faster way
LANES_MOST = 144  # sums in a thread's registers: 64 + 8 fill them without a spill, twice that spills a few
LANES_ROOM = 104  # for sums and for the columns of a step and of the next: 72 + 32 just fit
LANES_TILES = 4  # of a step at most: what is left after whole steps goes tile by tile
LANES_COLUMNS = 32  # the columns of two rows are in registers besides
TERMS = 4096  # of a float32 sum within a program: rows of a lane, or of tiles. More would lose what they add
MOST_PROGRAMS = 65_535  # a chain: what the second dimension of a CUDA grid takes
PROCESSORS = 132  # of an H100 or H200: what is not said to be another GPU


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


def plan(N: int, D: int, K: int, chains: int = 1, processors: int = PROCESSORS) -> Launch:
    """The launch for a size and a GPU; it depends on nothing else, so sums are added in one order.

    Args:
        N: rows, at least 1. D, K: columns and components, 1 to ``MOST``. chains: evaluated at once.
        processors: of the GPU.
    """
    lanes = K * (D + 1) <= LANES_MOST and D <= LANES_COLUMNS
    # held: programs that a processor has registers for, 65,536 of them.
    if lanes:
        room = (LANES_ROOM - K * (D + 1)) // (2 * D)
        rows, tiles, warps = 32, min(LANES_TILES, power(room + 1) // 2 if room > 0 else 1), 1
        registers = 40 + 2 * K * (D + 1) + 2 * tiles * D  # a thread: 216 here are 232, 96 are 72, 48 are 55
        held = min(32, max(8, 1792 // registers))
    else:  # of 64 to 200 a thread, by the share that it holds of the (K, D) sums and of both factors
        area = padded(K) * padded(D)
        rows, tiles = (32 if area <= 4096 else 16), 1
        warps = 4 if area <= 2048 else 8
        held = 5 if area <= 512 else 4 if area <= 2048 else 2
    steps_in_all = -(-N // (rows * tiles))
    programs = max(1, processors * held // chains)
    terms = steps_in_all * tiles * (1 if lanes else rows)
    programs = min(steps_in_all, MOST_PROGRAMS, programs * -(-terms // (programs * TERMS)))
    steps = -(-steps_in_all // programs)
    return Launch(lanes, rows, tiles, steps, -(-steps_in_all // steps), warps)


def width(D: int) -> int:
    """Columns that a thread loads at once: at most 16 bytes, and a divisor of D, so that it can."""
    return min(4, D & -D)


def block(programs: int, D: int) -> int:
    """Programs whose sums are added up at a time: few blocks, for each waits for memory once."""
    return min(power(programs), max(1, 4096 // power(D)))


def padded(count: int) -> int:
    """The size of a matrix product's side that holds ``count``: a power of two, at least 16."""
    return max(16, power(count))


def power(count: int) -> int:
    """The power of two at or above ``count``."""
    return 1 << (count - 1).bit_length()
