"""Parameters of one distribution under two libraries' names, and matrices that are given for one another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit, logsumexp

from ppl_parity.backend.contract import Site
from ppl_parity.families import transformed
from ppl_parity.ladder.exact.parameters import misplaced, paired
from ppl_parity.ladder.exact.same_families import same_family

MEAN, SHAPE = np.array([0.5, 2.0, 7.0]), np.array(3.0)
FACTOR = np.array([[1.5, 0.0], [0.4, 0.8]])
COVARIANCE = FACTOR @ FACTOR.T


def site(family: str, **params: np.ndarray) -> Site:
    named = {key.replace("__", " "): value for key, value in params.items()}
    return Site("y", "observed", family, (3,), (), "real", "float64", params=named)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (site("NegativeBinomial", total_count=SHAPE, logits=np.log(MEAN / SHAPE)), "2"),
        (site("NegativeBinomial", total_count=SHAPE, probs=MEAN / (MEAN + SHAPE)), "2"),
        (site("GammaPoisson", concentration=SHAPE, rate=SHAPE / MEAN), "2"),
        (
            site("ZeroInflatedNegativeBinomial", base__total_count=SHAPE, base__logits=np.log(MEAN / SHAPE)),
            "zero",
        ),
        (site("ZeroInflatedNegativeBinomial", total_count=SHAPE, logits=np.log(MEAN / SHAPE)), "zero"),
    ],
)
def test_a_negative_binomial_has_one_mean_by_any_name(one: Site, other: str) -> None:
    ported = {
        "2": site("NegativeBinomial2", mean=MEAN, concentration=SHAPE),
        "zero": site("ZeroInflatedNegativeBinomial2", base__mean=MEAN, base__concentration=SHAPE),
    }[other]
    assert same_family(one.family, ported.family)
    for key in ("mean", "concentration"):
        np.testing.assert_allclose(*paired(one, ported)[key])


def test_a_beta_has_one_mean_by_any_name() -> None:
    chance = MEAN / 10
    one = site("Beta", concentration1=chance * SHAPE, concentration0=(1 - chance) * SHAPE)
    ported = site("BetaProportion", mean=chance, concentration=SHAPE)
    np.testing.assert_allclose(*paired(one, ported)["mean"])
    assert not same_family("Beta", "Normal")
    assert not same_family("ZeroInflatedGammaPoisson", "NegativeBinomial2")


@pytest.mark.parametrize(
    ("given", "matrix", "said"),
    [
        ("covariance_matrix", FACTOR, "numpyro's covariance_matrix is pyro's scale_tril"),
        ("precision_matrix", COVARIANCE, "numpyro's precision_matrix is pyro's covariance_matrix"),
        ("covariance_matrix", COVARIANCE, None),
        ("covariance_matrix", 2 * COVARIANCE, None),
    ],
)
def test_a_matrix_that_is_given_for_another_is_named(
    given: str, matrix: np.ndarray, said: str | None
) -> None:
    pyro = site("MultivariateNormal", scale_tril=FACTOR)
    numpyro = site("MultivariateNormal", **{given: matrix}, scale_tril=np.linalg.cholesky(COVARIANCE + 1))
    told = misplaced(pyro, numpyro)
    assert (told is None) if said is None else (told is not None and told.startswith(said))


def test_chances_are_paired_with_logits() -> None:
    left, right = paired(site("Bernoulli", probs=MEAN / 10), site("Bernoulli", logits=logit(MEAN / 10)))[
        "probs"
    ]
    np.testing.assert_allclose(left, right)


def test_logits_are_compared_as_they_are_up_to_a_constant() -> None:
    logits = np.array([[0.5, -1.0, 2.0], [0.1, 0.2, 4.0]])
    normalised = logits - logsumexp(logits, axis=-1, keepdims=True)
    left, right = paired(site("Categorical", logits=normalised), site("Categorical", logits=2.25 * logits))[
        "logits"
    ]
    np.testing.assert_allclose(2.25 * left, right)


def test_weights_of_a_mixture_are_compared_by_either_name() -> None:
    weights = np.array([0.2, 0.8])
    one = site("Mixture of Normal", mixing__logits=np.log(weights)[None] + 3.0)
    left, right = paired(one, site("Mixture of Normal", mixing__probs=weights[::-1]))["mixing probs"]
    np.testing.assert_allclose(left[0], weights)
    np.testing.assert_array_equal(right, weights[::-1])


def test_a_normal_of_many_dimensions_has_one_covariance_by_any_name() -> None:
    neighbours = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]])
    precision = 2.0 * (np.diag([2, 1, 1]) - 0.4 * neighbours)
    car = site(
        "CAR",
        adj_matrix=neighbours,
        conditional_precision=np.array(2.0),
        correlation=np.array(0.4),
        loc=np.zeros(1),
    )
    own = np.array([0.5, 1.0, 2.0])
    low = site("LowRankMultivariateNormal", loc=own, cov_factor=own[:, None], cov_diag=own)
    for one, covariance in ((car, np.linalg.inv(precision)), (low, np.outer(own, own) + np.diag(own))):
        other = site("MultivariateNormal", loc=np.zeros(3), covariance_matrix=covariance)
        assert same_family(one.family, other.family)
        found = paired(one, other)
        np.testing.assert_allclose(*found["covariance_matrix"])
        np.testing.assert_allclose(*found["precision_matrix"])
        assert found["loc"][0].shape == found["loc"][1].shape


@pytest.mark.parametrize(
    ("under", "base", "moved"),
    [
        ("Normal under Affine, Exp", {"base__loc": np.array(0.5), "base__scale": np.array(2.0)}, "LogNormal"),
        ("Cauchy under Affine", {"base__loc": np.array(0.5), "base__scale": np.array(2.0)}, "Cauchy"),
    ],
)
def test_a_standard_distribution_that_is_moved_has_the_location_and_scale(
    under: str, base: dict, moved: str
) -> None:
    first = {"transform__0__loc": np.array(1.0), "transform__0__scale": np.array(-3.0)}
    found = paired(site(under, **base, **first), site(moved, loc=np.array(-0.5), scale=np.array(6.0)))
    for key in ("loc", "scale"):
        np.testing.assert_allclose(*found[key])


def test_a_logit_of_what_is_uniform_is_logistic() -> None:
    second = {"transform__1__loc": np.array(1.0), "transform__1__scale": np.array(3.0)}
    logistic = site("Logistic", loc=np.array(1.0), scale=np.array(3.0))
    for high, pairs in ((1.0, {"loc", "scale"}), (2.0, set())):
        ends = {"base__low": np.array(0.0), "base__high": np.array(high)}
        found = paired(site("Uniform under Inverse of Sigmoid, Affine", **ends, **second), logistic)
        assert set(found) == pairs
        for both in found.values():
            np.testing.assert_allclose(*both)


@pytest.mark.parametrize("form", ["scale_matrix", "rate_matrix"])
def test_a_wishart_has_one_scale_by_any_name(form: str) -> None:
    one = site("Wishart", df=np.array(5.0), covariance_matrix=COVARIANCE)
    matrix = COVARIANCE if form == "scale_matrix" else np.linalg.inv(COVARIANCE)
    found = paired(one, site("Wishart", base__concentration=np.array(5.0), **{f"base__{form}": matrix}))
    for key in ("df", "scale matrix"):
        np.testing.assert_allclose(*found[key])


def test_an_inverse_is_named_by_what_it_is_the_inverse_of() -> None:
    from numpyro.distributions import transforms

    given = [transforms.SigmoidTransform().inv, transforms.AffineTransform(0.0, 2.0)]
    assert transformed("Uniform", given) == "Uniform under Inverse of Sigmoid, Affine"
