"""Where the mixture's chains start: k-means++ on the data, spread out so that R-hat can mean something.

Uniform starts leave chains in bad modes (two components on one cluster), from which NUTS does not return
in any affordable time. A k-means start puts each component on a cluster; each chain runs its own k-means
and is then moved by several posterior standard deviations, so that the chains begin farther apart than
they should end.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2

from ppl_parity.contract import Arrays
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
    num_centres = min(K, len(np.unique(x[:MAX_ROWS], axis=0)))
    theta, beta = np.empty((num_chains, K)), np.empty((num_chains, K, D))
    for chain, stream in enumerate(np.random.SeedSequence(seed).spawn(num_chains)):
        rng = np.random.default_rng(stream)
        rows = x if len(x) <= MAX_ROWS else rng.choice(x, MAX_ROWS, replace=False)
        counts = np.zeros(K)
        beta[chain] = rng.multivariate_normal(spec.prior_mean, spec.prior_cov, size=K)
        if num_centres > 0:
            centres, labels = _kmeans(rows, num_centres, rng)
            beta[chain, :num_centres] = centres
            counts[:num_centres] = np.bincount(labels, minlength=num_centres) * (len(x) / len(rows))
        sd = spec.noise_scale / np.sqrt(np.maximum(counts[:num_centres], 1.0))
        beta[chain, :num_centres] += SPREAD * sd[:, None] * rng.standard_normal((num_centres, D))
        theta[chain] = rng.dirichlet(np.maximum(counts, 0) + np.maximum(spec.concentration, 1.0))
    note = f"k-means++ for {num_centres} components, moved by {SPREAD:g} posterior sd"
    if num_centres < K:
        note += f"; the other {K - num_centres} start from the prior, for the data have too few distinct rows"
    return {"theta": theta, "beta": beta}, note


def _kmeans(rows: np.ndarray, num_centres: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of the clusters is empty")  # it keeps its seed
        return kmeans2(rows, num_centres, iter=20, minit="++", rng=rng)
