"""One pass over x through both backends' doors, by the native kernel and by the array program of each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.native_cases import bound_of, close, double_bound, needs_kernel, problem, run_python, truth
from ppl_parity import native
from ppl_parity.errors import InputError

pytestmark = needs_kernel


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


# What each framework asks of it.


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_jax_over_devices_and_without_x64() -> None:
    code = """
import jax, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from numpyro_impl.formulations import value_and_gradient
from parity_tests.native_cases import native, problem
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


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by Linux")
@pytest.mark.skipif(not 1 < (os.cpu_count() or 1) <= 8, reason="one core, or so many that no thread is lent")
def test_within_jax_it_is_xla_s_threads_that_help() -> None:
    """Others would share their cores with XLA's, which wait in a loop for what may come."""
    run_python("""
import os
import numpy as np
from numpyro_impl.kernels import cpu
from numpyro_impl.runtime import session, to_framework
from parity_tests.native_cases import problem
from ppl_parity import native

def num_threads():
    return len(os.listdir("/proc/self/task"))

log_theta, beta, x, s = problem(50_000, 4, 4)
native.value_and_gradient(log_theta, beta, x, s, threads=1)
with session("float64"):
    given = [to_framework(a) for a in (log_theta, beta, x)]
    cpu.native_pass(*given, s)[0].block_until_ready()
    before = num_threads()
    for _ in range(5):
        cpu.native_pass(*given, s)[0].block_until_ready()
    assert num_threads() == before
native.value_and_gradient(log_theta, beta, x, s)  # from here no thread is lent
assert num_threads() > before
""")
