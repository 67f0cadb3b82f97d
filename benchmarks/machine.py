"""Where something was measured: the machine, its load, the Python, and the flags that change times."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.child import flags
from ppl_parity.cores import usable
from ppl_parity.doctor.backends import driver


def describe(name: str | None = None) -> dict[str, Any]:
    """Facts for a record of kind ``run``; ``name`` is what its owner calls the machine."""
    return {
        "name": name or cpu_model(),
        "cpu": cpu_model(),
        "cores": usable(),
        "instructions": instruction_sets(),
        "memory_bytes": _memory(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(),
        "gpus": driver("name", "memory.total", "driver_version"),
        "load_average": load_average(),
        "flags": flags(dict(os.environ)),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def load_average() -> float | None:
    """Processes that wanted a core, over the last minute; None where the system does not count them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def cpu_model() -> str:
    """The processor's name, as the system gives it."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def instruction_sets() -> list[str]:
    """Of the vector instructions that kernels choose among, those that this processor has."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith(("flags", "Features")):
            have = line.partition(":")[2].split()
            return [
                name for name in ("avx2", "fma", "avx512f", "avx512_vnni", "asimd", "sve") if name in have
            ]
    return []


def versions() -> dict[str, str]:
    """Distribution name -> version of what counts here, where it is installed."""
    found = {}
    for name in ("ppl-parity", "numpy", "scipy", "jax", "jaxlib", "numpyro", "torch", "pyro-ppl"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # not installed here; what needs it says so
    return found


def _memory() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return int(line.split()[1]) * 1024
    return None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []  # not Linux
