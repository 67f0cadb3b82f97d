"""The third voice: the mixture in float64 NumPy and SciPy, sharing no code with either implementation.

Two implementations with the same bug agree with each other; they do not agree with this.

    density.py        every probability of the model, at a point
    unconstrained.py  the same density as NUTS sees it: its coordinates, potential and gradient
    exact.py          the exact posterior of a handful of observations, by summing over every assignment
    gibbs.py          the posterior of more observations, by a sampler that shares nothing with NUTS
"""

from ppl_parity.reference.density import (
    log_density,
    log_joint,
    log_likelihood,
    log_likelihood_gradient,
    pointwise_log_density,
    responsibilities,
    site_log_probs,
)
from ppl_parity.reference.exact import ExactPosterior, exact_posterior
from ppl_parity.reference.gibbs import gibbs
from ppl_parity.reference.unconstrained import (
    constrain,
    gradient,
    log_abs_det_jacobian,
    potential,
    potential_gradient,
    unconstrain,
)

__all__ = [
    "ExactPosterior",
    "constrain",
    "exact_posterior",
    "gibbs",
    "gradient",
    "log_abs_det_jacobian",
    "log_density",
    "log_joint",
    "log_likelihood",
    "log_likelihood_gradient",
    "pointwise_log_density",
    "potential",
    "potential_gradient",
    "responsibilities",
    "site_log_probs",
    "unconstrain",
]
