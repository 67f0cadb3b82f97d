"""Unequal concentrations make the order of the components part of the model; a chain keeps the one it starts in."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from ppl_parity.draws.posterior import attribute, group
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics.labels import Relabelling

if TYPE_CHECKING:
    from xarray import DataTree

MOST_COMPONENTS = 6  # of whose orders all can be gone through
DRAWS = 2000  # that are looked at: shares of two orders among them are known to 0.011
NOTABLE = 0.06  # of the orders' probability, in total variation


def misplaced(theta: np.ndarray, renamed: np.ndarray, concentration: np.ndarray) -> tuple[float, float]:
    """How far the draws' shares of the K! orders are from the posterior's, in total variation.

    Given the components without their order, an order has the probability

        p(pi) = prod_k theta_pi(k)^(alpha_k - 1) / sum over all orders,

    for likelihood and the prior of beta are the same in each.

    Args:
        theta: (S, K) raw weights.
        renamed: (S, K), entry k the raw index of the component that is called k in every draw.
        concentration: (K,), alpha.

    Returns:
        the distance, and what it is expected to be of so many draws whose orders are right.
    """
    K = len(concentration)
    orders = np.array(list(permutations(range(K))))  # entry j: the component, by its name, at place j
    logs = np.log(np.maximum(np.take_along_axis(theta, renamed, axis=1), np.finfo(np.float64).tiny))
    weights = np.einsum("pjs,j->sp", logs.T[orders], concentration - 1.0)
    weights = np.exp(weights - weights.max(axis=1, keepdims=True))
    expected = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    names = np.argsort(renamed, axis=1)  # at place j of the raw draw: its component's name
    found = np.array([np.mean(np.all(names == order, axis=1)) for order in orders])
    chance = np.sqrt(2 * expected * (1 - expected) / (np.pi * len(theta)))
    return float(0.5 * np.abs(found - expected).sum()), float(0.5 * chance.sum())


def order_troubles(tree: DataTree, relabelling: Relabelling | None) -> list[str]:
    """A sentence where the chains' orders do not have the probabilities that unequal concentrations give them.

    Args:
        tree: a fit of the mixture, with its ``spec``.
        relabelling: of its components; None where nothing was to be renamed, or could be.
    """
    concentration = np.asarray(MixtureSpec(**attribute(tree, "spec")).concentration)
    if relabelling is None or not np.ptp(concentration) or len(concentration) > MOST_COMPONENTS:
        return []
    theta = np.asarray(group(tree, "posterior")["theta"].values, dtype=np.float64)
    flat, renamed = (values.reshape(-1, len(concentration)) for values in (theta, relabelling.permutations))
    chosen = np.linspace(0, len(flat) - 1, min(DRAWS, len(flat))).astype(int)
    apart, chance = misplaced(flat[chosen], renamed[chosen], concentration)
    if apart < NOTABLE + chance:
        return []
    return [
        "The concentrations differ, so the order of the components is part of the model, and the draws' orders do not "
        f"have their posterior probabilities (apart by {apart:.0%}): a chain keeps the order it starts in, which no "
        "longer run mends. Believe of the raw draws, and of a component's weight to within what its prior moves it, "
        "only what does not hang on the order; or give all components one concentration."
    ]
