"""The end of a process: by its own will, or by ``kill``."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading

TERMINATED = 143  # exit status of what SIGTERM has ended
UNWRITTEN = 120  # Python's own for output that could not be written


def leave(status: int = 0) -> None:
    """End the process without taking apart all that it has imported, which takes up to a third of a second.

    Threads are waited for, what is registered to run at the end runs, and what was printed is written. Where a
    profiler or a debugger watches, the process ends as any other.
    """
    if _watched():
        sys.exit(status)
    threading._shutdown()  # type: ignore[attr-defined]  # the interpreter's own first step
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # it was closed before the process began
                stream.flush()
        except (OSError, ValueError):
            status = status or UNWRITTEN
    os._exit(status)


def _watched() -> bool:
    monitoring = getattr(sys, "monitoring", None)  # from Python 3.12, with six places for tools
    tools = () if monitoring is None else map(monitoring.get_tool, range(6))
    return sys.getprofile() is not None or sys.gettrace() is not None or any(tools)


def end_on_sigterm() -> None:
    """Let ``kill`` end the program as Ctrl-C does, so that the backends' processes end with it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED))
