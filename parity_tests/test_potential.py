"""The fused mixture's direct potential in both backends: with the native kernel, without it, chain by chain, twice."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from parity_tests.native_cases import needs_kernel
from ppl_parity import reference
from ppl_parity.backend.priors import prior_terms
from ppl_parity.spec import MixtureSpec

SPEC = MixtureSpec(3, 2, [1.0, 2.0, 3.0], [0.5, -0.5], [[4.0, 1.0], [1.0, 3.0]], 0.7)
ONE = MixtureSpec(1, 3, 2.0, noise_scale=1.3)


def data(spec: MixtureSpec, N: int = 30) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((N, spec.dim))


def points(spec: MixtureSpec, number: int, spread: float = 1.5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([1, number])
    shapes = {"theta": (spec.num_components - 1,), "beta": (spec.num_components, spec.dim)}
    return {name: spread * rng.standard_normal((number, *shape)) for name, shape in shapes.items()}


def at(u: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    return {name: value[index] for name, value in u.items()}


def test_terms_of_the_priors_are_the_reference_s() -> None:
    terms, rng = prior_terms(SPEC), np.random.default_rng(2)
    theta, beta = rng.dirichlet(np.ones(3)), rng.standard_normal((3, 2))
    white = (beta - terms.mean) @ terms.whiten.T
    log_prior = terms.constant + (terms.alpha - 1) @ np.log(theta) - 0.5 * np.sum(white**2)
    sites = reference.site_log_probs(SPEC, theta, beta, np.zeros(0, dtype=int), np.zeros((0, 2)))
    assert log_prior == pytest.approx(float(sites["theta"]) + sites["beta"].sum(), rel=1e-13)


@pytest.mark.parametrize("spec", [SPEC, ONE], ids=["K=3", "K=1"])
@pytest.mark.parametrize("kernel", [pytest.param("native", marks=needs_kernel), "array program"])
def test_the_reference_s_value_and_gradient(
    backend: Any, kernel: str, spec: MixtureSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = importlib.import_module(f"{backend.__name__}.kernels")
    if kernel != "native":
        monkeypatch.setattr(kernels.cpu, "usable", lambda x: False)
    x = data(spec)
    program = backend.Program(backend.mixture(spec, "fused"), {"x": x})
    for spread in (1.5, 40.0):  # and near a vertex of the simplex
        u = at(points(spec, 1, spread), 0)
        value, gradient = program.potential_and_gradient(u)
        assert value == pytest.approx(reference.potential(spec, u, x), rel=1e-12)
        for name, expected in reference.potential_gradient(spec, u, x).items():
            largest = np.abs(expected).max(initial=1.0)
            np.testing.assert_allclose(gradient[name], expected, rtol=1e-12, atol=1e-12 * largest)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_what_is_timed_without_the_native_kernel(
    backend: Any, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for outside of any session, whose precision the array program's constants would otherwise not have."""
    timing = importlib.import_module(f"{backend.__name__}.timing")
    kernels = importlib.import_module(f"{backend.__name__}.kernels")
    monkeypatch.setattr(kernels.cpu, "usable", lambda x: False)
    x, u = data(SPEC), points(SPEC, 1)
    found, _ = timing.prepare(SPEC, "fused", x, precision=precision).evaluate(u)
    expected = reference.potential(SPEC, at(u, 0), x)
    assert found[0] == pytest.approx(expected, rel=1e-12 if precision == "float64" else 1e-6)


@pytest.mark.parametrize("num_data", [{}, {"num_data": 30}])
def test_the_program_that_it_stands_for(backend: Any, num_data: dict[str, int]) -> None:
    """Without it the framework makes the potential of the model itself."""
    given, u = {"x": data(SPEC), **num_data}, at(points(SPEC, 1), 0)
    results = []
    for direct in (True, False):
        model = backend.mixture(SPEC, "fused")
        if not direct:
            del model.direct_potential
        results.append(backend.Program(model, given).potential_and_gradient(u))
    (got, got_gradient), (value, gradient) = results
    assert got == pytest.approx(value, rel=1e-12)
    for name in gradient:
        np.testing.assert_allclose(got_gradient[name], gradient[name], rtol=1e-9, atol=1e-9)


