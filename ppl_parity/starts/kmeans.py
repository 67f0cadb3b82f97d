"""Where the mixture's chains start: k-means++ on the data, spread out so that R-hat can mean something.

Uniform starts leave chains in bad modes (two components on one cluster), from which NUTS does not return
in any affordable time. A k-means start puts each component on a cluster; each chain runs its own k-means
and is then moved by several posterior standard deviations, so that the chains begin farther apart than
they should end.
"""

from __future__ import annotations

import warnings

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.spec import MixtureSpec

MAX_ROWS = 20_000  # of the data that k-means looks at; more does not move a start by what matters
SPREAD = 4.0  # posterior standard deviations by which a chain's components are moved


def kmeans_start(spec: MixtureSpec, x: np.ndarray, num_chains: int, seed: int) -> tuple[Arrays, str]:
    """Starting values of theta (C, K) and beta (C, K, D), and a sentence on how they were made.

    Args:
        spec: the mixture's hyperparameters.
        x: (N, D) data.
        num_chains: C.
        seed: of the k-means++ seeding and of the spread.

    Source: Arthur and Vassilvitskii (2007), k-means++: the advantages of careful seeding.
    """
    K, D = spec.num_components, spec.dim
    num_centres = _num_centres(spec, x)
    theta, beta = np.empty((num_chains, K)), np.empty((num_chains, K, D))
    for chain, stream in enumerate(np.random.SeedSequence(seed).spawn(num_chains)):
        rng = np.random.default_rng(stream)
        rows = x if len(x) <= MAX_ROWS else rng.choice(x, MAX_ROWS, replace=False)
        beta[chain], counts = kmeans_centres(spec, rows, rng)
        counts *= len(x) / max(len(rows), 1)
        sd = spec.noise_scale / np.sqrt(np.maximum(counts[:num_centres], 1.0))
        beta[chain, :num_centres] += SPREAD * sd[:, None] * rng.standard_normal((num_centres, D))
        theta[chain] = rng.dirichlet(np.maximum(counts, 0) + np.maximum(spec.concentration, 1.0))
    note = f"k-means++ for {num_centres} components, moved by {SPREAD:g} posterior sd"
    return {"theta": theta, "beta": beta}, note + too_few(spec, x)


def kmeans_centres(
    spec: MixtureSpec, rows: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (K, D) and how many of the rows each has, (K,); components too many come from the prior."""
    counts, num_centres, centres = (
        np.zeros(spec.num_components),
        _num_centres(spec, rows),
        seeds(spec, rows, rng),
    )
    if num_centres > 0:
        from scipy.cluster.vq import kmeans2  # slow to import, and only this start needs it

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="One of the clusters is empty")  # it keeps its seed
            found, labels = kmeans2(rows, centres[:num_centres], iter=20, minit="matrix")
        centres[:num_centres] = found
        counts[:num_centres] = np.bincount(labels, minlength=num_centres)
    return centres, counts


def seeds(spec: MixtureSpec, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where K components begin, (K, D): rows of the data by k-means++, then draws from the prior.

    This k-means++ knows the noise: a row that no seed's cluster can explain is taken before any other.

    A row is within ``s^2 (D + 2 sqrt(D t) + 2 t)`` of its cluster's centre but once in e^t, so what its
    squared distance has beyond that speaks for a cluster of its own, however few rows it has; plain
    k-means++ would split the largest. A seed moves to the mean of the rows around it, for it is no centre.

    Source: Laurent and Massart (2000), Adaptive estimation of a quadratic functional, lemma 1.
    """
    t = np.log(len(rows)) + 1
    explained = spec.noise_scale**2 * (spec.dim + 2 * np.sqrt(spec.dim * t) + 2 * t)
    chosen = rng.multivariate_normal(spec.prior_mean, spec.prior_cov, size=spec.num_components)
    distance = np.full(len(rows), np.inf)
    for k in range(_num_centres(spec, rows)):
        weights = np.ones(len(rows)) if k == 0 else np.maximum(distance - explained, 0)
        if not np.any(weights):  # and squares of the smallest numbers are 0, every one of them
            weights = distance if np.any(distance) else np.ones(len(rows))
        seed = rows[rng.choice(len(rows), p=weights / weights.sum())]
        around = np.sum((rows - seed) ** 2, axis=1)
        chosen[k] = rows[(around <= explained) & (around <= distance)].mean(axis=0)
        distance = np.minimum(distance, np.sum((rows - chosen[k]) ** 2, axis=1))
    return chosen


def too_few(spec: MixtureSpec, x: np.ndarray) -> str:
    """A clause for the case of fewer distinct rows than components, else nothing."""
    left = spec.num_components - _num_centres(spec, x)
    if left == 0:
        return ""
    which = "component starts" if left == 1 else "components start"
    return f"; {left} {which} from the prior, for the data have too few distinct rows"


def _num_centres(spec: MixtureSpec, rows: np.ndarray) -> int:
    for some in (rows[: 10 * spec.num_components], rows[:MAX_ROWS]):
        distinct = len(np.unique(some, axis=0))
        if distinct >= spec.num_components:
            break
    return min(spec.num_components, distinct)
