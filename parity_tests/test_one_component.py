"""A mixture of one component: no weight to sample, and a posterior that is known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ppl_parity.spec import MixtureSpec, SamplerSettings
from ppl_parity.statistics.diagnostics import ess

SPEC = MixtureSpec(1, 2, 2.0, [1.0, -1.0], [[2.0, 0.5], [0.5, 1.0]], 0.8)
METHODS = {"numpyro": ("sequential", "vectorized"), "pyro": ("sequential",)}


def closed_form(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and covariance (D, D) of beta."""
    prior = np.linalg.inv(SPEC.prior_cov)
    covariance = np.linalg.inv(prior + len(x) / SPEC.noise_scale**2 * np.eye(SPEC.dim))
    return covariance @ (prior @ SPEC.prior_mean + x.sum(axis=0) / SPEC.noise_scale**2), covariance


@pytest.mark.parametrize("formulation", ["fused", pytest.param("marginal", marks=pytest.mark.long)])
def test_nuts_finds_it(backend: Any, formulation: str) -> None:
    x = SPEC.prior_mean + np.random.default_rng(0).standard_normal((20, 2))
    mean, covariance = closed_form(x)
    for method in METHODS[backend.NAME][: 2 if formulation == "fused" else 1]:
        settings = SamplerSettings(
            num_draws=500, num_warmup=200, num_chains=2, chain_method=method, init="prior"
        )
        groups, _ = backend.sample_posterior(backend.mixture(SPEC, formulation), {"x": x}, settings)
        theta, beta = groups["posterior"]["theta"], groups["posterior"]["beta"]
        assert theta.shape == (2, 500, 1)
        assert np.all(theta == 1)
        assert beta.shape == (2, 500, 1, 2)
        for d in range(2):
            column = beta[:, :, 0, d]
            assert abs(column.mean() - mean[d]) < 4 * column.std() / np.sqrt(
                float(ess(column, method="mean"))
            )
            assert column.std() == pytest.approx(np.sqrt(covariance[d, d]), rel=0.15)
