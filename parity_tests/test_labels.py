"""Relabelling recovers what was switched, and invariants do not notice the switch."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from ppl_parity.draws.posterior import MIXTURE_DIMS, to_datatree
from ppl_parity.errors import InputError
from ppl_parity.statistics import invariants as inv
from ppl_parity.statistics.labels import apply, apply_to_labels, relabel, relabelled_posterior


def draws(num_components, dim=2, chains=4, num_draws=200, spread=0.1, seed=0):
    """Draws in canonical order: components along the first coordinate, one unit apart."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(num_components, dim))
    places[:, 0] = np.arange(num_components)
    shape = (chains, num_draws, num_components)
    theta = rng.dirichlet(np.linspace(20, 40, num_components), size=shape[:2])
    return theta, places + spread * rng.normal(size=(*shape, dim))


def switched(theta, beta, seed=1):
    order = np.argsort(np.random.default_rng(seed).random(theta.shape), axis=-1)
    return np.take_along_axis(theta, order, 2), np.take_along_axis(beta, order[..., None], 2), order


@pytest.mark.parametrize("num_components", [1, 2, 3, 20])
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("with_lp", [False, True])
def test_switched_draws_are_recovered_exactly(num_components, dim, with_lp):
    theta, beta = draws(num_components, dim, spread=0.05)
    raw_theta, raw_beta, order = switched(theta, beta)
    lp = np.random.default_rng(2).normal(size=theta.shape[:2]) if with_lp else None
    result = relabel(raw_theta, raw_beta, lp=lp)
    np.testing.assert_array_equal(apply(result, raw_theta), theta)
    np.testing.assert_array_equal(apply(result, raw_beta, axis=-2), beta)
    assert result.share_permuted == np.mean(np.any(order != np.arange(num_components), axis=-1))


def test_draws_in_order_are_left_alone():
    result = relabel(*draws(3))
    assert result.share_permuted == 0
    assert result.share_switched == 0


def test_overlapping_components_still_get_permutations_and_shrink():
    theta, beta = draws(4, dim=1, spread=0.6)
    raw_theta, raw_beta, _ = switched(theta, beta)
    result = relabel(raw_theta, raw_beta)
    np.testing.assert_array_equal(
        np.sort(result.permutations, axis=-1), np.zeros((4, 200, 1), int) + np.arange(4)
    )
    assert apply(result, raw_beta).std(axis=(0, 1)).max() < 0.7 < raw_beta.std(axis=(0, 1)).min()


def test_the_assignment_is_the_cheapest_of_all_permutations():
    theta, beta = draws(4, dim=2, chains=1, num_draws=50, spread=1.0)
    result = relabel(theta, beta)
    pivot, again = result.pivot, relabel(theta, beta, pivot=result.pivot)
    unit = np.sqrt(0.1) / pivot.theta_scale

    def cost(draw, order):
        places = np.sum(((beta[0, draw, order] - pivot.beta) / pivot.beta_scale) ** 2)
        return places + np.sum((unit * (theta[0, draw, order] - pivot.theta)) ** 2)

    for draw in range(50):
        best = min(cost(draw, list(order)) for order in itertools.permutations(range(4)))
        np.testing.assert_allclose(cost(draw, again.permutations[0, draw]), best, rtol=1e-10)


def test_ties_are_broken_by_theta_and_never_break_a_permutation():
    theta = np.tile([0.2, 0.8], (2, 50, 1))
    theta[1] = theta[1, :, ::-1]
    result = relabel(theta, np.zeros((2, 50, 2, 1)))
    assert np.ptp(apply(result, theta), axis=(0, 1)).max() == 0
    same = relabel(np.full((2, 50, 3), 1 / 3), np.ones((2, 50, 3, 2)))
    np.testing.assert_array_equal(
        np.sort(same.permutations, axis=-1), np.zeros((2, 50, 1), int) + np.arange(3)
    )


def test_a_second_posterior_gets_the_names_of_the_first():
    # The first coordinate ties, so that each posterior by itself would be named by chance.
    places = np.array([[0.0, -5.0], [0.0, 5.0]])
    rng = np.random.default_rng(3)
    weights = np.full((2, 100, 2), 0.5)
    first = relabel(weights, places + 0.1 * rng.normal(size=(2, 100, 2, 2)))
    other = places[::-1] + 0.1 * rng.normal(size=(2, 100, 2, 2))
    second = relabel(weights, other, pivot=first.pivot)
    np.testing.assert_allclose(apply(second, other).mean(axis=(0, 1)), first.pivot.beta, atol=0.05)
    assert second.pivot is first.pivot


def test_four_thousand_draws_of_three_components_are_fast():
    raw_theta, raw_beta, _ = switched(*draws(3, num_draws=1000))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        relabel(raw_theta, raw_beta)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1


