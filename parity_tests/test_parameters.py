"""Parameters of one distribution under two libraries' names, and matrices that are given for one another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from ppl_parity.backend.contract import Site
from ppl_parity.ladder.exact.parameters import misplaced, paired
from ppl_parity.ladder.exact.same_families import same_family

MEAN, SHAPE = np.array([0.5, 2.0, 7.0]), np.array(3.0)
FACTOR = np.array([[1.5, 0.0], [0.4, 0.8]])
COVARIANCE = FACTOR @ FACTOR.T


def site(family: str, **params: np.ndarray) -> Site:
    named = {key.replace("__", " "): value for key, value in params.items()}
    return Site("y", "observed", family, (3,), (), "real", "float64", params=named)


@pytest.mark.parametrize(
    ("one", "other", "prefix"),
    [
        (site("NegativeBinomial", total_count=SHAPE, logits=np.log(MEAN / SHAPE)), "2", ""),
        (site("NegativeBinomial", total_count=SHAPE, probs=MEAN / (MEAN + SHAPE)), "2", ""),
        (site("GammaPoisson", concentration=SHAPE, rate=SHAPE / MEAN), "2", ""),
        (
            site("ZeroInflatedNegativeBinomial", base__total_count=SHAPE, base__logits=np.log(MEAN / SHAPE)),
            "zero",
            "base ",
        ),
    ],
)
def test_a_negative_binomial_has_one_mean_by_any_name(one: Site, other: str, prefix: str) -> None:
    ported = {
        "2": site("NegativeBinomial2", mean=MEAN, concentration=SHAPE),
        "zero": site("ZeroInflatedNegativeBinomial2", base__mean=MEAN, base__concentration=SHAPE),
    }[other]
    assert same_family(one.family, ported.family)
    for key in ("mean", "concentration"):
        np.testing.assert_allclose(*paired(one, ported)[prefix + key])


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


def test_weights_of_a_mixture_are_compared_by_either_name() -> None:
    weights = np.array([0.2, 0.8])
    one = site("Mixture of Normal", mixing__logits=np.log(weights)[None] + 3.0)
    left, right = paired(one, site("Mixture of Normal", mixing__probs=weights[::-1]))["mixing probs"]
    np.testing.assert_allclose(left[0], weights)
    np.testing.assert_array_equal(right, weights[::-1])
