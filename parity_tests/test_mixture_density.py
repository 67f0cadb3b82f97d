"""The mixture at a table of points: each implementation against the float64 reference, then each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from parity_tests.cases import CASES, Case
from parity_tests.conftest import load
from ppl_parity import reference
from ppl_parity.backend.centring import centred
from ppl_parity.spec import FORMULATIONS

RTOL = 1e-10


def close(got: Any, expected: Any, rtol: float = RTOL) -> None:
    """Equal to ``rtol``, relative to the largest entry: small entries inherit their neighbours' rounding."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert np.all(np.isfinite(got))
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * scale)


def test_close_can_fail() -> None:
    with pytest.raises(AssertionError):
        close(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-8]))
    with pytest.raises(AssertionError):
        close(np.array([np.nan]), np.array([np.nan]))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


# The fused one's programs compile in a tenth of the time.
@pytest.fixture(
    scope="module",
    params=[pytest.param(f, marks=[] if f == "fused" else pytest.mark.long) for f in FORMULATIONS],
)
def formulation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def program(backend: Any, case: Case, formulation: str) -> Any:
    return backend.Program(backend.mixture(case.spec, formulation), {"x": case.x})


def test_density_gradient_and_transform(program: Any, case: Case) -> None:
    values = {"theta": case.theta, "beta": case.beta}
    spec = case.spec
    close(program.log_density(values), reference.log_density(spec, case.theta, case.beta, case.x))
    unconstrained = program.unconstrain(values)
    value, gradient = program.potential_and_gradient(unconstrained)
    # Held to the reference at the same unconstrained point: near a vertex the way there loses digits.
    expected = reference.potential_gradient(spec, unconstrained, case.x)
    close(value, reference.potential(spec, unconstrained, case.x))
    close(program.potential(unconstrained), value)
    for name in ("theta", "beta"):
        close(gradient[name], expected[name])
    jacobian = program.log_abs_det_jacobian(unconstrained)
    close(sum(jacobian.values()), reference.log_abs_det_jacobian(spec, unconstrained))


def test_log_joint_and_sites(backend: Any, case: Case) -> None:
    program = backend.Program(backend.mixture(case.spec), {"x": case.x})
    values = {"theta": case.theta, "beta": case.beta, "z": case.z}
    expected = reference.site_log_probs(case.spec, case.theta, case.beta, case.z, case.x)
    got = program.site_log_probs(values)
    assert set(got) == set(expected)
    for name, value in expected.items():
        close(got[name], value)
    close(program.log_joint(values), reference.log_joint(case.spec, case.theta, case.beta, case.z, case.x))


def test_responsibilities(backend: Any, case: Case) -> None:
    expected = reference.responsibilities(case.spec, case.theta, case.beta, case.x)
    direct = backend.responsibilities(case.spec, case.theta[None], case.beta[None], case.x)
    close(direct, expected)
    program = backend.Program(backend.mixture(case.spec), {"x": case.x})
    close(program.discrete_marginals({"theta": case.theta, "beta": case.beta})["z"], expected)


def test_pointwise_log_likelihood(backend: Any, case: Case) -> None:
    rows = backend.pointwise_log_likelihood(case.spec, case.theta[None], case.beta[None], case.x)
    close(rows[0], reference.pointwise_log_density(case.spec, case.theta, case.beta, case.x))


@pytest.mark.parametrize(("offset", "precision"), [(1e4, "float32"), (1e6, "float32"), (1e8, "float64")])
def test_rows_far_from_the_origin_lose_no_digits(backend: Any, offset: float, precision: str) -> None:
    """As years and times since an epoch do; the reference takes differences before it squares them."""
    case = CASES[0]
    x, beta = case.x + offset, case.beta + offset
    spec = replace(case.spec, prior_mean=case.spec.prior_mean + offset)
    given = spec, case.theta[None], beta[None], x
    allowed = {"rtol": 1e-5, "atol": 1e-5} if precision == "float32" else {"rtol": 1e-9, "atol": 1e-9}
    rows = backend.pointwise_log_likelihood(*given, precision=precision)[0]
    np.testing.assert_allclose(rows, reference.pointwise_log_density(spec, case.theta, beta, x), **allowed)
    found = backend.responsibilities(*given, precision=precision)
    np.testing.assert_allclose(found, reference.responsibilities(spec, case.theta, beta, x), **allowed)
    z = backend.sample_assignments(
        spec, np.tile(case.theta, (2000, 1)), np.tile(beta, (2000, 1, 1)), x, precision=precision
    )
    counted = np.stack([np.mean(z == k, axis=0) for k in range(spec.num_components)], axis=-1)
    assert np.abs(counted - found).max() < 5 * 0.5 / np.sqrt(2000)


def test_means_and_rows_far_apart_are_taken_in_float64() -> None:
    x, beta = np.array([[0.0], [4e3]]), np.array([[0.0], [4e3]])
    assert centred(x, beta, 1.0, "float32")[2] == "float64"
    assert centred(x, beta, 100.0, "float32")[2] == "float32"


def test_mean_responsibilities_are_the_mean_over_draws(backend: Any) -> None:
    case = CASES[0]
    theta, beta = np.stack([case.theta, case.theta[::-1]]), np.stack([case.beta, case.beta + 0.3])
    each = [reference.responsibilities(case.spec, t, b, case.x) for t, b in zip(theta, beta, strict=True)]
    close(backend.responsibilities(case.spec, theta, beta, case.x), np.mean(each, axis=0))


# Each is held to the reference above, in all formulations: to one another in one of them here, the others are proofs.
@pytest.mark.pyro
@pytest.mark.parametrize(
    "formulation", [pytest.param(f, marks=[] if f == "fused" else pytest.mark.slow) for f in FORMULATIONS]
)
def test_both_implementations_agree(case: Case, formulation: str) -> None:
    programs = [
        side.Program(side.mixture(case.spec, formulation), {"x": case.x})
        for side in (load("pyro"), load("numpyro"))
    ]
    values = {"theta": case.theta, "beta": case.beta}
    a, b = (program.log_density(values) for program in programs)
    close(a, b)
    point = programs[0].unconstrain(values)
    (value_a, gradient_a), (value_b, gradient_b) = (p.potential_and_gradient(point) for p in programs)
    close(value_a, value_b)
    for name in gradient_a:
        close(gradient_a[name], gradient_b[name])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("formulation", ["marginal", "fused"])
def test_precision_is_per_call(backend: Any, precision: str, formulation: str) -> None:
    case = CASES[0]
    program = backend.Program(backend.mixture(case.spec, formulation), {"x": case.x}, precision=precision)
    dtypes = {site.name: site.dtype for site in program.sites()}
    # The fused program's parameters and sums stay in float64: float32 is then the precision of its data.
    parameters = "float64" if formulation == "fused" else precision
    assert dtypes == {"theta": parameters, "beta": parameters, "x": precision}
    values = {"theta": case.theta, "beta": case.beta}
    error = program.log_density(values) - reference.log_density(case.spec, case.theta, case.beta, case.x)
    bound = 1e-10 if precision == "float64" else 1e-4 if formulation == "fused" else 2e-3
    assert abs(error) < bound
