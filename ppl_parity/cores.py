"""How many cores this process may use: of a machine's, those that a scheduler or a container leaves it."""

from __future__ import annotations

import math
import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable() -> int:
    """Whole cores, at least one: the affinity's, or a control group's quota if that is less."""
    limit = quota(_read(QUOTA))
    return allowed() if limit is None else max(1, min(allowed(), math.ceil(limit)))


def allowed() -> int:
    """Cores that this process may run on, whatever share of them it gets."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota(text: str) -> float | None:
    """Cores that a control group allows, from ``cpu.max``; None for no limit."""
    words = text.split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0].isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""  # this system has no such file
