"""The end of a process: by its own will, or by ``kill``."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

from ppl_parity.spawning import kill_all

INTERRUPTED, TERMINATED = 130, 143  # exit status of what SIGINT, or SIGTERM, has ended
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


def end_on_signals() -> None:
    """Let ``kill`` end the program as Ctrl-C does, so that the backends' processes end with it.

    Within an import the program ends at once: an exception there leaves the locks of the import system as they
    were, and this thread, or the one that imports ahead, would wait for them for ever. Nothing is unwound then,
    and nothing needs to be but the backends.
    """

    def end(number: int, frame: FrameType | None) -> None:
        interrupted = number == signal.SIGINT
        if _importing(frame):
            kill_all()
            if interrupted and sys.stderr is not None:
                with suppress(OSError):
                    os.write(2, b"Interrupted.\n")
            os._exit(INTERRUPTED if interrupted else TERMINATED)
        raise KeyboardInterrupt if interrupted else SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, end)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell starts what runs in its background
        signal.signal(signal.SIGINT, end)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
