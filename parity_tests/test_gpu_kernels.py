"""The GPU kernels against a float64 reference, without a GPU: by interpreter, and in the code they compile to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp

from parity_tests.gpu_doors import Arrays, Pallas, Triton, lowered_for_cuda
from ppl_parity.errors import InputError
from ppl_parity.gpu import crossover
from ppl_parity.gpu.launches import MOST, PROCESSORS, plan

S = 1.3

# N, D, K: rows that do and do not fill tiles, sides of 1 to 128 that are no powers of two, both kinds of program.
SIZES = [
    (1, 1, 1),
    (77, 3, 5),
    (128, 8, 8),
    (70, 5, 1),
    (45, 1, 128),
    (31, 100, 3),
    (33, 128, 128),
    (64, 17, 33),
]


@pytest.fixture(params=["numpyro", pytest.param("pyro", marks=pytest.mark.pyro)])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return Pallas() if request.param == "numpyro" else Triton(monkeypatch)


def problem(N: int, D: int, K: int, chains: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log theta (C, K), beta (C, K, D), and x (N, D) in float32 that is no multiple of anything."""
    rng = np.random.default_rng(1000 * N + 10 * D + K)
    theta, beta = rng.dirichlet(np.ones(K), size=chains), 2 * rng.standard_normal((chains, K, D))
    return np.log(theta), beta, (3 + 3 * rng.standard_normal((N, D))).astype(np.float32)


def reference(log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray, s: float = S) -> Arrays:
    """One chain's value, n and slope in float64, term by term."""
    gap = x.astype(np.float64)[:, None] - beta
    terms = log_theta - 0.5 * np.sum(gap**2, axis=-1) / s**2 - 0.5 * x.shape[1] * np.log(2 * np.pi * s**2)
    rows = logsumexp(terms, axis=1)
    r = np.exp(terms - rows[:, None])
    return np.sum(rows), r.sum(axis=0), np.einsum("ik,ikd->kd", r, gap) / s**2


