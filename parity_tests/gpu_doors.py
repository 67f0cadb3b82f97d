"""Both backends' GPU kernels without a GPU: through the interpreters of Pallas and Triton, NumPy in and out."""

from __future__ import annotations

import importlib.util
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


class Pallas:
    """NumPyro's kernel, run by Pallas' interpreter; optimising what it compiles takes longer than running it."""

    name = "numpyro"

    def chains(
        self, log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray, s: float, which: str = "kernel"
    ) -> Arrays:
        import jax

        with jax.enable_x64(True):
            return tuple(map(np.asarray, _jitted(which, s)(log_theta, beta, x)))  # type: ignore[return-value]


class Triton:
    """Pyro's kernel, run by Triton's interpreter."""

    name = "pyro"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if importlib.util.find_spec("triton") is None:
            pytest.skip("Triton is not installed; it is to be had for Linux alone.")
        monkeypatch.setenv("TRITON_INTERPRET", "1")  # read when the programs are first imported

    def chains(
        self, log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray, s: float, which: str = "kernel"
    ) -> Arrays:
        import torch

        from pyro_impl.kernels import gpu

        run = gpu.kernel_chains if which == "kernel" else gpu.array_chains
        results = run(torch.tensor(log_theta), torch.tensor(beta), torch.tensor(x), s)
        return tuple(result.numpy() for result in results)  # type: ignore[return-value]


@cache
def _jitted(which: str, s: float) -> Any:
    import jax

    from numpyro_impl.kernels import gpu

    if which == "array":
        return jax.jit(partial(gpu.array_chains, noise_scale=s))
    function = partial(gpu.kernel_chains, noise_scale=s, interpret=True)
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def lowered_for_cuda(traced: Any) -> Any:
    """A traced JAX program as a GPU would get it; from JAX 0.12 that needs a GPU, and the test is skipped."""
    try:
        return traced.lower(lowering_platforms=("cuda",))
    except RuntimeError as error:
        pytest.skip(f"This JAX lowers Pallas for a GPU only where there is one: {error}")
