"""The native kernel and the array programs beside it: one pass over x, held to the float64 reference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppl_parity import native, reference
from ppl_parity.errors import InputError
from ppl_parity.native import building
from ppl_parity.reference.density import likelihood_pass
from ppl_parity.spec import MixtureSpec

pytestmark = pytest.mark.skipif(not native.available(), reason="there is no C++ compiler here")

ROOT = Path(__file__).resolve().parent.parent
VARIANTS = native.variants() if native.available() else []
SHAPES = [  # N, D, K: odd, smaller and larger than every vector, block and tile
    (1, 1, 1),
    (7, 2, 3),
    (300, 2, 3),
    (1000, 3, 2),
    (777, 7, 17),
    (481, 8, 8),
    (1025, 17, 5),
    (5, 64, 32),
    (400, 64, 7),
    (211, 128, 3),
    (193, 5, 128),
    (97, 128, 128),
]


def problem(N: int, D: int, K: int, *, spread: float = 2.0, seed: int = 0) -> tuple[Any, ...]:
    """log theta, beta, x and noise scale of a mixture with its data far from the origin."""
    rng = np.random.default_rng([N, D, K, seed])
    noise_scale = 0.7
    beta = 20 + spread * rng.standard_normal((K, D))
    x = beta[rng.integers(K, size=N)] + noise_scale * rng.standard_normal((N, D))
    return np.log(rng.dirichlet(np.full(K, 2.0))), beta, x, noise_scale


def truth(log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray, noise_scale: float) -> tuple[Any, ...]:
    """The float64 reference, on exactly these numbers."""
    spec = MixtureSpec(*beta.shape, noise_scale=noise_scale)
    return likelihood_pass(spec, log_theta, beta, x.astype(np.float64))


def close(got: Any, expected: Any, bound: float, largest: float | None = None) -> None:
    """Equal to ``bound``, relative to the largest entry, or to ``largest`` where sums cancel."""
    for a, b in zip(got, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)), largest or 0.0)
        np.testing.assert_allclose(a, b, rtol=0, atol=bound * scale)


def double_bound(x: np.ndarray) -> tuple[float, float]:
    """1e-10 of the largest entry; gradients are sums over N rows that may cancel to any size."""
    return 1e-10, float(np.abs(x - x.mean(axis=0)).sum(axis=0).max(initial=0.0)) if len(x) else 0.0


def single_bound(x: np.ndarray) -> tuple[float, float]:
    """2e-6: an error of 1e-7 in each responsibility, logits of up to some hundreds rounded to 24 bits."""
    return 2e-6, double_bound(x)[1] * 4


def bound_of(x: np.ndarray) -> tuple[float, float]:
    return double_bound(x) if x.dtype == np.float64 else single_bound(x)


def test_close_can_fail() -> None:
    with pytest.raises(AssertionError):
        close([1.0], [1.0 + 1e-8], 1e-10)


# The kernel itself.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("N", "D", "K"), SHAPES)
def test_every_variant_at_odd_shapes(N: int, D: int, K: int, variant: str, dtype: Any) -> None:
    log_theta, beta, x, s = problem(N, D, K)
    x = x.astype(dtype)
    got = native.value_and_gradient(log_theta, beta, x, s, variant=variant)
    close(got, truth(log_theta, beta, x, s), *bound_of(x))


def test_an_instruction_set_that_is_not_here_is_refused() -> None:
    missing = set(native.library.VARIANTS) - set(VARIANTS)
    if not missing:
        pytest.skip("this CPU has them all")
    with pytest.raises(InputError, match="instruction set"):
        native.value_and_gradient(*problem(7, 2, 3), variant=missing.pop())


def test_no_rows() -> None:
    value, n, slope = native.value_and_gradient(np.log([0.5, 0.5]), np.ones((2, 3)), np.empty((0, 3)), 1.0)
    assert value == 0
    assert not n.any()
    assert not slope.any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("variant", VARIANTS)
def test_vertices_outliers_and_extreme_logits(variant: str, dtype: Any) -> None:
    log_theta, beta, x, s = problem(500, 4, 5)
    tiny = float(np.log(np.finfo(np.float64).tiny))
    cases = {
        "vertex": (np.array([0.0, tiny, tiny, tiny, tiny]), beta, x),
        "edge": (np.array([np.log(0.5), np.log(0.5), -np.inf, tiny, tiny]), beta, x),
        "outlier": (log_theta, beta, np.concatenate([x, x[:1] + 1e3 * s])),
        "far apart": (log_theta, beta + 1e3 * np.arange(5)[:, None], x + 1e3 * np.arange(500)[:, None] % 5),
        "all far": (log_theta, beta + 300.0, x),
    }
    for name, (weights, means, rows) in cases.items():
        rows = rows.astype(dtype)
        got = native.value_and_gradient(weights, means, rows, s, variant=variant)
        assert all(np.all(np.isfinite(part)) for part in got), name
        spread = float(np.abs(rows[:, None] - means).max()) ** 2
        # One row's logit is as large as its squared distance: so much is rounded away of it in float32.
        lost = 1e-10 if dtype == np.float64 else 1e-6 * max(1.0, spread / 1e3)
        close(got, truth(weights, means, rows, s), lost, bound_of(rows)[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_give_nan(bad: float) -> None:
    log_theta, beta, x, s = problem(50, 3, 4)
    beta[2, 1] = bad
    for part in native.value_and_gradient(log_theta, beta, x, s):
        assert np.all(np.isnan(part))
    x[7, 0] = bad
    beta[2, 1] = 1.0
    assert np.isnan(native.value_and_gradient(log_theta, beta, x.astype(np.float32), s)[0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_do_not_depend_on_the_number_of_threads(dtype: Any) -> None:
    log_theta, beta, x, s = problem(50_001, 6, 5)
    x = x.astype(dtype)
    first = native.value_and_gradient(log_theta, beta, x, s, threads=1)
    for threads in (2, 3, 8):
        for _ in range(3):
            again = native.value_and_gradient(log_theta, beta, x, s, threads=threads)
            assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_many_callers_at_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    given = [problem(20_000, 4, 3, seed=seed) for seed in range(6)]
    alone = [native.value_and_gradient(*one, threads=1) for one in given]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(5):
            together = list(threads.map(lambda one: native.value_and_gradient(*one, threads=4), given))
            for a, b in zip(alone, together, strict=True):
                assert all(np.array_equal(left, right) for left, right in zip(a, b, strict=True))


def test_a_forked_child_has_threads_of_its_own() -> None:
    code = """
