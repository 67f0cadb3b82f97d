"""The mixture in PyMC, z summed out, as matrix products and one logsumexp over the components."""

# pyright: reportMissingImports=false
# Peers live in an environment of their own.
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from ppl_parity.spec import MixtureSpec


def model(spec: MixtureSpec, x: np.ndarray) -> Any:
    """log p = log Dirichlet(theta) + sum_k log MVN(beta_k) + sum_i logsumexp_k l_ki + constants."""
    N, D = x.shape
    s2 = spec.noise_scale**2
    constant = -0.5 * float(np.sum(x**2)) / s2 - 0.5 * N * D * math.log(2 * math.pi * s2)
    with pm.Model() as built:
        theta = pm.Dirichlet("theta", spec.concentration)
        beta = pm.MvNormal("beta", spec.prior_mean, cov=spec.prior_cov, shape=(spec.num_components, D))
        terms = pt.log(theta) - 0.5 * pt.sum(beta**2, axis=1) / s2 + pt.as_tensor(x) @ (beta.T / s2)
        pm.Potential("x", constant + pt.sum(pt.logsumexp(terms, axis=1)))
    return built


def log_density(built: Any, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """(P,) of P points on the constrained scale, without the Jacobian of PyMC's transform."""
    function = built.compile_logp(jacobian=False)
    transform = built.rvs_to_transforms[built["theta"]]
    inputs = built.rvs_to_values[built["theta"]].name
    values = []
    for t, b in zip(theta, beta, strict=True):
        u = np.asarray(transform.forward(pt.as_tensor(t)).eval())
        values.append(float(function({inputs: u, "beta": b})))
    return np.array(values)