def test_where_it_is_used(backend: Any) -> None:
    def is_direct(formulation: str, given: dict[str, Any]) -> bool:
        return backend.Program(backend.mixture(SPEC, formulation), given).potential_kind == "direct"

    assert is_direct("fused", {"x": data(SPEC)})
    assert not is_direct("fused", {"num_data": 3})  # x is one more site
    assert not is_direct("marginal", {"x": data(SPEC)})


@needs_kernel
@pytest.mark.parametrize("spec", [SPEC, ONE], ids=["K=3", "K=1"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_jax_has_chains_in_one_call(spec: MixtureSpec, dtype: str) -> None:
    import jax

    from numpyro_impl.potential import direct_potential
    from numpyro_impl.runtime import session

    u = points(spec, 5)
    with session("float64"):
        both = jax.value_and_grad(direct_potential(spec, jax.numpy.asarray(data(spec, 600), dtype=dtype)))
        together = jax.jit(jax.vmap(both))
        many = together(u)
        for chain in range(5):
            for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(both(at(u, chain))), strict=True):
                assert a.dtype == np.float64
                assert np.array_equal(a[chain], b)
        text = together.lower(u).as_text()
        assert text.count("@ppl_parity_potential(") == 1
        assert "while" not in text  # one call for all of them, not one after the other
        # A chain that has left the numbers takes no other with it.
        u["beta"][2, 0, 0] = np.nan
        for a, b in zip(jax.tree.leaves(together(u)), jax.tree.leaves(many), strict=True):
            assert np.array_equal(np.delete(a, 2, axis=0), np.delete(b, 2, axis=0))
            assert np.all(np.isnan(a[2]))


@pytest.mark.long
@needs_kernel
def test_jax_differentiates_it_twice() -> None:
    import jax

    from numpyro_impl.potential import direct_potential
    from numpyro_impl.program import Program
    from numpyro_impl.runtime import session

    x, u = data(SPEC), at(points(SPEC, 1), 0)
    marginal = Program(importlib.import_module("numpyro_impl").mixture(SPEC, "marginal"), {"x": x})
    with session("float64"):
        expected = jax.jit(jax.hessian(lambda u: marginal.potential_function(marginal.arrays, u)))(u)
        got = jax.jit(jax.hessian(direct_potential(SPEC, jax.numpy.asarray(x))))(u)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


def test_jax_without_x64_has_it_in_float32() -> None:
    import jax

    from numpyro_impl.potential import direct_potential
    from numpyro_impl.runtime import session

    x, u = data(SPEC), at(points(SPEC, 1), 0)
    with session("float32"):
        single = {name: jax.numpy.asarray(value, dtype="float32") for name, value in u.items()}
        both = jax.value_and_grad(direct_potential(SPEC, jax.numpy.asarray(x, dtype="float32")))
        value, gradient = both(single)
    assert value.dtype == gradient["beta"].dtype == np.float32
    assert float(value) == pytest.approx(reference.potential(SPEC, u, x), rel=1e-5)


@pytest.mark.pyro
@pytest.mark.parametrize("usable", [pytest.param(True, marks=needs_kernel), False])
def test_torch_has_a_first_derivative_and_says_so(usable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from ppl_parity.errors import InputError
    from pyro_impl import kernels
    from pyro_impl.potential import direct_potential
    from pyro_impl.runtime import session

    if not usable:
        monkeypatch.setattr(kernels.cpu, "usable", lambda x: False)
    with session("float64"):
        potential = direct_potential(SPEC, torch.tensor(data(SPEC)))
        u = {n: torch.tensor(v, requires_grad=True) for n, v in at(points(SPEC, 1), 0).items()}
        gradient = torch.autograd.grad(potential(u), list(u.values()), create_graph=True)
        known, value = potential.with_gradient(u)  # type: ignore[attr-defined]
        assert torch.equal(value, potential(u))
        assert all(torch.equal(a, known[name]) for a, name in zip(gradient, u, strict=True))
        with pytest.raises(InputError, match="first derivative only"):
            torch.autograd.grad(gradient[0].sum(), list(u.values()))
