"""One stage of one library on one device, in a process of its own: each result a JSON line as it comes.

A library (``on_jax``, ``on_torch``) has ``describe``, ``free_bytes``, ``limits``, ``rows``, ``points``, ``judge``,
``evaluate`` and ``timed``.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.gpu.measuring import REPEATS, Bench, seconds_of

SAMPLING_SHARE = 0.5  # of a process's seconds; imports and compilation have the rest
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "out of memory", "OutOfMemory", "MemoryError")

Emit = Callable[[dict[str, Any]], None]


def run(task: dict[str, Any], emit: Emit) -> None:
    """What ``task`` asks of one library; ``benchmarks.gpu.plan`` says what that is."""
    ends = time.monotonic() + task["seconds"]
    try:
        module = importlib.import_module(f"benchmarks.gpu.on_{task['library']}")
        module.settle()
        library = module.Library(task["device"])
        emit({"kind": "library", **library.describe()})
    except (
        Exception
    ) as error:  # not installed, no such device, a driver too old: all mean that it is not here
        emit({"kind": "left out", "why": reason(error), "absent": True})
        return
    if task["stage"] == "limits":
        limits(library, task["scale"], emit)
    elif task["stage"] == "samplers":
        sample(library, task, emit)
    else:
        cases(Bench(library), task, ends, emit)


def limits(library: Any, scale: float, emit: Emit) -> None:
    """What the device can do, by this library."""
    for name, prepare in library.limits(scale).items():
        try:
            once, amount = prepare()
            once()
            times = [seconds_of(once) for _ in range(REPEATS)]
        except Exception as error:
            emit({"kind": "left out", "why": f"{name}: {reason(error)}"})
        else:
            emit({"kind": "limit", "name": name, "rate": amount / min(times), "raw": times})


def cases(bench: Bench, task: dict[str, Any], ends: float, emit: Emit) -> None:
    """All cases, or as many as there is time for."""
    for case in task["cases"]:
        record = {"kind": "gradient", **case}
        if time.monotonic() > ends:
            emit({**record, "status": "no time left"})
            continue
        try:
            record |= bench.measure(case, task["case_seconds"])
        except Exception as error:  # no memory, or a compiler's refusal: the next case may be well
            why = reason(error)
            full = any(word in why for word in OUT_OF_MEMORY)
            record |= {"status": "does not fit" if full else "failed", "why": why}
        emit(record)
        gc.collect()  # a failure's frames hold arrays


def sample(library: Any, task: dict[str, Any], emit: Emit) -> None:
    """NUTS, where this library has one."""
    record = {"kind": "nuts", "kernel": library.describe()["kernel"], **task["samplers"]}
    try:
        from benchmarks.gpu import nuts

        record |= nuts.measure(library, task["samplers"], task["seconds"] * SAMPLING_SHARE)
    except Exception as error:
        record |= {"status": "failed", "why": reason(error)}
    emit(record)


def reason(error: Exception) -> str:
    """An exception as one short text."""
    return f"{type(error).__name__}: {str(error)[:500]}"


def main(text: str) -> None:
    """Run a task; what a library prints goes to standard error, so that results alone come from standard output."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    run(json.loads(text), lambda record: print(json.dumps(record), file=results, flush=True))


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)  # all is written; what a driver does at the end of a process can fail, and takes time
