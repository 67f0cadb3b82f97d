"""Unequal concentrations: whether the draws are in the orders of components that the posterior has."""

from __future__ import annotations

import numpy as np
import pytest

from ppl_parity.draws.posterior import MIXTURE_DIMS, to_datatree
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics.labels import relabelled_posterior
from ppl_parity.statistics.orders import misplaced, order_troubles

WEIGHTS = np.array([0.3, 0.7])


def draws(concentration: list[float], share: float, seed: int = 0) -> list[str]:
    """What is told of draws of two clusters, of which a share has the first cluster as its component 0."""
    rng = np.random.default_rng(seed)
    theta = rng.dirichlet(200 * WEIGHTS, size=(4, 500))
    beta = np.array([[-3.0], [3.0]]) + 0.1 * rng.standard_normal((4, 500, 2, 1))
    turned = rng.random((4, 500)) > share
    theta = np.where(turned[..., None], theta[..., ::-1], theta)
    beta = np.where(turned[..., None, None], beta[..., ::-1, :], beta)
    spec = MixtureSpec(2, 1, concentration).as_dict()
    tree = to_datatree({"posterior": {"theta": theta, "beta": beta}}, {"spec": spec}, MIXTURE_DIMS)
    return order_troubles(tree, relabelled_posterior(tree)[1])


def expected(concentration: list[float]) -> float:
    """The probability of the order in which component 0 is the first cluster."""
    powers = [np.prod(weights ** (np.array(concentration) - 1)) for weights in (WEIGHTS, WEIGHTS[::-1])]
    return float(powers[0] / sum(powers))


@pytest.mark.parametrize("concentration", [[2.0, 3.0], [1.0, 10.0]])
def test_orders_in_their_own_proportion_are_no_trouble_and_one_alone_is(concentration: list[float]) -> None:
    share = expected(concentration)
    assert all(not draws(concentration, share, seed) for seed in range(20))
    (told,) = draws(concentration, 0.0)
    assert f"apart by {share:.0%}" in told


def test_equal_concentrations_have_no_order() -> None:
    assert draws([2.0, 2.0], 1.0) == []


def test_three_components_are_held_to_all_six_orders() -> None:
    rng = np.random.default_rng(1)
    theta, alpha = rng.dirichlet([30.0, 50.0, 70.0], size=4000), np.array([1.0, 2.0, 4.0])
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    weights = np.prod(theta[:, orders] ** (alpha - 1), axis=-1)
    weights /= weights.sum(axis=1, keepdims=True)
    chosen = orders[[rng.choice(6, p=row) for row in weights]]
    raw = np.take_along_axis(theta, chosen, axis=1)
    apart, chance = misplaced(raw, np.argsort(chosen, axis=1), alpha)
    assert 0.3 * chance < apart < 3 * chance
    assert misplaced(theta, np.tile(np.arange(3), (4000, 1)), alpha)[0] > 0.1
