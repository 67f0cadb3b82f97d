"""The mixture's priors in the numbers that a potential asks for at every point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ppl_parity.spec import MixtureSpec


@dataclass(frozen=True, eq=False)
class PriorTerms:
    """log p(theta) + log p(beta) = constant + (alpha - 1) . log theta - sum_k |W (beta_k - mu)|^2 / 2.

    Args:
        alpha: (K,), the concentration.
        mean: (D,), mu, in the unit of the data.
        whiten: (D, D), W, the inverse of the prior covariance's Cholesky factor, lower triangular.
        constant: the normalising constants of both priors.
    """

    alpha: np.ndarray
    mean: np.ndarray
    whiten: np.ndarray
    constant: float


def prior_terms(spec: MixtureSpec) -> PriorTerms:
    """The priors of ``spec``."""
    scale_tril = np.linalg.cholesky(spec.prior_cov)
    dirichlet = math.lgamma(spec.concentration.sum()) - sum(map(math.lgamma, spec.concentration))
    one_normal = np.log(np.diagonal(scale_tril)).sum() + 0.5 * spec.dim * math.log(2 * math.pi)
    return PriorTerms(
        alpha=np.array(spec.concentration),
        mean=np.array(spec.prior_mean),
        whiten=np.ascontiguousarray(np.linalg.inv(scale_tril)),
        constant=float(dirichlet - spec.num_components * one_normal),
    )