import os, sys, numpy as np
from parity_tests.test_native_kernel import native, problem
given = problem(60_000, 4, 3)
before = native.value_and_gradient(*given, threads=3)
child = os.fork()
if child == 0:
    after = native.value_and_gradient(*given, threads=3)
    os._exit(0 if all(np.array_equal(a, b) for a, b in zip(before, after)) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    run_python(code)


def test_several_points_at_once_are_the_same_as_one_by_one() -> None:
    log_theta, beta, x, s = problem(3_000, 5, 6)
    many = [(log_theta + 0.1 * c, beta + 0.1 * c) for c in range(3)]
    together = native.value_and_gradient(
        np.stack([a for a, _ in many]), np.stack([b for _, b in many]), x.astype(np.float32), s
    )
    for c, point in enumerate(many):
        alone = native.value_and_gradient(*point, x.astype(np.float32), s)
        assert all(np.array_equal(a[c], b) for a, b in zip(together, alone, strict=True))


def test_rows_that_are_read_only_or_not_side_by_side() -> None:
    log_theta, beta, x, s = problem(900, 4, 3)
    expected = native.value_and_gradient(log_theta, beta, x, s)
    columns = np.asfortranarray(x)
    strided = np.repeat(x, 2, axis=0)[::2]
    locked = x.copy()
    locked.setflags(write=False)
    for rows in (columns, strided, locked):
        got = native.value_and_gradient(log_theta, beta, rows, s)
        assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    log_theta, beta, x, s = problem(9, 4, 3)
    with pytest.raises(InputError, match=r"got \(3,\), \(3, 4\) and \(9, 3\)"):
        native.value_and_gradient(log_theta, beta, x[:, :3], s)
    with pytest.raises(InputError, match="float16"):
        native.value_and_gradient(log_theta, beta, x.astype(np.float16), s)


def test_energy_differences_hold_at_a_million_rows() -> None:
    """NUTS needs them to about 0.01, where the value itself is some ten million."""
    N = 1_000_000
    log_theta, beta, x, s = problem(N, 8, 8)
    x = x.astype(np.float32)
    rng = np.random.default_rng(1)
    differences = []
    for rows in (x, x.astype(np.float64)):
        start = native.value_and_gradient(log_theta, beta, rows, s)[0]
        rng = np.random.default_rng(1)
        steps = [rng.standard_normal((2, *beta.shape)) / np.sqrt(N / 8) * size for size in (0.1, 1.0, 3.0)]
        differences.append(
            [
                native.value_and_gradient(log_theta + step[1, :, 0], beta + step[0], rows, s)[0] - start
                for step in steps
            ]
        )
    assert np.ptp(differences[1]) > 1
    np.testing.assert_allclose(differences[0], differences[1], rtol=0, atol=0.005)


# Finding, building, falling back.


def run_python(code: str, **environment: str) -> str:
    """Standard output of a fresh interpreter that sees this checkout."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


DESCRIBE = "from ppl_parity import native; print(native.describe())"


def test_the_switch_turns_it_off() -> None:
    assert run_python(DESCRIBE, PPL_PARITY_NATIVE="0") == "array program: PPL_PARITY_NATIVE=0"


def test_without_a_compiler_the_reason_is_said(tmp_path: Path) -> None:
    said = run_python(DESCRIBE, PPL_PARITY_NATIVE="build", PATH="", CXX="", XDG_CACHE_HOME=str(tmp_path))
    assert said.startswith("array program: no C++ compiler was found")


def test_a_compiler_that_fails_and_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    said = run_python(DESCRIBE, PPL_PARITY_NATIVE="build", CXX="false", XDG_CACHE_HOME=str(tmp_path))
    assert "the compiler" in said
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    said = run_python(DESCRIBE, PPL_PARITY_NATIVE="build", XDG_CACHE_HOME=str(in_the_way))
    assert "could not be built in" in said


def test_two_processes_build_at_once(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PPL_PARITY_NATIVE": "build",
        "XDG_CACHE_HOME": str(tmp_path),
    }
    started = [
        subprocess.Popen([sys.executable, "-c", DESCRIBE], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert all(line.startswith("native") for line in said)
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == 1


def test_a_library_of_other_sources_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = building.cached("core")
    if not path.exists():
        path = building.installed("core")[0]
    assert native.library._opened(path, building.build_key("core")) is not None
    assert native.library._opened(path, "another key") is None
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    assert native.library._opened(broken, building.build_key("core")) is None


# Both backends, and the array program of each.


@pytest.fixture(params=["native_pass", "array_pass"])
def one_pass(backend: Any, request: pytest.FixtureRequest) -> Any:
    """A backend's pass as a function of NumPy arrays, in a session that holds float64 parameters."""
    import importlib

    cpu = importlib.import_module(f"{backend.__name__}.kernels.cpu")
    runtime = importlib.import_module(f"{backend.__name__}.runtime")
    function = getattr(cpu, request.param)

    def run(log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray, noise_scale: float) -> Any:
        with runtime.session("float64"):
            given = [runtime.to_framework(log_theta), runtime.to_framework(beta)]
            rows = runtime.to_framework(x, str(x.dtype))
            return runtime.to_numpy(list(function(*given, rows, noise_scale)))

    return run


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("N", "D", "K"), [(1, 1, 1), (777, 7, 17), (10_001, 3, 2), (193, 5, 128)])
def test_both_passes_of_both_backends(one_pass: Any, N: int, D: int, K: int, dtype: Any) -> None:
    log_theta, beta, x, s = problem(N, D, K)
    x = x.astype(dtype)
    got = one_pass(log_theta, beta, x, s)
    assert {part.dtype for part in got} == {np.dtype(np.float64)}
    close(got, truth(log_theta, beta, x, s), *bound_of(x))