def bounds(log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray, s: float = S) -> Arrays:
    """How far float32 rows may lead: half a unit of the last place of a logit's terms, a few times a row.

    A logit's error moves a row's value by as much, its responsibilities by twice as much at most, and their
    products with x - beta accordingly.
    """
    centre = x[:: -(-len(x) // 64)].mean(axis=0)
    beta, x = beta - centre, x - centre
    finite = np.where(np.isfinite(log_theta), np.abs(log_theta), 0)
    terms = finite + (0.5 * np.sum(beta**2, axis=-1) + np.abs(x) @ np.abs(beta).T) / s**2
    rows = 2.0**-24 * 4 * (1 + terms.max(axis=1))
    moved = 2 * rows * (1 + np.abs(x).max(axis=1) + np.abs(beta).max()) / s**2
    return rows.sum(), 2 * rows.sum(), moved.sum()


def check(got: Arrays, log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray, s: float = S) -> None:
    """Every chain of ``got`` against the reference."""
    for c in range(len(log_theta)):
        point = log_theta[c], beta[c], x, s
        for mine, expected, bound in zip(got, reference(*point), bounds(*point), strict=True):
            assert mine[c].shape == np.shape(expected)
            assert mine.dtype == np.float64
            assert np.max(np.abs(mine[c] - expected)) <= bound


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_kernel_is_the_reference(door: Any, size: tuple[int, int, int]) -> None:
    given = problem(*size)
    check(door.chains(*given, S), *given)


@pytest.mark.parametrize("size", [(1301, 3, 5), (701, 17, 33)], ids=str)
def test_a_program_of_many_steps_is_the_reference(
    door: Any, size: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{door.name}_impl.kernels.gpu._processors", lambda *_: 1)
    assert plan(*size, processors=1).steps > 2
    given = problem(*size)
    check(door.chains(*given, S), *given)


def test_the_check_can_fail(door: Any) -> None:
    log_theta, beta, x = problem(77, 3, 5)
    got = door.chains(log_theta, beta, x, S)
    for wrong in (log_theta + 1e-4, beta + 1e-3, x[:-1]):
        given = [wrong if wrong.shape == own.shape else own for own in (log_theta, beta, x)]
        given[2] = wrong if len(wrong) == 76 else x
        with pytest.raises(AssertionError):
            check(got, *given)


def test_both_kinds_of_program_are_among_the_sizes() -> None:
    assert {plan(*size).lanes for size in SIZES} == {True, False}
    assert plan(77, 3, 5).steps * plan(77, 3, 5).programs * 64 > 77


EDGES = {
    "means far apart": lambda lt, b, x: (lt, 1e3 * b, x),
    "an outlier": lambda lt, b, x: (lt, b, np.vstack([np.full((1, 3), 1e4, np.float32), x[1:]])),
    "theta near a vertex": lambda lt, b, x: (np.log([[1 - 4e-12] + 4 * [1e-12]]), b, x),
    "an impossible component": lambda lt, b, x: (np.array([[0.0] + 4 * [-np.inf]]), b, x),
    "data far from zero": lambda lt, b, x: (lt, b + 1e4, x + np.float32(1e4)),
    "equal rows": lambda lt, b, x: (lt, b, np.tile(x[:1], (len(x), 1))),
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges(door: Any, edge: str) -> None:
    given = EDGES[edge](*problem(77, 3, 5))
    got = door.chains(*given, S)
    assert all(np.all(np.isfinite(result)) for result in got)
    check(got, *given)


@pytest.mark.parametrize("size", [(77, 3, 5), (64, 17, 33)], ids=str)
def test_chains_are_a_loop_and_every_run_is_the_same(door: Any, size: tuple[int, int, int]) -> None:
    log_theta, beta, x = problem(*size, chains=3)
    together = door.chains(log_theta, beta, x, S)
    check(together, log_theta, beta, x)
    again = door.chains(log_theta, beta, x, S)
    one_by_one = [door.chains(log_theta[c : c + 1], beta[c : c + 1], x, S) for c in range(3)]
    for i, result in enumerate(together):
        assert np.array_equal(result, again[i])
        np.testing.assert_allclose(result, np.concatenate([one[i] for one in one_by_one]), rtol=1e-12)


def test_the_array_program_is_the_fallback(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log_theta, beta, x = problem(77, 3, 5, chains=2)
    check(door.chains(log_theta, beta, x, S, which="array"), log_theta, beta, x)
    exact = door.chains(log_theta, beta, x.astype(np.float64), S, which="array")
    for c in range(2):
        for mine, expected in zip(exact, reference(log_theta[c], beta[c], x), strict=True):
            np.testing.assert_allclose(mine[c], expected, rtol=1e-10, atol=1e-9)


@pytest.mark.pyro
def test_both_kernels_agree_far_below_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    given = problem(77, 3, 5)
    doors = (Pallas(), Triton(monkeypatch))
    a, b = (door.chains(*given, S) for door in doors)
    assert abs(a[0] - b[0]).item() < 1e-4
    for mine, other in zip(a, b, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-4)


def test_the_rounding_of_parameters_is_made_good(door: Any) -> None:
    # Steps of beta far below float32's own must show in the value, or NUTS sees a staircase.
    log_theta, beta, x = problem(77, 3, 5)
    value, _, slope = door.chains(log_theta, beta, x, S)
    step = 1e-11
    moved = door.chains(log_theta, beta + step, x, S)[0]
    np.testing.assert_allclose((moved - value) / step, np.sum(slope), rtol=1e-2)


# The launch


def test_a_launch_covers_all_rows_once() -> None:
    for N in (1, 31, 64, 65, 1000, 10**5, 10**6, 2 * 10**8):
        for D, K, chains in ((8, 8, 1), (8, 8, 64), (64, 32, 1), (128, 128, 16), (1, 1, 1)):
            launch = plan(N, D, K, chains)
            slab = launch.rows * launch.tiles * launch.steps
            assert slab * (launch.programs - 1) < N <= slab * launch.programs
            assert launch.programs * chains <= max(chains, 8 * PROCESSORS)
            assert launch.rows & (launch.rows - 1) == 0


@pytest.mark.parametrize("processors", [108, PROCESSORS, 148])
def test_a_launch_fills_every_processor_once(processors: int) -> None:
    for chains in (1, 3, 64):
        programs = chains * plan(10**7, 8, 8, chains, processors).programs
        assert 0.95 * 8 * processors < programs <= 8 * processors
    assert 0.95 * 5 * processors < plan(10**6, 64, 32, 1, processors).programs <= 5 * processors


# Which way is taken


def test_the_faster_way_is_found_once_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.delenv(crossover.VARIABLE, raising=False)
    monkeypatch.setattr(crossover, "_found", {})
    calls: list[int] = []

    def prepare(rows: int) -> dict[str, Any]:
        calls.append(rows)
        return {"kernel": lambda count: time.sleep(2e-3 * count), "array": lambda count: None}

    for N in (1000, 1024, 600):
        assert crossover.choose("numpyro", "a device", (N, 8, 8, 1), prepare) == "array"
    assert calls == [1024]
    assert crossover.found() == {("numpyro", "a device", 1024, 8, 8, 1): "array"}
    crossover.choose("numpyro", "a device", (10**9, 8, 8, 1), prepare)
    assert calls == [1024, crossover.MOST_ROWS]


def choose(monkeypatch: pytest.MonkeyPatch, **ways: Any) -> str:
    monkeypatch.delenv(crossover.VARIABLE, raising=False)
    monkeypatch.setattr(crossover, "_found", {})
    return crossover.choose("numpyro", "a device", (10, 8, 8, 1), lambda rows: ways)


def broken(count: int) -> None:
    raise RuntimeError("no compiler")


def test_a_draw_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    def slow(count: int) -> None:
        time.sleep(1e-3 * count)

    assert choose(monkeypatch, kernel=slow, array=slow) == "kernel"


def test_a_way_that_cannot_run_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(count: int) -> None: ...

    with pytest.warns(UserWarning, match="no compiler"):
        assert choose(monkeypatch, kernel=broken, array=runs) == "array"
    assert choose(monkeypatch, kernel=runs, array=broken) == "kernel"
    with pytest.raises(RuntimeError, match="no compiler"):
        choose(monkeypatch, kernel=broken, array=broken)


@pytest.mark.parametrize(("word", "way"), [("pallas", "kernel"), ("triton", "kernel"), ("xla", "array")])
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, word: str, way: str) -> None:
    monkeypatch.setenv(crossover.VARIABLE, word)
    assert crossover.choose("numpyro", "a device", (10, 8, 8, 1), lambda rows: {}) == way


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(crossover.VARIABLE, "cuda")
    with pytest.raises(InputError, match=r"PPL_PARITY_GPU_KERNEL must be one of .*; got 'cuda'\."):
        crossover.asked()


def test_what_the_kernel_cannot_take_goes_to_the_array_program() -> None:
    import jax.numpy as jnp

    from numpyro_impl.kernels import gpu

    assert gpu.usable(jnp.zeros((4, 3)), 5)
    assert not gpu.usable(jnp.zeros((4, 3)), MOST + 1)
    assert not gpu.usable(jnp.zeros((4, MOST + 1)), 5)
    assert not gpu.usable(jnp.zeros((0, 3)), 5)
    assert not gpu.usable(jnp.zeros((4, 3), jnp.float16), 5)


# In a program of NumPyro: what XLA would run on a GPU


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
            traced = jax.jit(jax.vmap(one, in_axes=(0, 0, None))).trace(*given)
            return lowered_for_cuda(traced)

    return lower


def test_all_chains_are_one_call_without_a_scatter(lowered: Any) -> None:
    text = lowered(16, 3, 5).as_text()
    assert text.count("__gpu$xla.gpu.triton") == 1
    assert "grid_x = 16 : i32" in text
    assert "scatter" not in text


def test_the_scatter_would_be_seen() -> None:
    import jax
    import jax.numpy as jnp

    gather = jax.jit(jax.grad(lambda beta: jnp.sum(beta[jnp.array([0, 1, 1])] ** 2)))
    assert "scatter" in gather.lower(jnp.ones(2)).as_text()


@pytest.mark.parametrize(("D", "K", "products"), [(3, 5, 0), (17, 33, 2)])
def test_pallas_compiles_to_full_float32_without_atomics(lowered: Any, D: int, K: int, products: int) -> None:
    text = triton_of(lowered(1, D, K))
    assert text.count("tt.dot ") == products
    assert "tf32" not in text.lower()
    assert "atomic" not in text


def triton_of(program: Any) -> str:
    """The Triton code inside a lowered program."""
    from jax._src.interpreters import mlir
    from jaxlib.mlir import ir
    from jaxlib.triton import dialect

    found = []

    def walk(operation: Any) -> None:
        for inner in (
            op for region in operation.regions for block in region.blocks for op in block.operations
        ):
            name = inner.attributes["call_target_name"] if "call_target_name" in inner.attributes else ""
            if "triton" in str(name):
                found.append(ir.StringAttr(inner.attributes["mhlo.backend_config"]["ir"]).value_bytes)
            walk(inner.operation)

    walk(program.compiler_ir("stablehlo").operation)
    (code,) = found
    with mlir.make_ir_context() as context:
        dialect.register_dialect(context)
        context.load_all_available_dialects()
        return str(ir.Module.parse(code))


# In torch


@pytest.mark.pyro
def test_triton_compiles_to_full_float32_without_atomics_or_spills() -> None:
    pytest.importorskip("triton", reason="Triton is not installed; it is to be had for Linux alone.")
    compiling = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    result = subprocess.run(
        [sys.executable, "-m", "parity_tests.compile_triton"],
        capture_output=True,
        text=True,
        check=False,
        env=compiling,
    )
    assert result.returncode == 0, result.stderr
    lanes, tiles = (part for part in result.stdout.split("// NEXT\n"))
    for code in (lanes, tiles):
        operations = set(re.findall(r"^\s*(?:@!?%p\d+\s+)?([a-z][a-z0-9_.]*)", code, re.MULTILINE))
        assert "fma.rn.f32" in operations
        assert not [o for o in operations if o.startswith(("atom.", "red.", "mma.", "wgmma."))]
        assert not [o for o in operations if ".local" in o]
        assert "tf32" not in code


@pytest.mark.pyro
def test_torch_differentiates_through_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    Triton(monkeypatch)
    from pyro_impl import formulations, kernels

    monkeypatch.setattr(kernels, "one_pass", kernels.gpu.kernel_pass)
    log_theta, beta, x = problem(77, 3, 5)
    theta = torch.tensor(np.exp(log_theta[0]), requires_grad=True)
    means = torch.tensor(beta[0], requires_grad=True)
    value = formulations.log_likelihood(theta, means, torch.tensor(x), S)
    value.backward()
    assert theta.grad is not None
    assert means.grad is not None
    got = tuple(
        r[None] for r in (value.detach().numpy(), (theta.grad * theta).detach().numpy(), means.grad.numpy())
    )
    check(got, log_theta, beta, x)


@pytest.mark.pyro
def test_torch_products_are_in_full_float32_whatever_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from pyro_impl.kernels import cpu, gpu

    seen = []
    monkeypatch.setattr(
        cpu, "array_pass", lambda *_, **__: seen.append(torch.backends.cuda.matmul.fp32_precision)
    )
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        gpu.array_pass(torch.zeros(5), torch.zeros(5, 3), torch.zeros(7, 3), S)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ["ieee"]
