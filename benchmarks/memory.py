"""How much memory a process took beyond what it held, where the system says so (Linux)."""

from __future__ import annotations

from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """The peak since construction; on a system without ``/proc`` it is unknown."""

    def __init__(self) -> None:
        self._before: int | None = None
        try:
            CLEAR.write_text("5")  # sets the peak back to the present size
            self._before = _field("VmRSS")
        except OSError:
            pass  # not Linux, or not allowed: unknown, and reported as such

    def extra(self) -> int | None:
        """Bytes above the size at construction."""
        return None if self._before is None else max(0, _field("VmHWM") - self._before)


def _field(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
