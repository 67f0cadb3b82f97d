"""One process of a fit whose rows are spread over devices: ``python -m parity_tests.sharded_fit``.

Arguments: processes, this one's number, the coordinator's port, devices of each, the file to write. Each
reads its own rows of ``rows.npy`` beside that file, and no others.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from ppl_parity.data import load_shard, simulate
from ppl_parity.spec import MixtureSpec, SamplerSettings

SPEC = MixtureSpec(2, 2, 1.0, 0.0, 9.0, 1.0)
X = simulate(SPEC, 1001, seed=0)["x"]  # a number of rows that no number of devices divides
POINT = {"theta": np.array([0.4]), "beta": np.array([[1.0, -1.0], [0.5, 2.0]])}


def settings(num_shards: int, precision: str = "float64") -> SamplerSettings:
    return SamplerSettings(
        num_draws=8,
        num_warmup=8,
        num_chains=2,
        seed=1,
        max_tree_depth=3,
        precision=precision,
        chain_method="vectorized",
        num_shards=num_shards,
    )


def starts() -> dict[str, np.ndarray]:
    return {"theta": np.array([[0.5, 0.5], [0.3, 0.7]]), "beta": np.zeros((2, 2, 2)) + np.eye(2)}


def main(num_processes: int, process: int, port: int, devices: int, out: str) -> None:
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    import jax

    if num_processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes, process)
    import numpyro_impl

    rows = load_shard(Path(out).with_name("rows.npy"), process, num_processes)
    model, num_shards = numpyro_impl.mixture(SPEC, "fused"), num_processes * devices
    program = numpyro_impl.Program(model, {"x": rows}, num_shards=num_shards)
    value, gradient = program.potential_and_gradient(POINT)
    groups, attributes = numpyro_impl.sample_posterior(
        model, {"x": rows}, settings(num_shards), initial_values=starts()
    )
    print(attributes["chain_method"], attributes["chain_method_reason"])
    np.savez(out, value=value, **{f"grad_{k}": v for k, v in gradient.items()}, **groups["posterior"])


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:5]), sys.argv[5])
