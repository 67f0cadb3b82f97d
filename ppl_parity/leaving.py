"""The end of a process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def leave(status: int = 0) -> NoReturn:
    """End the process without taking apart all that it has imported, which takes up to a third of a second.

    Threads are waited for, what is registered to run at the end runs, and what was printed is written.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # the interpreter's own first step
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # whoever was reading has gone
            stream.flush()
    os._exit(status)
