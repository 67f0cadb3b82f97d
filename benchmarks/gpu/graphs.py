"""A torch computation recorded as a CUDA graph: its small kernels follow each other without the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import cuda

WARM_UPS = 3  # on a side stream, as torch asks: what is compiled or allocated at first is not recorded


def captured(run: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """``run`` as a graph.

    Returns:
        what replays it, without waiting; and what ``run`` returned, whose numbers every replay writes anew.

    Raises:
        Exception: whatever ``run`` or torch raises where it cannot be captured; the stream is what it was.
    """
    before = cuda.current_stream()
    try:
        side = cuda.Stream()
        side.wait_stream(before)
        with cuda.stream(side):
            for _ in range(WARM_UPS):
                run()
        before.wait_stream(side)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            results = run()
        graph.replay()
        cuda.synchronize()
    except Exception:
        cuda.set_stream(before)  # a capture that fails leaves its own
        raise
    return graph.replay, results
