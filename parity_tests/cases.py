"""The table of specs, points and data at which both implementations are held to the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl_parity.spec import MixtureSpec


@dataclass(frozen=True)
class Case:
    """A spec, a point of its parameter space, and data."""

    name: str
    spec: MixtureSpec
    theta: np.ndarray
    beta: np.ndarray
    z: np.ndarray
    x: np.ndarray


def _case(
    name: str, spec: MixtureSpec, num_data: int, theta: list[float] | None = None, outlier: float = 0.0
) -> Case:
    rng = np.random.default_rng(len(name) * 1000 + num_data)
    K, D = spec.num_components, spec.dim
    weights = rng.dirichlet(np.full(K, 2.0)) if theta is None else np.array(theta)
    beta = rng.multivariate_normal(spec.prior_mean, spec.prior_cov, size=K)
    z = rng.choice(K, size=num_data, p=weights)
    x = beta[z] + spec.noise_scale * rng.standard_normal((num_data, D))
    if outlier:
        x[0] = outlier * spec.noise_scale
    return Case(name, spec, weights, beta, z, x)


CASES = [
    _case(
        "three components", MixtureSpec(3, 2, [1.0, 2.0, 3.0], [0.5, -0.5], [[4.0, 1.0], [1.0, 3.0]], 0.7), 30
    ),
    _case("K = 1", MixtureSpec(1, 2, 1.5, 0.0, 4.0), 7),
    _case("N = 1", MixtureSpec(3, 2, 1.0, 0.0, 9.0), 1),
    _case("D = 1", MixtureSpec(2, 1, 0.5, 1.0, 9.0), 11),
    _case("an empty component", MixtureSpec(3, 2, 1.0, 0.0, 400.0), 12, [0.5, 0.499999, 1e-6]),
    _case("a far outlier", MixtureSpec(3, 2, 1.0, 0.0, 9.0), 10, outlier=1e3),
    _case("theta near a vertex", MixtureSpec(3, 2, 1.0, 0.0, 9.0), 10, [1 - 2e-12, 1e-12, 1e-12]),
    _case("K = 20", MixtureSpec(20, 3, 0.7, 0.0, 9.0), 25),
]
