"""``python -m benchmarks.gpu --out DIR``: see the package. Exit status 2 where no library sees the device."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.gpu import children, plan, tables

SECONDS = 470.0  # of all processes
LEAST = 20.0  # seconds below which a process does not pay: it would import, compile one program and be ended
LATE = 20.0  # seconds that a process may take beyond its own, for the case that it has begun

Keep = Callable[[dict[str, Any]], None]


def main(arguments: list[str] | None = None) -> int:
    """Measure, write ``results.jsonl`` as results come and ``tables.txt`` after each process, and print that."""
    ends = time.monotonic()
    options = _options(arguments)
    ends += options.seconds
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []

    def tabulate() -> str:
        report = tables.text(records)
        (out / "tables.txt").write_text(report + "\n", encoding="utf-8")
        return report

    with (out / "results.jsonl").open("w", encoding="utf-8") as file, _ended_by_signals():

        def keep(record: dict[str, Any]) -> None:
            records.append(record)
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(_progress(record), file=sys.stderr, flush=True)

        keep({"kind": "run", "schema": "ppl-parity/gpu/2", **_machine()})
        try:
            why = _measure(options, ends, keep, tabulate)
        finally:
            report = tabulate()
    if why:
        print(f"The device {options.device!r} must be there; {why}.", file=sys.stderr)
        return 2
    print(report)
    return 0


def _measure(options: argparse.Namespace, ends: float, keep: Keep, tabulate: Callable[[], Any]) -> str:
    """Every process of the plan that there is time for; why there is none, where no library has the device."""
    absent: dict[tuple[str, str], str] = {}

    def note(record: dict[str, Any]) -> None:
        if record.get("absent"):
            absent[record["library"], record["device"]] = record["why"]
        keep(record)

    for task in plan.tasks(options.device, options.tiny, not options.no_samplers):
        place = task["library"], task["device"]
        left = ends - time.monotonic()
        if place in absent:
            continue
        if left < LEAST:
            head = {name: task[name] for name in ("library", "device", "stage")}
            keep({"kind": "left out", "why": "no time left", **head})
            continue
        # The last ones end in time for what they have begun, too.
        task["seconds"] = min(task["seconds"], left - LEAST / 2)
        children.run(task, note, min(task["seconds"] + LATE, left))
        tabulate()
        if all((library, options.device) in absent for library in plan.LIBRARIES):
            return "; ".join(f"{library}: {absent[library, options.device]}" for library in plan.LIBRARIES)
    return ""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """``kill`` unwinds as Ctrl-C does, so that the process at work ends and the tables are written."""

    def end(number: int, frame: Any) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _machine() -> dict[str, Any]:
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        shown = ""  # no driver: the libraries will say so
    return {
        "gpus": shown.strip().splitlines(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def _progress(record: dict[str, Any]) -> str:
    head = f"{record.get('library', '')} {record.get('device', '')}".strip()
    if record["kind"] == "limit":
        return f"{head}: {record['name']} {record['rate']:.4g}/s"
    if record["kind"] == "gradient":
        size = (
            f"{record['formulation']} N={record['N']:,} D={record['D']} K={record['K']} C={record['chains']}"
        )
        result = f"{min(record['loop']):.3g} s" if record["status"] == "ok" else record["status"]
        return f"{head}: {size}: {result} {record.get('why', record.get('note', ''))}".rstrip()
    if record["kind"] == "nuts" and record["status"] == "ok":
        return f"{head}: NUTS, {record['ess_per_second']:.3g} ESS/s"
    return f"{head}: {record.get('why', record['kind'])}".removeprefix(": ")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks gpu", description="Limits, kernels and NUTS on a GPU."
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where results.jsonl and tables.txt go")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="gpu has the CPU beside it")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="for everything; what there is no time for is named"
    )
    parser.add_argument("--tiny", action="store_true", help="a few rows only: shows that everything works")
    parser.add_argument("--no-samplers", action="store_true", help="leave NUTS out")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
