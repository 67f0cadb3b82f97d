"""Both backends' GPU kernels without a GPU: through the interpreters of Pallas and Triton, NumPy in and out."""

from __future__ import annotations

import importlib.util
import inspect
from contextlib import AbstractContextManager, nullcontext
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


def lowered_for_cuda(program: Any, *given: Any) -> Any:
    """A jitted JAX program as a GPU would get it, here a described one."""
    with _described_gpu():
        return program.trace(*given).lower(lowering_platforms=("cuda",))


def _described_gpu() -> AbstractContextManager[Any]:
    """From JAX 0.11 Pallas asks what GPU it is for; before that it did not, and nothing describes one."""
    import jax

    describe = getattr(jax.sharding, "AbstractDevice", None)
    if describe is None or "platform" not in inspect.signature(describe).parameters:
        return nullcontext()
    device = describe(device_kind="NVIDIA H200", num_cores=None, platform="gpu")
    return jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), abstract_device=device))


def pallas_programs(chains: int, D: int, K: int) -> dict[str, tuple[str, int]]:
    """Name -> (Triton code, warps) of what JAX hands to XLA for one value and gradient."""
    import jax
    import jax.numpy as jnp

    from numpyro_impl.kernels import gpu

    shape = jax.ShapeDtypeStruct
    with jax.enable_x64(True):
        given = (
            shape((chains, K), jnp.float64),
            shape((chains, K, D), jnp.float64),
            shape((10**6, D), jnp.float32),
        )
        return triton_of(lowered_for_cuda(jax.jit(partial(gpu.kernel_chains, noise_scale=1.3)), *given))


def triton_of(program: Any) -> dict[str, tuple[str, int]]:
    """Name -> (Triton code, warps) of the GPU programs inside a lowered one."""
    from jax._src.interpreters import mlir
    from jaxlib.mlir import ir
    from jaxlib.triton import dialect

    found = {}

    def walk(operation: Any) -> None:
        for inner in (
            op for region in operation.regions for block in region.blocks for op in block.operations
        ):
            name = inner.attributes["call_target_name"] if "call_target_name" in inner.attributes else ""
            if "triton" in str(name):
                settings = inner.attributes["mhlo.backend_config"]
                code = ir.StringAttr(settings["ir"]).value_bytes
                warps = ir.IntegerAttr(settings["num_warps"]).value
                with mlir.make_ir_context() as context:
                    dialect.register_dialect(context)
                    context.load_all_available_dialects()
                    found[ir.StringAttr(settings["name"]).value] = str(ir.Module.parse(code)), warps
            walk(inner.operation)

    walk(program.compiler_ir("stablehlo").operation)
    return found
