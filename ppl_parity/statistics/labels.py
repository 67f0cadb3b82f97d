"""Label switching: give the components of every draw the same names.

The mixture's density does not change when its components are renamed, so "component 1" may mean another
cluster in another draw, chain or backend, and a mean over draws then means nothing. Files keep the raw draws;
whatever summarises components relabels first, and says that it did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ppl_parity.draws.posterior import group
from ppl_parity.errors import InputError
from ppl_parity.statistics.assignment import assign

if TYPE_CHECKING:
    from xarray import Dataset, DataTree

# Places tell components apart, weights only break near ties: the weight of a component that took a few rows
# from its neighbour moves more than its place does.
THETA_WEIGHT = 0.1
# Alternating assignment and mean is k-means over permutations: it stops by itself, almost always within ten.
MAX_ROUNDS = 50
METHOD = "Hungarian assignment of each draw's components to a pivot, by squared distance of beta and theta"


@dataclass(frozen=True, eq=False)
class Pivot:
    """The components that draws are matched to: theta (K,), beta (K, D), and the units of the distance.

    Args:
        theta: (K,).
        beta: (K, D), in the unit of the data.
        theta_scale: a typical posterior sd of a weight.
        beta_scale: (D,), a typical posterior sd of a component's place.
    """

    theta: np.ndarray
    beta: np.ndarray
    theta_scale: float
    beta_scale: np.ndarray


@dataclass(frozen=True, eq=False)
class Relabelling:
    """New names for the components of each draw; ``apply`` puts them into force.

    Args:
        permutations: (C, S, K) int; entry k is the raw index of the component that is now called k.
        share_permuted: the share of draws whose names change at all.
        pivot: what the draws were matched to; give it to ``relabel`` to name another posterior alike.
        method: how, in words, for a report.
    """

    permutations: np.ndarray
    share_permuted: float
    pivot: Pivot
    method: str = METHOD

    @property
    def share_switched(self) -> float:
        """The share of draws whose naming is not the commonest one: label switching proper."""
        flat = self.permutations.reshape(-1, self.permutations.shape[-1])
        return 1.0 - float(np.unique(flat, axis=0, return_counts=True)[1].max()) / len(flat)

    def __str__(self) -> str:
        return f"{self.method}; labels switched in {self.share_switched:.1%} of the draws"


def relabel(
    theta: np.ndarray, beta: np.ndarray, pivot: Pivot | None = None, lp: np.ndarray | None = None
) -> Relabelling:
    """Find the permutation of each draw's components that brings it nearest to a pivot.

        argmin_perm sum_k |beta_perm(k) - beta*_k|^2 / scale^2 + 0.1 (theta_perm(k) - theta*_k)^2 / scale^2

    Without a pivot, it starts from the draw of highest density and moves to the mean of the relabelled draws
    until nothing changes; its components are then put in the order of their first coordinate, so that two
    fits of one model get the same names.

    Args:
        theta: (C, S, K) weights.
        beta: (C, S, K, D) places, in the unit of the data.
        pivot: from another posterior's relabelling: match to this one, as it is.
        lp: (C, S) log density of each draw; without it the first pivot is the most typical draw.

    Returns:
        A ``Relabelling``.

    Raises:
        InputError: the shapes do not fit each other, or a draw is not finite.

    Source: Stephens 2000, JRSS B 62:795; Papastamoulis 2016, JSS 69:1 (pivotal reordering).
    """
    theta, beta = np.asarray(theta, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    _check(theta, beta, pivot)
    shape = theta.shape
    flat_theta, flat_beta = theta.reshape(-1, shape[-1]), beta.reshape(-1, *beta.shape[2:])
    if pivot is None:
        permutations, pivot = _search(flat_theta, flat_beta, None if lp is None else np.ravel(lp))
    else:
        permutations = _assign(flat_theta, flat_beta, pivot)
    share = float(np.mean(np.any(permutations != np.arange(shape[-1]), axis=-1)))
    return Relabelling(permutations.reshape(shape), share, pivot)


def apply(relabelling: Relabelling, array: np.ndarray, axis: int = 2) -> np.ndarray:
    """Rename the components along ``axis`` (2 or later) of ``array`` (C, S, ..., K, ...)."""
    array = np.asarray(array)
    axis = axis % array.ndim
    permutations = relabelling.permutations
    if axis < 2 or (*array.shape[:2], array.shape[axis]) != permutations.shape:
        raise InputError(
            f"An array to relabel must have shape (C, S, ...) with K components along axis {axis}, where "
            f"(C, S, K) = {permutations.shape}; got shape {array.shape}."
        )
    inner = [permutations.shape[-1] if i == axis else 1 for i in range(2, array.ndim)]
    return np.take_along_axis(array, permutations.reshape(*permutations.shape[:2], *inner), axis=axis)


def apply_to_labels(relabelling: Relabelling, z: np.ndarray) -> np.ndarray:
    """Rename the labels themselves: ``z`` (C, S, N) of raw component indices."""
    inverse = np.argsort(relabelling.permutations, axis=-1)
    return np.take_along_axis(inverse, np.asarray(z, dtype=np.int64), axis=-1)


def relabelled_posterior(tree: DataTree, pivot: Pivot | None = None) -> tuple[Dataset, Relabelling | None]:
    """The posterior group of ``tree``, relabelled if it is a mixture's.

    Args:
        tree: from ``to_datatree``. It is a mixture's if ``theta`` has the axes (chain, draw, component) and
            ``beta`` (chain, draw, component, dim), with two components or more.
        pivot: from another posterior, to name the components as there.

    Returns:
        A new dataset, and the relabelling; the raw one and None if there is nothing to relabel, or if a draw
        is not finite and so has no place.
    """
    posterior = group(tree, "posterior")
    if not is_mixture(posterior) or posterior.sizes["component"] < 2:
        return posterior, None
    theta, beta = posterior["theta"].values, posterior["beta"].values
    if not (np.all(np.isfinite(theta)) and np.all(np.isfinite(beta))):
        return posterior, None
    stats = group(tree, "sample_stats")
    result = relabel(theta, beta, pivot, stats["lp"].values if "lp" in stats else None)
    renamed = {}
    for name, values in posterior.data_vars.items():
        if "component" in values.dims and values.dims[:2] == ("chain", "draw"):
            renamed[name] = values.copy(data=apply(result, values.values, values.dims.index("component")))
        elif name == "z" and values.dims[:2] == ("chain", "draw") and values.ndim == 3:
            renamed[name] = values.copy(data=apply_to_labels(result, values.values))
    return posterior.assign(renamed), result


def is_mixture(posterior: Dataset) -> bool:
    """Whether ``theta`` and ``beta`` are a mixture's weights and places, by the names of their axes."""
    axes = {"theta": ("chain", "draw", "component"), "beta": ("chain", "draw", "component", "dim")}
    return all(name in posterior and posterior[name].dims == dims for name, dims in axes.items())