def test_data_far_from_the_origin_cost_no_digits():
    theta, beta = draws(3)
    raw_theta, raw_beta, _ = switched(theta, beta + 1e8)
    np.testing.assert_array_equal(apply(relabel(raw_theta, raw_beta), raw_theta), theta)


def test_wrong_draws_are_refused_in_a_sentence():
    theta, beta = draws(3)
    with pytest.raises(InputError, match=r"must have shapes theta \(C, S, K\)"):
        relabel(theta[:, :, :2], beta)
    with pytest.raises(InputError, match="must be finite"):
        relabel(theta, np.where(beta > 2, np.nan, beta))
    with pytest.raises(InputError, match="A pivot must have"):
        relabel(theta, beta, pivot=relabel(*draws(2)).pivot)
    with pytest.raises(InputError, match="along axis 3"):
        apply(relabel(theta, beta), beta, axis=3)


def test_the_posterior_of_a_tree_is_relabelled_with_its_labels():
    theta, beta = draws(3)
    raw_theta, raw_beta, order = switched(theta, beta)
    z = np.random.default_rng(4).integers(0, 3, size=(4, 200, 7))
    raw_z = np.take_along_axis(np.argsort(order, axis=-1), z, axis=-1)
    tree = to_datatree({"posterior": {"theta": raw_theta, "beta": raw_beta, "z": raw_z}}, {}, MIXTURE_DIMS)
    posterior, result = relabelled_posterior(tree)
    assert result is not None
    np.testing.assert_array_equal(posterior["theta"], theta)
    np.testing.assert_array_equal(posterior["beta"], beta)
    np.testing.assert_array_equal(posterior["z"], z)
    np.testing.assert_array_equal(apply_to_labels(result, raw_z), z)
    np.testing.assert_array_equal(tree["posterior"]["theta"], raw_theta)


def test_variables_that_only_share_the_names_are_not_relabelled():
    theta, beta = draws(3)
    tree = to_datatree({"posterior": {"theta": theta, "beta": beta}}, {}, {"theta": ("school",)})
    assert relabelled_posterior(tree)[1] is None


def test_invariants_do_not_notice_a_switch():
    theta, beta = draws(3)
    raw_theta, raw_beta, order = switched(theta, beta)
    z = np.random.default_rng(5).integers(0, 3, size=(4, 200, 20))
    raw_z = np.take_along_axis(np.argsort(order, axis=-1), z, axis=-1)
    log_likelihood = np.random.default_rng(6).normal(size=(4, 200, 20))

    def tree(theta, beta, z):
        groups = {
            "posterior": {"theta": theta, "beta": beta, "z": z},
            "sample_stats": {"lp": theta[..., 0] * 0},
            "log_likelihood": {"x": log_likelihood},
        }
        return to_datatree(groups, {}, MIXTURE_DIMS)

    one, two = inv.invariants(tree(theta, beta, z)), inv.invariants(tree(raw_theta, raw_beta, raw_z))
    assert set(one) == {
        "mixture_mean",
        "mixture_variance",
        "theta_squared",
        "log_density",
        "predictive_ratio",
        "same_cluster_share",
    }
    for name, values in one.items():
        assert values.shape[:2] == (4, 200), name
        np.testing.assert_allclose(two[name], values, rtol=1e-12, atol=1e-14, err_msg=name)
    np.testing.assert_array_equal(inv.coclustering(raw_z), inv.coclustering(z))


def test_coclustering_and_predictive_densities_are_what_they_say(monkeypatch):
    z = np.random.default_rng(7).integers(0, 3, size=(2, 50, 11))
    expected = np.mean(z[..., :, None] == z[..., None, :], axis=(0, 1))
    monkeypatch.setattr(inv, "CHUNK", 70)  # several chunks, the last one short
    np.testing.assert_allclose(inv.coclustering(z), expected, rtol=1e-12)
    np.testing.assert_allclose(
        inv.same_cluster_share(z), np.mean(z[..., :, None] == z[..., None, :], axis=(-1, -2)), rtol=1e-12
    )
    log_likelihood = np.random.default_rng(8).normal(size=(2, 50, 11)) - 800  # exp underflows
    by_hand = np.log(np.mean(np.exp(log_likelihood + 800), axis=(0, 1))) - 800
    np.testing.assert_allclose(inv.log_predictive(log_likelihood), by_hand, rtol=1e-12)
    np.testing.assert_allclose(inv.predictive_ratio(log_likelihood).mean(axis=(0, 1)), 1, rtol=1e-10)


def test_coclustering_refuses_what_would_not_fit():
    with pytest.raises(InputError, match="at most 5000 rows; got 5001"):
        inv.coclustering(np.zeros((1, 1, 5001), int))
    with pytest.raises(InputError, match="integers from 0"):
        inv.coclustering(np.full((1, 1, 3), 0.5))
