"""``python -m ppl_parity.doctor.probes numpyro``: one line of JSON about a backend, from inside its process."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

from ppl_parity.doctor.settings import flushes

ROWS, STATES = 1_000_000, 8  # of the canary: a gather such as beta[z], whose gradient is a scatter-add


def main(name: str) -> None:
    """Print what was found; a framework that is not installed is a finding too."""
    try:
        runtime = importlib.import_module(f"{name}_impl.runtime")
        kernels = importlib.import_module(f"{name}_impl.kernels")
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": f"no package {error.name!r}"}))
        return
    with runtime.session("float64"):
        dtype = str(runtime.to_numpy(runtime.to_framework(np.ones(2))).dtype)
    facts = {
        "devices": runtime.devices(),
        "float64": dtype,
        "flushes": flushes(),
        "kernel": kernels.describe(),
    }
    print(json.dumps(facts | {"numpyro": of_jax, "pyro": of_torch}[name](facts["devices"])))


def of_jax(devices: list[str]) -> dict[str, Any]:
    """JAX's version, and on a GPU how slow a gather's gradient is."""
    found: dict[str, Any] = {"jaxlib": metadata.version("jaxlib"), "tf32": "", "scatter_ratio": None}
    if "gpu" in devices:
        found["scatter_ratio"] = scatter_ratio()
    return found


def of_torch(devices: list[str]) -> dict[str, Any]:
    """Whether torch may round matrix products to ten bits on a GPU."""
    import torch

    allowed = "gpu" in devices and torch.backends.cuda.matmul.allow_tf32
    return {"tf32": "torch.backends.cuda.matmul.allow_tf32 is set" if allowed else ""}


def scatter_ratio(rows: int = ROWS) -> float:
    """Time of a float32 gather's gradient, by that of the same sums as a product with one-hot rows."""
    import jax
    import jax.numpy as jnp

    z = jnp.arange(rows) % STATES
    weights = jnp.ones(rows, jnp.float32)
    beta = jnp.ones(STATES, jnp.float32)
    gather = jax.jit(jax.grad(lambda b: jnp.sum(weights * b[z])))
    dense = jax.jit(jax.grad(lambda b: jnp.sum(weights * (jax.nn.one_hot(z, STATES, dtype=jnp.float32) @ b))))
    return _best(lambda: gather(beta).block_until_ready()) / _best(lambda: dense(beta).block_until_ready())


def _best(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(6):  # the first compiles
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times[1:])


if __name__ == "__main__":
    main(sys.argv[1])
