"""Whether the mixture's fixed scales suit the data: what good draws of an unsuitable model do not show.

The noise scale and the prior of beta are given, and in the data's unit. Where they do not suit, NUTS runs without
trouble, and its posterior is narrow and beside the point.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ppl_parity.draws.posterior import attribute, group
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics.labels import Relabelling, apply

if TYPE_CHECKING:
    from xarray import DataTree

# Enough for a scatter within a few percent, and a few milliseconds at any size.
MOST_ROWS, MOST_DRAWS = 1000, 20
# Beyond what the model's own replicates show, in standard deviations, and large enough to change conclusions.
Z = 4.0
SCATTER = 1.25
# One row among thousands may lie at four standard deviations by chance; so far out does none.
Z_OF_A_ROW = 6.0
PRIOR_SD = 3.0
PULL = 1.0


def misfits(tree: DataTree, relabelling: Relabelling | None = None) -> list[str]:
    """Say where the noise scale, or the prior of beta, is at odds with the data.

    Rows: given z and beta, |x_i - beta_{z_i}|^2 / s^2 of a replicate is chi-squared with D degrees of freedom, so the
    sum over rows needs no replicates to be compared with. Prior: to first order it moves a component's mean by V
    Sigma^-1 (beta_k - mu), where V is its posterior variance.

    Args:
        tree: a fit of the mixture, with its ``spec`` and the observed data.
        relabelling: of its components, so that a mean over draws is one component's.

    Returns:
        A few sentences for each; none if nothing was found, or if the draws are not finite.

    Source: Gelman, Meng and Stern 1996, Statistica Sinica 6:733 (realised discrepancies).
    """
    posterior, observed = group(tree, "posterior"), group(tree, "observed_data")
    spec = MixtureSpec(**attribute(tree, "spec"))
    theta, beta = (np.asarray(posterior[name].values, dtype=np.float64) for name in ("theta", "beta"))
    if not (np.all(np.isfinite(theta)) and np.all(np.isfinite(beta))):
        return []
    found = (
        _scatter(spec, theta, beta, np.asarray(observed["x"].values, np.float64)) if "x" in observed else []
    )
    return found + _pull(spec, beta if relabelling is None else apply(relabelling, beta))


def _scatter(spec: MixtureSpec, theta: np.ndarray, beta: np.ndarray, x: np.ndarray) -> list[str]:
    draws = _spread(math.prod(theta.shape[:2]), MOST_DRAWS)
    rows = _spread(len(x), MOST_ROWS)
    flat_theta, flat_beta = theta.reshape(-1, theta.shape[-1]), beta.reshape(-1, *beta.shape[2:])
    square = np.mean([_squares(spec, flat_theta[s], flat_beta[s], x[rows]) for s in draws], axis=0)
    far = _z(square, spec.dim) > Z_OF_A_ROW
    found = []
    if 0 < (count := int(np.count_nonzero(far))) <= len(rows) / 20:
        worst = int(np.argmax(square))
        among = f"{len(rows)} rows" if len(rows) == len(x) else f"the {len(rows)} rows that were looked at"
        found.append(
            f"{count} of {among} {'lies' if count == 1 else 'lie'} far from every component, row {rows[worst]} (from "
            f"0) {math.sqrt(square[worst]):.3g} noise scales: outliers draw components to themselves. Look at them, "
            "or give them components of their own."
        )
        square = square[~far]
    total, degrees = float(square.sum()), len(square) * spec.dim
    ratio = math.sqrt(total / degrees)
    if abs(_z(total, degrees)) <= Z or 1 / SCATTER < ratio < SCATTER:
        return found
    told = (
        f"Rows scatter around their components by {ratio:.3g} noise scales (root mean square of a column), where the "
        "model says 1: "
    )
    if ratio > 1:
        K = spec.num_components
        few = f"{K} {'component is' if K == 1 else 'components are'} too few"
        told += (
            f"noise_scale = {spec.noise_scale:g} is too small for these data, or {few}, and the posterior is far too "
            "sure. Set noise_scale to what a cluster scatters by in a column, add components, or standardise the data."
        )
    else:
        told += (
            f"noise_scale = {spec.noise_scale:g} is too large for these data, and clusters that are closer than that "
            "are not told apart. Set noise_scale to what a cluster scatters by in a column, or standardise the data."
        )
    return [*found, told]


def _squares(spec: MixtureSpec, theta: np.ndarray, beta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N,): |x_i - beta_z|^2 / s^2, in expectation over z_i given the rest."""
    square = (((x[:, None] - beta) / spec.noise_scale) ** 2).sum(axis=-1)
    with np.errstate(divide="ignore"):
        logits = np.log(theta) - square / 2
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (weights * square).sum(axis=1) / weights.sum(axis=1)


def _pull(spec: MixtureSpec, beta: np.ndarray) -> list[str]:
    flat = beta.reshape(-1, *beta.shape[2:])
    mean, sd = flat.mean(axis=0), flat.std(axis=0)
    towards = np.linalg.solve(spec.prior_cov, (mean - spec.prior_mean).T).T
    distance = np.sqrt(((mean - spec.prior_mean) * towards).sum(axis=1) / spec.dim)
    pull = np.abs(sd * towards).max(axis=1)
    odd = (distance > PRIOR_SD) & (pull > PULL)
    if not odd.any():
        return []
    k = int(np.argmax(np.where(odd, pull, 0)))
    return [
        f"The prior of beta is at odds with the data: component {k} lies {distance[k]:.3g} prior standard deviations "
        f"from its mean (root mean square of a column), and is moved towards it by {pull[k]:.2g} posterior standard "
        "deviations. Widen prior_cov, move prior_mean, or standardise the data."
    ]


def _z(square: np.ndarray | float, degrees: int) -> np.ndarray:
    """A chi-squared number as a normal one (Wilson and Hilferty 1931), good in the far tails too."""
    variance = 2 / (9 * degrees)
    return (np.cbrt(np.asarray(square) / degrees) - (1 - variance)) / math.sqrt(variance)


def _spread(size: int, most: int) -> np.ndarray:
    """At most ``most`` of ``range(size)``, evenly."""
    return np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(int))
