"""The reference against what it did not come from: SciPy's distributions and finite differences.

Nothing here imports torch or jax.
"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from parity_tests.reference_points import ROUNDING, make
from ppl_parity import reference as ref
from ppl_parity.errors import InputError
from ppl_parity.reference import density
from ppl_parity.spec import MixtureSpec

# Fourth-order central differences with step 1e-3 on values of about 1e3: truncation 1e-10, rounding 1e-10.
DIFFERENCES = 1e-8


def slope(function, point, step=1e-3):
    """Fourth-order central differences of a scalar function of an array."""
    result = np.empty(point.shape)
    for index in np.ndindex(*point.shape):
        unit = np.zeros(point.shape)
        unit[index] = step
        near = function(point + unit) - function(point - unit)
        far = function(point + 2 * unit) - function(point - 2 * unit)
        result[index] = (8 * near - far) / (12 * step)
    return result


SHAPES = [(1, 1, 1), (1, 3, 4), (2, 1, 5), (3, 2, 6), (20, 4, 30), (3, 2, 0)]


# ---- density ----


@pytest.mark.parametrize(("K", "D", "N"), SHAPES)
def test_site_log_probs_match_scipy(K, D, N):
    spec, theta, beta, z, x = make(K, D, N)
    sites = ref.site_log_probs(spec, theta, beta, z, x)
    assert {name: value.shape for name, value in sites.items()} == {
        "theta": (),
        "beta": (K,),
        "z": (N,),
        "x": (N,),
    }
    prior = stats.multivariate_normal(spec.prior_mean, spec.prior_cov)
    noise = spec.noise_scale**2 * np.eye(D)
    if K > 1:
        assert sites["theta"] == pytest.approx(stats.dirichlet(spec.concentration).logpdf(theta), rel=1e-10)
    np.testing.assert_allclose(sites["beta"], [prior.logpdf(b) for b in beta], rtol=ROUNDING)
    np.testing.assert_array_equal(sites["z"], np.log(theta)[z])
    expected = [stats.multivariate_normal(beta[k], noise).logpdf(row) for k, row in zip(z, x, strict=True)]
    np.testing.assert_allclose(sites["x"], expected, rtol=ROUNDING)
    total = sum(value.sum() for value in sites.values())
    assert ref.log_joint(spec, theta, beta, z, x) == pytest.approx(total, rel=ROUNDING)


def test_summing_the_joint_over_every_assignment_gives_the_enumerated_density():
    spec, theta, beta, _, x = make(K=3, D=2, N=6)
    joints = [ref.log_joint(spec, theta, beta, z, x) for z in itertools.product(range(3), repeat=6)]
    assert ref.log_density(spec, theta, beta, x) == pytest.approx(logsumexp(joints), rel=ROUNDING)
    assert ref.log_likelihood(spec, theta, beta, x) == pytest.approx(
        ref.pointwise_log_density(spec, theta, beta, x).sum(), rel=ROUNDING
    )


def test_responsibilities_are_the_conditional_of_z():
    spec, theta, beta, _, x = make(K=3, D=2, N=6)
    resp = ref.responsibilities(spec, theta, beta, x)
    np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=ROUNDING)
    for i, k in itertools.product(range(6), range(3)):
        ratio = ref.log_joint(spec, theta, beta, [k], x[[i]]) - ref.log_density(spec, theta, beta, x[[i]])
        assert resp[i, k] == pytest.approx(math.exp(ratio), rel=1e-10)


def test_blocks_of_rows_do_not_change_the_result(monkeypatch):
    spec, theta, beta, _, x = make(K=3, D=2, N=101)
    whole = ref.pointwise_log_density(spec, theta, beta, x), ref.responsibilities(spec, theta, beta, x)
    whole_slope = ref.log_likelihood_gradient(spec, theta, beta, x)
    monkeypatch.setattr(density, "BLOCK_VALUES", 60)
    np.testing.assert_array_equal(ref.pointwise_log_density(spec, theta, beta, x), whole[0])
    np.testing.assert_array_equal(ref.responsibilities(spec, theta, beta, x), whole[1])
    for name, value in ref.log_likelihood_gradient(spec, theta, beta, x).items():
        np.testing.assert_allclose(value, whole_slope[name], rtol=1e-11)


def test_a_far_outlier_keeps_its_digits():
    spec, theta, beta, _, x = make(K=3, D=2, N=3)
    x = np.concatenate([x, [[1e3 * spec.noise_scale, -1e3]]])
    terms = [
        np.log(theta[k]) + stats.norm.logpdf(x[3], beta[k], spec.noise_scale).sum()
        for k in range(spec.num_components)
    ]
    assert ref.pointwise_log_density(spec, theta, beta, x)[3] == pytest.approx(logsumexp(terms), rel=ROUNDING)
    assert ref.responsibilities(spec, theta, beta, x)[3].sum() == pytest.approx(1, rel=ROUNDING)
    for value in ref.gradient(spec, theta, beta, x).values():
        assert np.all(np.isfinite(value))


def test_at_a_vertex_each_value_is_the_limit():
    theta, beta, x = np.array([1.0, 0.0, 0.0]), np.arange(3.0)[:, None], np.array([[0.2], [1.5]])
    flat, high, low, torn = (
        MixtureSpec(3, 1, concentration=c) for c in (1.0, 2.0, [1.0, 0.5, 1.0], [1.0, 0.5, 2.0])
    )
    assert ref.site_log_probs(flat, theta, beta, [0, 0], x)["theta"] == pytest.approx(math.log(2))
    assert np.isfinite(ref.log_joint(flat, theta, beta, [0, 0], x))
    assert ref.log_joint(flat, theta, beta, [0, 2], x) == -np.inf
    assert ref.log_density(high, theta, beta, x) == -np.inf
    assert ref.log_density(low, theta, beta, x) == np.inf
    # theta_1^(0.5 - 1) theta_1^(one z in it) goes to zero, although the site of theta alone is +inf
    assert ref.log_joint(low, theta, beta, [0, 1], x) == -np.inf
    assert np.isnan(ref.log_density(torn, theta, beta, x))  # 0^-0.5 * 0^1: no limit
    expected = stats.norm.logpdf(x[:, 0], 0, 1)
    np.testing.assert_allclose(ref.pointwise_log_density(flat, theta, beta, x), expected, rtol=ROUNDING)
    np.testing.assert_array_equal(ref.responsibilities(flat, theta, beta, x), [[1, 0, 0]] * 2)
    for value in ref.gradient(flat, theta, beta, x).values():
        assert np.all(np.isfinite(value))
    at = ref.unconstrain(flat, theta, beta)
    np.testing.assert_array_equal(at["theta"], [np.inf, 0.0])
    np.testing.assert_array_equal(ref.constrain(flat, at)["theta"], theta)
    assert ref.potential(flat, at, x) == np.inf


# ---- unconstrained coordinates and gradients ----


@pytest.mark.parametrize(("K", "D", "N"), SHAPES)
def test_gradients_match_differences(K, D, N):
    spec, theta, beta, _, x = make(K, D, N, seed=1, concentration=np.linspace(0.6, 2.4, K) + 1)
    at = ref.unconstrain(spec, theta, beta)
    found = ref.gradient(spec, theta, beta, x)
    numeric = {
        "theta": slope(lambda y: -ref.potential(spec, {"theta": y, "beta": beta}, x), at["theta"]),
        "beta": slope(lambda b: -ref.potential(spec, {"theta": at["theta"], "beta": b}, x), beta),
    }
    likelihood = ref.log_likelihood_gradient(spec, theta, beta, x)
    numeric_likelihood = {
        "log_theta": slope(lambda t: ref.log_likelihood(spec, np.exp(t), beta, x), np.log(theta)),
        "beta": slope(lambda b: ref.log_likelihood(spec, theta, b, x), beta),
    }
    for name in ("theta", "beta"):
        np.testing.assert_allclose(found[name], numeric[name], rtol=DIFFERENCES, atol=DIFFERENCES)
        np.testing.assert_array_equal(ref.potential_gradient(spec, at, x)[name], -found[name])
    for name in ("log_theta", "beta"):
        np.testing.assert_allclose(
            likelihood[name], numeric_likelihood[name], rtol=DIFFERENCES, atol=DIFFERENCES
        )
    np.testing.assert_allclose(
        likelihood["log_theta"],
        ref.responsibilities(spec, theta, beta, x).sum(axis=0),
        rtol=1e-11,
        atol=1e-300,
    )


@pytest.mark.parametrize("K", [1, 2, 3, 7, 20])
def test_stick_breaking_formula_jacobian_and_inverse(K):
    spec, _, beta, _, x = make(K=K, D=1, N=3)
    y = 2 * np.random.default_rng(K).normal(size=K - 1)
    at = {"theta": y, "beta": beta}
    sticks = [1 / (1 + math.exp(-(y[j] - math.log(K - 1 - j)))) for j in range(K - 1)]
    expected = [sticks[j] * math.prod(1 - v for v in sticks[:j]) for j in range(K - 1)]
    expected.append(math.prod(1 - v for v in sticks))
    theta = ref.constrain(spec, at)["theta"]
    np.testing.assert_allclose(theta, expected, rtol=1e-10)
    np.testing.assert_allclose(ref.unconstrain(spec, theta, beta)["theta"], y, rtol=1e-10)
    jacobian = np.array(
        [
            slope(lambda y, k=k: ref.constrain(spec, {"theta": y, "beta": beta})["theta"][k], y)
            for k in range(K - 1)
        ]
    ).reshape(K - 1, K - 1)
    numeric = np.linalg.slogdet(jacobian)[1]
    assert ref.log_abs_det_jacobian(spec, at) == pytest.approx(numeric, abs=1e-5)
    assert ref.potential(spec, at, x) == pytest.approx(
        -ref.log_density(spec, theta, beta, x) - ref.log_abs_det_jacobian(spec, at), rel=1e-11
    )
    uniform = ref.constrain(spec, {"theta": np.zeros(K - 1), "beta": beta})["theta"]
    np.testing.assert_allclose(uniform, 1 / K, rtol=ROUNDING)


def test_extreme_coordinates_underflow_theta_but_not_the_potential():
    spec, _, beta, _, x = make(K=3, D=2, N=4)
    at = {"theta": np.array([900.0, -900.0]), "beta": beta}
    assert ref.constrain(spec, at)["theta"][1] == 0
    found = ref.potential_gradient(spec, at, x)
    numeric = slope(lambda y: ref.potential(spec, {"theta": y, "beta": beta}, x), at["theta"])
    np.testing.assert_allclose(found["theta"], numeric, rtol=1e-7)
    near = np.array([1 - 2e-300, 1e-300, 1e-300])
    back = ref.constrain(spec, ref.unconstrain(spec, near, beta))["theta"]
    np.testing.assert_allclose(back, near, rtol=1e-12)


def test_an_empty_component_is_pulled_by_its_prior_alone():
    spec, _, beta, _, x = make(K=3, D=2, N=5)
    theta = np.array([0.5, 0.5 - 1e-9, 1e-9])
    beta[2] = 1e3
    found = ref.gradient(spec, theta, beta, x)["beta"][2]
    np.testing.assert_allclose(
        found, -np.linalg.inv(spec.prior_cov) @ (beta[2] - spec.prior_mean), rtol=1e-10
    )


# ---- refusals and the import rule ----


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, t, b, z, x: ref.log_density(s, t[:2], b, x), r"theta must have shape \(K,\)"),
        (lambda s, t, b, z, x: ref.log_density(s, t * 1.1, b, x), "theta must sum to one"),
        (lambda s, t, b, z, x: ref.log_density(s, [1.5, -0.5, 0], b, x), "no negative entry"),
        (lambda s, t, b, z, x: ref.log_density(s, t, b * np.nan, x), "beta must be finite"),
        (lambda s, t, b, z, x: ref.log_density(s, t, b, x[:, 0]), r"x must have shape \(N, D\)"),
        (lambda s, t, b, z, x: ref.log_joint(s, t, b, z[:2], x), r"z must have shape \(N,\)"),
        (lambda s, t, b, z, x: ref.log_joint(s, t, b, z + 0.5, x), "z must hold integers"),
        (lambda s, t, b, z, x: ref.log_joint(s, t, b, z + 3, x), r"Every z must lie in \[0, 3\)"),
        (lambda s, t, b, z, x: ref.potential(s, {"theta": t[:2]}, x), "keys theta and beta"),
        (lambda s, t, b, z, x: ref.potential(s, {"theta": t, "beta": b}, x), r"\(K-1,\)"),
        (lambda s, t, b, z, x: ref.gibbs(s, x, 0, 0, 0), "num_draws must be an integer of at least 1"),
        (lambda s, t, b, z, x: ref.gibbs(s, x, 1, 0, 0, init_z=[z], num_chains=2), "one row per chain"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call(*make())


def test_importing_the_reference_loads_no_framework():
    code = "import sys, ppl_parity.reference; sys.exit(bool({'torch', 'jax', 'arviz'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
