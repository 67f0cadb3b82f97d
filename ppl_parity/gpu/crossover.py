"""Which of two ways is faster on this GPU for a size: timed on first use, then remembered by the process.

A kernel is not the faster way at every size, and where it stops being so differs between GPUs. Rows are rounded
up to a power of two, and beyond ``MOST_ROWS`` the ratio no longer changes; so a process times few sizes. It times one
chain: with many the kernel gains, which reads x once for all of them, and JAX traces one chain before the others.
"""

from __future__ import annotations

import os
import time
import warnings
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
# So many times so many calls, one wait for all: waiting takes longer than a small pass.
REPEATS, CALLS = 3, 10
CLEARLY = 0.8  # of the kernel's time, below which the array program is the faster way: a draw is no reason to change

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
    size: tuple[int, int, int],
    prepare: Callable[[int], dict[str, Callable[[int], Any]]],
) -> str:
    """``kernel`` or ``array``: the environment's word, else the faster of both on ``device``.

    A way that cannot run there (no compiler for the kernel, no memory for the array program) is not the faster.

    Args:
        backend, device: whose kernel, and on which GPU.
        size: N, D and K.
        prepare: rows -> the two ways at so many rows, by name, each taking how often to run before it waits.

    Raises:
        Exception: neither can run; it is the kernel's own.
    """
    word = asked()
    if word is not None:
        return word
    N, D, K = size
    rows = min(power(N), MOST_ROWS)
    key = (backend, device, rows, D, K)
    if key not in _found:
        _found[key] = _faster(prepare(rows))
    return _found[key]


def found() -> dict[Any, str]:
    """(backend, device, rows, D, K) -> what was faster, for every size that this process has timed."""
    return dict(_found)


def _faster(ways: dict[str, Callable[[int], Any]]) -> str:
    try:
        kernel = _best(ways["kernel"])
    except Exception as error:  # whatever a compiler or a device has to say
        try:
            ways["array"](1)
        except Exception:
            raise error from None
        warnings.warn(f"The GPU kernel cannot run here, so the array program does: {error}", stacklevel=3)
        return "array"
    try:
        return "array" if _best(ways["array"]) < CLEARLY * kernel else "kernel"
    except Exception:
        return "kernel"


def _best(run: Callable[[int], Any]) -> float:
    run(1)  # compiles
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run(CALLS)
        times.append(time.perf_counter() - began)
    return min(times)