def _check(theta: np.ndarray, beta: np.ndarray, pivot: Pivot | None) -> None:
    if theta.ndim != 3 or beta.ndim != 4 or beta.shape[:3] != theta.shape or 0 in beta.shape:
        raise InputError(
            "Draws to relabel must have shapes theta (C, S, K) and beta (C, S, K, D), none of them empty; "
            f"got {theta.shape} and {beta.shape}."
        )
    if not (np.all(np.isfinite(theta)) and np.all(np.isfinite(beta))):
        raise InputError("Draws to relabel must be finite; some of theta or beta are not.")
    if pivot is not None and pivot.beta.shape != beta.shape[2:]:
        raise InputError(
            f"A pivot must have the draws' components, (K, D) = {beta.shape[2:]}; got {pivot.beta.shape}."
        )


def _search(theta: np.ndarray, beta: np.ndarray, lp: np.ndarray | None) -> tuple[np.ndarray, Pivot]:
    first = _typical(theta, beta) if lp is None or not np.any(np.isfinite(lp)) else int(np.nanargmax(lp))
    pooled = _scale(beta.reshape(-1, beta.shape[-1]).std(axis=0))
    permutations = _assign(theta, beta, Pivot(theta[first], beta[first], float(_scale(theta.std())), pooled))
    for _ in range(MAX_ROUNDS):
        pivot = _mean(theta, beta, permutations)
        previous, permutations = permutations, _assign(theta, beta, pivot)
        if np.array_equal(previous, permutations):
            break
    pivot = _mean(theta, beta, permutations)
    order = np.lexsort((pivot.theta, *pivot.beta.T[::-1]))  # the last key, the first coordinate, counts most
    canonical = Pivot(pivot.theta[order], pivot.beta[order], pivot.theta_scale, pivot.beta_scale)
    return permutations[:, order], canonical


def _typical(theta: np.ndarray, beta: np.ndarray) -> int:
    """The draw nearest to the median of quantities that no renaming changes."""
    moments = [beta.mean(axis=1), (beta**2).mean(axis=1), (theta**2).sum(axis=1, keepdims=True)]
    features = np.concatenate(moments, axis=1)
    centred = features - np.median(features, axis=0)
    return int(np.argmin(np.sum((centred / _scale(np.median(np.abs(centred), axis=0))) ** 2, axis=1)))


def _mean(theta: np.ndarray, beta: np.ndarray, permutations: np.ndarray) -> Pivot:
    theta = np.take_along_axis(theta, permutations, axis=1)
    beta = np.take_along_axis(beta, permutations[:, :, None], axis=1)
    # The median over components: an empty one roams its prior and would set the unit for all.
    return Pivot(
        theta.mean(axis=0),
        beta.mean(axis=0),
        float(_scale(np.median(theta.std(axis=0)))),
        _scale(np.median(beta.std(axis=0), axis=0)),
    )


def _scale(sd: np.ndarray) -> np.ndarray:
    return np.where(sd > 0, sd, 1.0)  # one draw, or draws that never move, have no scale


def _assign(theta: np.ndarray, beta: np.ndarray, pivot: Pivot) -> np.ndarray:
    """(S, K): for each draw, the raw index of the component that the pivot's k-th one gets."""
    weight = np.sqrt(THETA_WEIGHT) / pivot.theta_scale
    centre = pivot.beta.mean(axis=0)  # data far from the origin must not cost digits
    points = np.concatenate([(beta - centre) / pivot.beta_scale, weight * theta[..., None]], axis=-1)
    anchors = np.concatenate(
        [(pivot.beta - centre) / pivot.beta_scale, weight * pivot.theta[:, None]], axis=-1
    )
    distance = np.sum(points**2, axis=-1)[:, None, :] + np.sum(anchors**2, axis=-1)[None, :, None]
    cost = distance - 2 * np.einsum("jd,skd->sjk", anchors, points, optimize=True)
    return assign(cost)
