"""Weak scaling over rows: as many rows for each device, more devices, and the time of one gradient.

    python -m benchmarks.weak [--rows 2000000]

Each device has one thread of the native kernel, so that a device is a core: 1 device, 2 in one process, and 2 in
two processes joined by ``jax.distributed`` over loopback. They share the memory of one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

import numpy as np

LAYOUTS = ((1, 1), (1, 2), (2, 1))  # processes, and devices of each
D, K = 8, 8
REPEATS = 30


def main() -> None:
    """Measure every layout, one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="of each device")
    parser.add_argument("--process", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process is not None:
        print(json.dumps(gradient(options.rows, **options.process)))
        return
    print(
        "| processes | devices of each | rows | a gradient, 80 % of runs | efficiency |\n|---|---|---|---|---|"
    )
    alone = None
    for num_processes, devices in LAYOUTS:
        times = measured(options.rows, num_processes, devices)
        low, middle, high = np.quantile(times, (0.1, 0.5, 0.9))
        alone = alone or middle
        rows = options.rows * num_processes * devices
        print(
            f"| {num_processes} | {devices} | {rows:,} | {1e3 * middle:.1f} ms, {1e3 * low:.1f} to "
            f"{1e3 * high:.1f} ms | {alone / middle:.0%} |",
            flush=True,
        )


def measured(rows: int, num_processes: int, devices: int) -> list[float]:
    """Seconds of each gradient, as the first process saw them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for number in range(num_processes):
        about = {"num_processes": num_processes, "number": number, "devices": devices, "port": port}
        command = [sys.executable, "-m", "benchmarks.weak", "--rows", str(rows)]
        command += ["--process", json.dumps(about)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    try:
        answers = [process.communicate(timeout=600)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return json.loads(answers[0].splitlines()[-1])  # JAX's transport prints before


def gradient(rows: int, *, num_processes: int, number: int, devices: int, port: int) -> list[float]:
    """One process: seconds of each value and gradient at one point, of its part of the rows."""
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    import jax

    if num_processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes, number)
    import numpyro_impl
    from ppl_parity import native
    from ppl_parity.spec import MixtureSpec

    native.set_threads(1)
    rng = np.random.default_rng(number)
    x: Any = rng.standard_normal((rows * devices, D), dtype=np.float32)
    model = numpyro_impl.mixture(MixtureSpec(K, D), "fused")
    shards = num_processes * devices
    program = numpyro_impl.Program(model, {"x": x}, precision="float32", num_shards=shards)
    point = {"theta": np.zeros(K - 1), "beta": np.random.default_rng(0).normal(size=(K, D))}
    program.potential_and_gradient(point)
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        program.potential_and_gradient(point)
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
