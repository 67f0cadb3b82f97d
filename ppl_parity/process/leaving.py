"""The end of a process: by its own will, by ``kill``, or with the one that it works for."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

from ppl_parity.process.spawning import kill_all

INTERRUPTED, TERMINATED = 130, 143  # exit status of what SIGINT, or SIGTERM, has ended
BROKEN_PIPE = 141  # the reader has gone; as a shell has it: 128 and the signal's number
UNWRITTEN = 120  # Python's own for output that could not be written
LOOK_EVERY = 1.0  # seconds


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


def end_with_parent() -> None:
    """From now on, end this process, and those of its session, soon after the one that started it.

    A parent that is killed (by a scheduler, for want of memory) tells nobody, and what it waited for would go on
    for hours. The thread that looks imports nothing and is none of ``threading``'s, so nothing waits for it, nor
    refrains from what is done beside no other thread.
    """
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    if os.name == "posix":  # elsewhere a process keeps the number of a parent that has gone
        _thread.start_new_thread(look, ())


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
