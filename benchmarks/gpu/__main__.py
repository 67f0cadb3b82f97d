"""``python -m benchmarks.gpu --out DIR``: see the package. Exit status 2 where no library sees the device."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.gpu import tables

LIBRARIES = ("jax", "torch")
SECONDS = 440.0  # of all processes; each ends at most one case late
CPU_SHARE = 0.25
CASE_SECONDS = 1.5  # of repeats; what compiles comes on top
TINY = {"N": 2_000, "scale": 1 / 4096, "case_seconds": 0.02}  # of a run that only shows that all works
NUTS = {"N": 1_000_000, "D": 8, "K": 8, "num_warmup": 60, "num_draws": 60}
NUTS_CHAINS = {"gpu": 64, "cpu": 16}
LATE = 90.0  # seconds after its time at which a process is ended


def main(arguments: list[str] | None = None) -> int:
    """Measure, write ``results.jsonl`` as results come, and print the tables."""
    options = _options(arguments)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    with (out / "results.jsonl").open("w", encoding="utf-8") as file:

        def keep(record: dict[str, Any]) -> None:
            records.append(record)
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(_progress(record), file=sys.stderr, flush=True)

        keep({"kind": "run", "schema": "ppl-parity/gpu/1", **_machine()})
        for device in options.devices:
            ends = time.monotonic() + _share(device, options)
            for index, library in enumerate(LIBRARIES):
                seconds = (ends - time.monotonic()) / (len(LIBRARIES) - index)
                _child(_task(options, library, device, max(10.0, seconds)), keep)
            if not any(r["kind"] == "library" for r in records):
                why = "; ".join(f"{r['library']}: {r['why']}" for r in records if r["kind"] == "left out")
                print(f"The device {device!r} must be there; {why}.", file=sys.stderr)
                return 2
    report = tables.text(records)
    (out / "tables.txt").write_text(report + "\n", encoding="utf-8")
    print(report)
    return 0


def cases(device: str, tiny: bool) -> list[dict[str, Any]]:
    """The cases of ``cases.toml`` for one device, in order; ``tiny`` cuts rows and chains."""
    text = Path(__file__).with_name("cases.toml").read_text(encoding="utf-8")
    found = []
    for table in tomllib.loads(text)["case"]:
        lists = [value if isinstance(value, list) else [value] for value in table.values()]
        for values in itertools.product(*lists):
            case = dict(zip(table, values, strict=True))
            if tiny:
                case |= {"N": min(case["N"], TINY["N"]), "chains": min(case["chains"], 2)}
            if case.pop("device") == device and case not in found:
                found.append(case)
    return found


def _share(device: str, options: argparse.Namespace) -> float:
    """The seconds of a device: all, or what the other one leaves."""
    if len(options.devices) == 1:
        return options.seconds
    return options.seconds * (CPU_SHARE if device == "cpu" else 1 - CPU_SHARE)


def _task(options: argparse.Namespace, library: str, device: str, seconds: float) -> dict[str, Any]:
    sizes = NUTS | {"chains": NUTS_CHAINS[device]}
    if options.tiny:
        sizes |= {"N": TINY["N"], "chains": 2, "num_warmup": 10, "num_draws": 10}
    return {
        "library": library,
        "device": device,
        "cases": cases("gpu" if options.tiny else device, options.tiny),
        "seconds": seconds,
        "case_seconds": TINY["case_seconds"] if options.tiny else CASE_SECONDS,
        "scale": TINY["scale"] if options.tiny else 1.0,
        "samplers": {} if options.no_samplers else sizes,
    }


def _child(task: dict[str, Any], keep: Any) -> None:
    """Run a task in a process of its own; one that hangs or dies leaves what it had measured."""
    head = {"library": task["library"], "device": task["device"]}
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "PYTHONUNBUFFERED": "1"}
    if task["device"] == "cpu":
        environment |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env=environment,
    ) as process:
        late = threading.Timer(task["seconds"] + LATE, process.kill)
        late.start()
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("The process has no pipes.")
            process.stdin.write(json.dumps(task))
            process.stdin.close()
            for line in process.stdout:
                keep({**json.loads(line), **head})
            code = process.wait()
        finally:
            late.cancel()
            process.kill()
    if code:
        keep({"kind": "left out", "why": f"its process ended with {code}", **head})


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
        return f"{head}: {size}: {result} {record.get('why', '')}".rstrip()
    if record["kind"] == "nuts":
        return f"{head}: NUTS, {record['ess_per_second']:.3g} ESS/s"
    return f"{head}: {record.get('why', record['kind'])}".removeprefix(": ")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks gpu", description="Limits, kernels and NUTS on a GPU."
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where results.jsonl and tables.txt go")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="gpu has the CPU beside it")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="for everything; what is left over is named"
    )
    parser.add_argument("--tiny", action="store_true", help="a few rows only: shows that everything works")
    parser.add_argument("--no-samplers", action="store_true", help="leave NUTS out")
    options = parser.parse_args(arguments)
    options.devices = ("gpu", "cpu") if options.device == "gpu" else ("cpu",)
    return options


if __name__ == "__main__":
    sys.exit(main())
