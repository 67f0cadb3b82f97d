"""A noise scale or a prior that does not suit the data is told, and one that does is not."""

from __future__ import annotations

import numpy as np
import pytest

from ppl_parity.data import simulate
from ppl_parity.draws.posterior import MIXTURE_DIMS, to_datatree
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics.labels import relabel
from ppl_parity.statistics.misfit import misfits


def fitted(spec, x, theta, beta, sd=0.1, switch=False):
    """A tree whose draws lie around theta and beta: the posterior of a fit that went well."""
    rng = np.random.default_rng(0)
    places = beta + sd * rng.normal(size=(2, 50, *beta.shape))
    weights = np.broadcast_to(theta, (2, 50, len(theta))).copy()
    if switch:
        order = np.argsort(rng.random(weights.shape), axis=-1)
        weights = np.take_along_axis(weights, order, 2)
        places = np.take_along_axis(places, order[..., None], 2)
    groups = {"posterior": {"theta": weights, "beta": places}, "observed_data": {"x": x}}
    return to_datatree(groups, {"spec": spec.as_dict()}, MIXTURE_DIMS)


def told(tree):
    theta, beta = (tree["posterior"][name].values for name in ("theta", "beta"))
    return misfits(tree, relabel(theta, beta))


@pytest.mark.parametrize("switch", [False, True])
@pytest.mark.parametrize("num_data", [1, 5, 400, 20_000])
def test_data_of_the_model_are_no_misfit(num_data, switch):
    for seed in range(10):
        spec = MixtureSpec(3, 2, prior_cov=9.0, noise_scale=0.5)
        truth = simulate(spec, num_data, seed)
        assert told(fitted(spec, truth["x"], truth["theta"], truth["beta"], sd=0.05, switch=switch)) == []


@pytest.mark.parametrize(
    ("noise_scale", "words"),
    [
        (0.1, ("noise_scale = 0.1 is too small for these data, or 2 components are too few", "by 10")),
        (10.0, ("noise_scale = 10 is too large", "by 0.")),
    ],
)
def test_a_noise_scale_in_another_unit_is_told(noise_scale, words):
    spec = MixtureSpec(2, 2, prior_cov=[[9.0, 1.0], [1.0, 4.0]])
    truth = simulate(spec, 300, seed=1)
    other = MixtureSpec(2, 2, prior_cov=9.0, noise_scale=noise_scale)
    (sentence,) = told(fitted(other, truth["x"], truth["theta"], truth["beta"], sd=0.01))
    assert all(word in sentence for word in words), sentence


def test_too_few_components_are_told():
    x = np.concatenate([np.full((50, 1), -3.0), np.full((50, 1), 3.0)])
    (sentence,) = told(fitted(MixtureSpec(1, 1), x, np.ones(1), np.zeros((1, 1))))
    assert "or 1 component is too few" in sentence
    assert "by 3 noise scales" in sentence


def test_outliers_are_named_and_kept_out_of_the_scatter():
    spec = MixtureSpec(2, 2, prior_cov=9.0)
    truth = simulate(spec, 300, seed=2)
    x = truth["x"].copy()
    x[17] = [500.0, -500.0]
    (sentence,) = told(fitted(spec, x, truth["theta"], truth["beta"]))
    assert sentence.startswith("1 of 300 rows lies far from every component, row 17 (from 0)")


def test_a_prior_far_from_the_data_is_told_with_the_component():
    spec = MixtureSpec(2, 2)
    x = np.random.default_rng(3).normal(size=(100, 2)) + np.repeat([[0.0, 0.0], [30.0, 30.0]], 50, axis=0)
    (sentence,) = told(fitted(spec, x, np.full(2, 0.5), np.array([[0.0, 0.0], [30.0, 30.0]])))
    assert "component 1 lies 30 prior standard deviations" in sentence
    # V Sigma^-1 (beta - mu) in units of the posterior sd: 0.1 * 30, and more in the column that varies more.
    moved = float(sentence.partition("moved towards it by ")[2].split()[0])
    assert 2.7 < moved < 3.6
    wide = MixtureSpec(2, 2, prior_cov=900.0)
    assert told(fitted(wide, x, np.full(2, 0.5), np.array([[0.0, 0.0], [30.0, 30.0]]))) == []


def test_draws_that_are_not_finite_are_left_to_others():
    spec = MixtureSpec(1, 1)
    assert misfits(fitted(spec, np.zeros((5, 1)), np.ones(1), np.full((1, 1), np.nan))) == []
