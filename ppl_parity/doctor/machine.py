"""Cores, their speed and load, the clock, memory. What a system does not tell is said to be unknown."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from ppl_parity.cores import QUOTA, allowed, quota
from ppl_parity.doctor.check import Check

CPU = Path("/sys/devices/system/cpu")
CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
FAST_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen")
GIB = 2**30


def checks() -> Iterator[Check]:
    """Everything about the machine."""
    yield cores(allowed(), os.cpu_count() or 1, quota(_read(QUOTA)))
    if hasattr(os, "getloadavg"):
        yield load(os.getloadavg()[0], allowed())
    yield governor(sorted({_read(path) for path in CPU.glob("cpu*/cpufreq/scaling_governor")}))
    yield turbo(_read(CPU / "intel_pstate/no_turbo"), _read(CPU / "cpufreq/boost"))
    yield clock(_read(CLOCK), time.get_clock_info("perf_counter").resolution)
    yield memory(_meminfo(_read(Path("/proc/meminfo"))))


def cores(here: int, whole: int, limit: float | None) -> Check:
    """Whether all cores may be used; ``limit`` is a container's, in cores."""
    if limit is not None and limit < here:
        return Check(
            "cores",
            "warning",
            f"This container may use {limit:g} cores but shows {here}; libraries start {here} threads, which "
            f"then wait for each other. Set OMP_NUM_THREADS={max(1, int(limit))}.",
        )
    if here < whole:
        return Check("cores", "ok", f"This process may use {here} of the machine's {whole} cores.")
    return Check("cores", "ok", f"All {here} cores may be used.")


def load(average: float, here: int) -> Check:
    """Whether other programs want the cores."""
    if average > 0.5 * here:
        return Check(
            "load",
            "warning",
            f"The load average is {average:.1f} on {here} cores: other programs run, and times are theirs too.",
        )
    return Check("load", "ok", f"The load average is {average:.1f} on {here} cores.")


def governor(names: list[str]) -> Check:
    """Whether the cores keep their speed."""
    found = [name for name in names if name]
    if not found:
        return Check("frequency", "ok", "The system does not say how it sets its cores' frequency.")
    if found != ["performance"]:
        return Check(
            "frequency",
            "warning",
            f"The frequency governor is {', '.join(found)}: a core starts slowly. 'performance' keeps its speed.",
        )
    return Check("frequency", "ok", "The frequency governor is performance.")


def turbo(no_turbo: str, boost: str) -> Check:
    """Whether speed depends on temperature."""
    if no_turbo == "0" or boost == "1":
        return Check(
            "turbo",
            "ok",
            "Turbo is on: the first seconds run faster; compare within one run, not across days.",
        )
    known = no_turbo == "1" or boost == "0"
    return Check("turbo", "ok", "Turbo is off." if known else "The system does not say whether turbo is on.")


def clock(source: str, resolution: float) -> Check:
    """Whether reading the clock is quick and fine enough to time a dispatch."""
    if resolution > 1e-6:
        return Check(
            "clock", "problem", f"The clock steps by {resolution:g} s, too coarse to time a gradient."
        )
    if source and source not in FAST_CLOCKS:
        return Check(
            "clock", "warning", f"The clock source is {source}, slow to read; tsc is meant for timing."
        )
    return Check("clock", "ok", f"The clock source is {source or 'not named'}, in steps of {resolution:g} s.")


def memory(found: dict[str, int]) -> Check:
    """Whether there is room, and nothing has been moved to disk."""
    if "MemAvailable" not in found:
        return Check("memory", "ok", "The system does not say how much memory is free.")
    free, swapped = found["MemAvailable"], found.get("SwapTotal", 0) - found.get("SwapFree", 0)
    if free < 2 * GIB:
        return Check(
            "memory", "warning", f"{free / GIB:.1f} GiB of memory are free; both backends need about 2."
        )
    if swapped > GIB:
        return Check(
            "memory", "warning", f"{swapped / GIB:.1f} GiB are swapped out to disk, and will be fetched."
        )
    return Check("memory", "ok", f"{free / GIB:.1f} GiB of memory are free.")


def _meminfo(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) >= 2 and row[1].isdigit()}


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""  # this system has no such file