def test_both_passes_without_rows_and_at_a_vertex(one_pass: Any) -> None:
    log_theta, beta, x, s = problem(40, 3, 3)
    assert not np.any(one_pass(log_theta, beta, x[:0], s)[0])
    weights = np.array([0.0, -700.0, -np.inf])
    close(one_pass(weights, beta, x, s), truth(weights, beta, x, s), *double_bound(x))


def test_energy_differences_of_both_passes(one_pass: Any) -> None:
    log_theta, beta, x, s = problem(100_000, 8, 8)
    x = x.astype(np.float32)
    near = beta + 0.001 * np.random.default_rng(0).standard_normal(beta.shape)
    got = one_pass(log_theta, near, x, s)[0] - one_pass(log_theta, beta, x, s)[0]
    exact = [native.value_and_gradient(log_theta, b, x.astype(float), s)[0] for b in (near, beta)]
    assert abs(got - (exact[0] - exact[1])) < 0.002


def test_the_potential_without_the_native_kernel(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    kernels = importlib.import_module(f"{backend.__name__}.kernels")
    spec = MixtureSpec(3, 2, [1.0, 2.0, 3.0], [0.5, -0.5], [[4.0, 1.0], [1.0, 3.0]], 0.7)
    x = np.random.default_rng(0).standard_normal((30, 2))
    u = {"theta": np.array([0.3, -1.2]), "beta": np.random.default_rng(1).standard_normal((3, 2))}
    results = []
    for usable in (True, False):
        if not usable:
            monkeypatch.setattr(kernels.cpu, "usable", lambda x: False)
        program = backend.Program(backend.mixture(spec, "fused"), {"x": x})
        results.append(program.potential_and_gradient(u))
    expected = reference.potential_gradient(spec, u, x)
    for value, gradient in results:
        assert value == pytest.approx(reference.potential(spec, u, x), rel=1e-12)
        for name, array in expected.items():
            np.testing.assert_allclose(gradient[name], array, rtol=1e-12, atol=1e-12 * np.abs(array).max())


# What each framework asks of it.


def test_jax_batches_chains_and_keeps_the_data_single() -> None:
    import jax

    from numpyro_impl.formulations import value_and_gradient
    from numpyro_impl.runtime import session

    log_theta, beta, x, s = problem(600, 4, 3)
    with session("float64"):
        value = jax.value_and_grad(lambda a, b, x: value_and_gradient(a, b, x, s), argnums=(0, 1))
        weights = np.stack([log_theta + 0.1 * c for c in range(4)])
        means = np.stack([beta + 0.1 * c for c in range(4)])
        rows = x.astype(np.float32)
        alone = [value(a, b, rows) for a, b in zip(weights, means, strict=True)]
        many = jax.jit(jax.vmap(value, (0, 0, None)))(weights, means, rows)
        for c, one in enumerate(alone):
            for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
                assert np.array_equal(a[c], b)
        text = jax.jit(jax.vmap(value, (0, 0, None))).lower(weights, means, rows).as_text()
        assert "tensor<600x4xf32>" in text
        assert "tensor<4x600x4xf32>" not in text
        # Nested, and with data of their own.
        pairs = jax.vmap(jax.vmap(value, (0, 0, None)), (None, None, 0))(
            weights, means, np.stack([rows, rows])
        )
        np.testing.assert_array_equal(pairs[0][1], many[0])
        own = jax.vmap(value, (None, 0, 0))(log_theta, means, np.stack([rows] * 4))
        np.testing.assert_array_equal(own[0][0], value(log_theta, means[0], rows)[0])


def test_jax_differentiates_twice() -> None:
    import jax
    import jax.numpy as jnp

    from numpyro_impl.formulations import logits, value_and_gradient
    from numpyro_impl.runtime import session

    log_theta, beta, x, s = problem(80, 2, 3)
    with session("float64"):
        direct = jax.hessian(
            lambda b: jnp.sum(jax.nn.logsumexp(logits(jnp.exp(log_theta), b, x, s), axis=-1))
        )
        expected = jax.jit(direct)(beta)
        for second in (jax.hessian, lambda f: jax.jacrev(jax.grad(f))):
            got = jax.jit(second(lambda b: value_and_gradient(log_theta, b, x, s)))(beta)
            np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-8)
        by_x = jax.grad(lambda x: value_and_gradient(log_theta, beta, x, s))(x)
        assert np.shape(by_x) == x.shape


