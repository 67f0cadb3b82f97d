"""The code that the GPU kernels compile to, which needs no GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from parity_tests.gpu_doors import lowered_for_cuda, triton_of
from ppl_parity.gpu import crossover

S = 1.3


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> Any:
    """(chains, D, K) -> the program of the fused potential's value and gradient, as a GPU gets it."""
    import jax
    import jax.numpy as jnp

    from numpyro_impl.formulations import log_likelihood
    from numpyro_impl.kernels import gpu

    monkeypatch.setattr(gpu, "present", lambda: True)
    monkeypatch.setenv(crossover.VARIABLE, "kernel")

    def lower(chains: int, D: int, K: int) -> Any:
        one = jax.value_and_grad(lambda theta, beta, x: log_likelihood(theta, beta, x, S), argnums=(0, 1))
        shape = jax.ShapeDtypeStruct
        with jax.enable_x64(True):
            given = (
                shape((chains, K), jnp.float64),
                shape((chains, K, D), jnp.float64),
                shape((1000, D), jnp.float32),
            )
            return lowered_for_cuda(jax.jit(jax.vmap(one, in_axes=(0, 0, None))), *given)

    return lower


def test_all_chains_are_three_programs_without_a_scatter(lowered: Any) -> None:
    text = lowered(16, 3, 5).as_text()
    assert text.count("__gpu$xla.gpu.triton") == 3
    assert text.count("grid_x = 16 : i32") == 3
    assert "scatter" not in text


def test_the_scatter_would_be_seen() -> None:
    import jax
    import jax.numpy as jnp

    gather = jax.jit(jax.grad(lambda beta: jnp.sum(beta[jnp.array([0, 1, 1])] ** 2)))
    assert "scatter" in gather.lower(jnp.ones(2)).as_text()


@pytest.mark.parametrize(("D", "K", "products"), [(3, 5, 0), (17, 33, 2), (128, 128, 2), (1, 1, 0)])
def test_pallas_asks_for_full_float32_without_atomics(lowered: Any, D: int, K: int, products: int) -> None:
    programs = triton_of(lowered(1, D, K))
    name = "mixture_tiles" if products else "mixture_lanes"
    assert set(programs) == {"mixture_prepare", name, "mixture_finish"}
    for text, _ in programs.values():
        assert "tf32" not in text.lower()
        assert "atomic" not in text
    assert programs[name][0].count("tt.dot ") == products


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    """``backend program D K`` -> PTX, layouts, and figures of the machine code for sm_90."""
    pytest.importorskip("triton", reason="Triton is not installed; it is to be had for Linux alone.")
    compiling = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    result = subprocess.run(
        [sys.executable, "-m", "parity_tests.compile_for_gpu", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=compiling,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


BACKENDS = ["pyro", "numpyro"]
PROGRAMS = [f"{name} 8 8" for name in ("prepare", "lanes", "finish")]
PROGRAMS += [f"{name} 64 32" for name in ("prepare", "tiles", "finish")]


@pytest.mark.pyro
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("backend", [pytest.param("pyro", marks=pytest.mark.long), "numpyro"])
def test_machine_code_is_in_full_float32_without_atomics_or_spills(
    compiled: dict[str, Any], backend: str, program: str
) -> None:
    found = compiled[f"{backend} {program}"]
    operations = set(re.findall(r"^\s*(?:@!?%p\d+\s+)?([a-z][a-z0-9_.]*)", found["ptx"], re.MULTILINE))
    assert "fma.rn.f64" in operations or "fma.rn.f32" in operations
    assert not [o for o in operations if o.startswith(("atom.", "red.", "mma.", "wgmma."))]
    assert "tf32" not in found["ptx"]
    assert found["machine"]["bytes of spills"] == 0


@pytest.mark.pyro
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_rows_cost_a_thread_of_lanes_little_beyond_their_products(
    compiled: dict[str, Any], backend: str
) -> None:
    machine = compiled[f"{backend} lanes 8 8"]["machine"]
    # 2 x 2 x 64 for logits and sums; 574 instructions were what a GPU can issue at 3.4 TB/s.
    assert machine["multiply-adds"] >= 256
    assert machine["instructions in the longest loop"] <= 465
    assert machine["shuffles"] == 0  # a thread reads its rows itself
    assert machine["registers"] <= 255


@pytest.mark.pyro
@pytest.mark.parametrize("backend", BACKENDS)
def test_tiles_are_mostly_products_and_read_weights_side_by_side(
    compiled: dict[str, Any], backend: str
) -> None:
    found = compiled[f"{backend} tiles 64 32"]
    assert found["machine"]["multiply-adds"] >= 0.65 * found["machine"]["instructions in the longest loop"]
    # A factor that lies turned in shared memory is read with conflicts: that of the sums is, and no other.
    assert found["ttgir"].count("memdesc_trans") == 1
