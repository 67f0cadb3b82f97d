"""The GPU kernels against a float64 reference, without a GPU: by interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp

from parity_tests.gpu_doors import Arrays, Pallas, Triton
from ppl_parity.gpu.launches import plan

S = 1.3

# N, D, K: rows that do and do not fill tiles, sides of 1 to 128 that are no powers of two, both kinds of program.
SIZES = [
    (1, 1, 1),
    (300, 3, 5),
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


@pytest.mark.parametrize(
    "size", [pytest.param(n, marks=[] if n in SIZES[:2] else pytest.mark.long) for n in SIZES], ids=str
)
def test_the_kernel_is_the_reference(door: Any, size: tuple[int, int, int]) -> None:
    given = problem(*size)
    check(door.chains(*given, S), *given)


@pytest.mark.long
@pytest.mark.parametrize("size", [(1637, 7, 7), (701, 17, 33)], ids=str)
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


def test_both_kinds_of_program_and_of_step_are_among_the_sizes() -> None:
    launches = {size: plan(*size) for size in SIZES}
    assert {launch.lanes for launch in launches.values()} == {True, False}
    rest = {size: size[0] % (launch.rows * launch.tiles) for size, launch in launches.items() if launch.lanes}
    assert rest == {(1, 1, 1): 1, (300, 3, 5): 44, (128, 8, 8): 0, (70, 5, 1): 70}


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


@pytest.mark.parametrize("size", [(77, 3, 5), pytest.param((64, 17, 33), marks=pytest.mark.long)], ids=str)
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


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-6), ("float64", 1e-14)])
def test_a_product_stands_for_a_sum_of_logarithms(precision: str, most: float) -> None:
    import jax
    import jax.numpy as jnp

    from numpyro_impl.kernels.gpu.rows import log_of, times

    factors = np.random.default_rng(0).uniform(1, 128, size=(5000, 3)).astype(np.float32)
    with jax.enable_x64(precision == "float64"):
        start = jnp.ones(3, precision), jnp.zeros(3, jnp.int32)
        (product, power), _ = jax.lax.scan(lambda pair, f: (times(*pair, f), None), start, factors)
        assert np.all((product >= 1) & (product < 2))
        expected = np.sum(np.log2(factors.astype(np.float64)), axis=0)
        np.testing.assert_allclose(log_of(product, power), expected, rtol=most)


@pytest.mark.long
def test_parameters_may_be_in_float32() -> None:
    import jax
    import jax.numpy as jnp

    from numpyro_impl.kernels import gpu

    log_theta, beta, x = problem(77, 3, 5)
    with jax.enable_x64(False):
        given = jnp.asarray(log_theta), jnp.asarray(beta), jnp.asarray(x)
        got = gpu.kernel_chains(*given, S, interpret=True)
    expected = reference(log_theta[0], beta[0], x)
    for mine, exact in zip(got, expected, strict=True):
        assert mine.dtype == jnp.float32
        np.testing.assert_allclose(mine[0], exact, rtol=1e-5, atol=1e-4)


def test_the_rounding_of_parameters_is_made_good(door: Any) -> None:
    # Steps of beta far below float32's own must show in the value, or NUTS sees a staircase.
    log_theta, beta, x = problem(77, 3, 5)
    value, _, slope = door.chains(log_theta, beta, x, S)
    step = 1e-11
    moved = door.chains(log_theta, beta + step, x, S)[0]
    np.testing.assert_allclose((moved - value) / step, np.sum(slope), rtol=1e-2)


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
    products = torch.backends.cuda.matmul
    before = torch.get_float32_matmul_precision(), products.fp32_precision
    try:
        for by in ("the old name", "the new name"):
            torch.set_float32_matmul_precision("medium" if by == "the old name" else "highest")
            products.fp32_precision = "tf32"
            gpu.array_pass(torch.zeros(5), torch.zeros(5, 3), torch.zeros(7, 3), S)
            assert products.fp32_precision == "tf32"
    finally:
        torch.set_float32_matmul_precision(before[0])
        products.fp32_precision = before[1]
    assert seen == ["ieee", "ieee"]