def test_jax_over_devices_and_without_x64() -> None:
    code = """
import jax, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from numpyro_impl.formulations import value_and_gradient
from parity_tests.test_native_kernel import native, problem
log_theta, beta, x, s = problem(20_000, 4, 3)
expected = native.value_and_gradient(log_theta, beta, x, s)[0]
def total(a, b, rows):
    return jax.lax.psum(value_and_gradient(a, b, rows, s), "rows")
with jax.enable_x64(True):
    mesh = Mesh(np.array(jax.devices()), ("rows",))
    spread = jax.shard_map(total, mesh=mesh, in_specs=(P(), P(), P("rows")), out_specs=P(), check_vma=False)
    value = jax.jit(spread)(log_theta, beta, x)
    assert len(jax.devices()) == 4 and abs(value - expected) < 1e-10 * abs(expected), (value, expected)
log_theta, beta, x = (a.astype("f4") for a in (log_theta, beta, x))
value, slope = jax.value_and_grad(lambda b: value_and_gradient(log_theta, b, x, s))(beta)
assert value.dtype == slope.dtype == np.float32 and abs(value - expected) < 1e-6 * abs(expected)
"""
    run_python(code, XLA_FLAGS="--xla_force_host_platform_device_count=4", JAX_PLATFORMS="cpu")


