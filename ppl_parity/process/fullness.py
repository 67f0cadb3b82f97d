"""How many memory maps a process has, of those that the system lets it have (Linux)."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

FULL = 0.5  # of them: one check of a large model takes some hundred


def num_maps(process: int) -> int:
    """Of a process; 0 where the system does not tell."""
    try:
        with Path(f"/proc/{process}/maps").open("rb") as maps:
            return sum(1 for _ in maps)
    except OSError:
        return 0


@cache
def most_maps() -> float:
    """That one process may have; no limit where the system knows of none."""
    try:
        return float(Path("/proc/sys/vm/max_map_count").read_text())
    except (OSError, ValueError):
        return math.inf
