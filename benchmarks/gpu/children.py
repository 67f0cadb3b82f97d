"""A task in a process of its own: one that hangs or dies leaves what it had measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# One process at a time has the GPU, so JAX may take its memory at once, and no allocation is timed.
MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "true", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92"}


def run(task: Mapping[str, Any], keep: Callable[[dict[str, Any]], None], most: float) -> None:
    """Give ``task`` to a process and keep its records; it is ended after ``most`` seconds.

    Args:
        keep: is given each record, with the library, device and stage that it belongs to.
    """
    head = {name: task[name] for name in ("library", "device", "stage")}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu.child", json.dumps(task)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=ROOT,
        env=environment(task),
    ) as process:
        ended = threading.Event()

        def end() -> None:
            ended.set()
            process.kill()

        late = threading.Timer(most, end)
        late.start()
        try:
            for line in process.stdout or ():
                record = read(line)
                if record is not None:
                    keep({**record, **head})
            code = process.wait()
        finally:
            late.cancel()
            process.kill()
    if ended.is_set():
        keep({"kind": "left out", "why": f"its process was ended after {most:.0f} s", **head})
    elif code:
        keep({"kind": "left out", "why": f"its process ended with {code}", **head})


def read(line: str) -> dict[str, Any] | None:
    """A child's record; None for what a library, or a process that was cut off, has printed."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "kind" in record else None


def environment(task: Mapping[str, Any]) -> dict[str, str]:
    """The child's: what the user has set stays."""
    ours = dict(MEMORY)
    if task["stage"] == "samplers":
        ours["PPL_PARITY_GPU_KERNEL"] = "kernel"  # or both ways would be tried while NUTS is traced
    theirs = {**ours, **os.environ, "PYTHONUNBUFFERED": "1"}
    if task["device"] == "cpu":
        theirs |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return theirs
