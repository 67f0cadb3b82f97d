"""Start and kill a backend's process. Nothing slow is imported here, so that one can start before anything else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ppl_parity.cores import usable

SIDES = ("numpyro", "pyro")
ROOT = Path(__file__).resolve().parents[2]
LENT = Path(__file__).resolve().parent / "lent"

_started: list[subprocess.Popen[bytes]] = []


def spawn(name: str, python: str | None = None, num_threads: int | None = None) -> subprocess.Popen[bytes]:
    """A process that answers for the backend ``name`` on its standard streams; see ``ppl_parity.process.begin``.

    Args:
        name: ``numpyro`` or ``pyro``.
        python: the Python to run it with; None is this one.
        num_threads: cores it may use; None is all of them.

    Raises:
        OSError: ``python`` is no program.
    """
    process = subprocess.Popen(
        [
            python or sys.executable,
            "-m",
            "ppl_parity.process.begin",
            "ppl_parity.process.worker",
            f"{name}_impl",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(num_threads or usable(), python),
        # Ctrl-C reaches the parent alone, which then ends this process and those that it started.
        start_new_session=True,
    )
    # A new list, never one that changes: a signal's handler may be reading it.
    _started[:] = [*(one for one in _started if one.returncode is None), process]
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    """End what ``spawn`` has started now, and the processes that it started."""
    _kill_now(process)
    process.wait()


def kill_all() -> None:
    """End all that ``spawn`` has started, from a signal's handler: nothing is waited for."""
    for process in tuple(_started):
        if process.returncode is None:
            _kill_now(process)


def _kill_now(process: subprocess.Popen[bytes]) -> None:
    if os.name != "posix":
        return process.kill()
    with suppress(ProcessLookupError, PermissionError):  # it has ended already; macOS says the second
        os.killpg(process.pid, signal.SIGKILL)


def child_environment(num_threads: int, python: str | None = None) -> dict[str, str]:
    """The environment variables of a process that may use ``num_threads`` cores, of another Python or of this one."""
    environment = dict(os.environ)
    # This package is found where it stands. Beside it may stand all that this Python has installed, and another one's
    # own packages are what it was asked for: that one is lent ours alone.
    folder = ROOT if python is None else LENT
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(folder), environment.get("PYTHONPATH", "")])
    )
    environment["OMP_NUM_THREADS"] = environment["MKL_NUM_THREADS"] = str(num_threads)
    # NumPy's own threads would go on spinning beside the kernel's: 14 ms a gradient at 131,072 x 64 instead of 10.
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    flags = [f for f in environment.get("XLA_FLAGS", "").split() if "host_platform_device_count" not in f]
    flags.append(f"--xla_force_host_platform_device_count={num_threads}")
    environment["XLA_FLAGS"] = " ".join(flags)
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # A program that was compiled once is read back, by this process or the next one.
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache() / "jax"))
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    environment["PYTHONWARNINGS"] = "ignore"
    return environment


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ppl-parity"
