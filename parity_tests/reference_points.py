"""Points that the reference is asked at."""

from __future__ import annotations

import numpy as np

from ppl_parity.spec import MixtureSpec

ROUNDING = 1e-12  # relative, for the same float64 quantity computed in two ways


def make(K=3, D=2, N=6, seed=0, **changes):
    """A spec with nothing symmetric in it, a point drawn from its prior, and data."""
    rng = np.random.default_rng(seed)
    square = rng.normal(size=(D, D))
    settings = {
        "concentration": np.linspace(0.6, 2.4, K),
        "prior_mean": np.linspace(-1.0, 0.5, D),
        "prior_cov": square @ square.T + 0.5 * np.eye(D),
        "noise_scale": 0.7,
    }
    spec = MixtureSpec(K, D, **(settings | changes))
    theta = rng.dirichlet(spec.concentration)
    beta = rng.multivariate_normal(spec.prior_mean, spec.prior_cov, size=K)
    z = rng.integers(K, size=N)
    x = beta[z] + spec.noise_scale * rng.normal(size=(N, D))
    return spec, theta, beta, z, x
