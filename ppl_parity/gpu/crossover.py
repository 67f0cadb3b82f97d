"""Which of two ways is faster on this GPU for a size: timed on first use, then remembered by the process.

A kernel is not the faster way at every size, and where it stops being so differs between GPUs. Rows are rounded
up to a power of two, and beyond ``MOST_ROWS`` the ratio no longer changes; so a process times few sizes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ppl_parity.errors import InputError
from ppl_parity.gpu.launches import power

VARIABLE = "PPL_PARITY_GPU_KERNEL"
WORDS = {
    "auto": None,
    **dict.fromkeys(("kernel", "pallas", "triton"), "kernel"),
    **dict.fromkeys(("array", "xla", "torch"), "array"),
}
MOST_ROWS = 1 << 22
REPEATS = 3

_found: dict[Any, str] = {}


def asked() -> str | None:
    """``kernel`` or ``array`` where the environment says so, else None.

    Raises:
        InputError: ``PPL_PARITY_GPU_KERNEL`` is another word.
    """
    word = os.environ.get(VARIABLE, "auto")
    if word not in WORDS:
        raise InputError(f"{VARIABLE} must be one of {', '.join(WORDS)}; got {word!r}.")
    return WORDS[word]


def choose(
    backend: str,
    device: str,
    size: tuple[int, int, int, int],
    prepare: Callable[[int], dict[str, Callable[[], Any]]],
) -> str:
    """``kernel`` or ``array``: the environment's word, else the faster of both on ``device``.

    Args:
        backend, device: whose kernel, and on which GPU.
        size: N, D, K and chains.
        prepare: rows -> the two ways at so many rows, by name, each a call that waits for its own result.
    """
    word = asked()
    if word is not None:
        return word
    N, D, K, chains = size
    rows = min(power(N), MOST_ROWS)
    key = (backend, device, rows, D, K, chains)
    if key not in _found:
        _found[key] = _faster(prepare(rows))
    return _found[key]


def found() -> dict[Any, str]:
    """(backend, device, rows, D, K, chains) -> what was faster, for every size that this process has timed."""
    return dict(_found)


def _faster(ways: dict[str, Callable[[], Any]]) -> str:
    return min(ways, key=lambda name: _best(ways[name]))


def _best(run: Callable[[], Any]) -> float:
    run()  # compiles
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)
