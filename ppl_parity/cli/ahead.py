"""What is begun before anyone needs it: a backend's process, and which imports.

Nothing slow is imported here, so that a process can start before the command line has been read.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress

from ppl_parity.process.spawning import SIDES, kill, spawn

# Commands that need the one backend that --backend names, and what says that it is not to be started like that.
WITH_A_BACKEND = ("fit", "sample", "render")
OTHERWISE = ("-h", "--help", "--pyro-python", "--numpyro-python")

FOR_A_FIT = (
    "ppl_parity.fitting.fits",
    "xarray",
    "netCDF4",
    "ppl_parity.cli.fitted",
)

_started: dict[str, subprocess.Popen[bytes]] = {}


def start_backend(arguments: Sequence[str]) -> None:
    """Start the process of the backend that a command line will need, as far as a glance at it tells.

    A command line that is refused later, or that a glance misreads, has cost a process that ``end_unused`` ends.
    """
    if not arguments or arguments[0] not in WITH_A_BACKEND:
        return
    words = [word.partition("=") for word in arguments[1:]]
    if any(option in OTHERWISE for option, _, _ in words):
        return
    name = "numpyro"
    for (option, _, value), following in zip(words, [*arguments[2:], ""], strict=False):
        if option == "--backend":
            name = value or following
    if name in SIDES:
        with suppress(OSError):  # it will be said when the process is needed
            _started[name] = spawn(name)


def started(name: str) -> subprocess.Popen[bytes] | None:
    """The process of this backend that ``start_backend`` has started, once."""
    return _started.pop(name, None)


def end_unused() -> None:
    """End what was started and never asked for."""
    while _started:
        kill(_started.popitem()[1])