@pytest.mark.pyro
def test_torch_has_a_first_derivative_and_says_so() -> None:
    import torch

    from pyro_impl.formulations import value_and_gradient

    log_theta, beta, x, s = problem(60, 2, 3)
    means = torch.tensor(beta, requires_grad=True)
    rows = torch.tensor(x, requires_grad=True)
    weights = torch.tensor(log_theta)
    assert torch.autograd.gradcheck(
        lambda b, r: value_and_gradient.apply(weights, b, r, s), (means, rows), rtol=1e-5, atol=1e-6
    )
    value = value_and_gradient.apply(weights, means, rows.detach(), s)
    (slope,) = torch.autograd.grad(value, means, create_graph=True)
    with pytest.raises(InputError, match="first derivative only"):
        torch.autograd.grad(slope.sum(), means)


@pytest.mark.pyro
def test_torch_rows_that_do_not_lie_side_by_side() -> None:
    import torch

    from pyro_impl.kernels import cpu

    log_theta, beta, x, s = problem(200, 4, 3)
    given = torch.tensor(log_theta), torch.tensor(beta)
    expected = cpu.native_pass(*given, torch.tensor(x), s)
    for rows in (torch.tensor(x.T.copy()).T, torch.tensor(np.repeat(x, 2, axis=0))[::2]):
        assert all(torch.equal(a, b) for a, b in zip(cpu.native_pass(*given, rows, s), expected, strict=True))
