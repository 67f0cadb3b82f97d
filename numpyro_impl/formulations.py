"""The mixture's density written other ways: z summed out by a mixture distribution, or in one pass over x."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from numpyro_impl import kernels
from numpyro_impl.potential import direct_potential
from numpyro_impl.runtime import as_rows, to_framework
from ppl_parity.backend.contract import Model
from ppl_parity.spec import MixtureSpec


def marginal(spec: MixtureSpec) -> Model:
    """Each x_i ~ sum_k theta_k MVN(beta_k, s^2 I), by the framework's mixture distribution."""

    def model(x: Any = None, num_data: Any = None):
        x = as_rows(spec, x)
        N = num_data if x is None else len(x)
        theta, beta = sample_prior(spec)
        noise_cov = spec.noise_scale**2 * jnp.eye(spec.dim)
        components = dist.MultivariateNormal(beta, noise_cov)
        with numpyro.plate("data", N):
            numpyro.sample("x", dist.MixtureSameFamily(dist.Categorical(theta), components), obs=x)

    return model


def fused(spec: MixtureSpec) -> Model:
    """One site for all of x; its value and gradient come from one pass over the data."""

    def model(x: Any = None, num_data: Any = None):
        x = as_rows(spec, x)
        N = num_data if x is None else len(x)
        theta, beta = sample_prior(spec)
        numpyro.sample("x", FusedMixture(theta, beta, spec.noise_scale, N), obs=x)

    model.float64_parameters = True
    model.sums_rows = True
    model.kernel = kernels.describe
    model.direct_potential = partial(direct_potential, spec)
    return model


def sample_prior(spec: MixtureSpec):
    """theta and beta, as in the textbook program."""
    theta = numpyro.sample("theta", dist.Dirichlet(to_framework(spec.concentration)))
    with numpyro.plate("components", spec.num_components):
        # MixtureSpec has checked them; here each check is a dozen programs to compile.
        hyperparameters = to_framework(spec.prior_mean), to_framework(spec.prior_cov)
        prior = dist.MultivariateNormal(*hyperparameters, validate_args=False)
        beta = numpyro.sample("beta", prior)
    return theta, beta


class FusedMixture(dist.Distribution):
    """N independent rows of a Gaussian mixture as one event of shape (N, D)."""

    arg_constraints: ClassVar = {
        "theta": constraints.simplex,
        "beta": constraints.independent(constraints.real, 2),
    }

    def __init__(self, theta, beta, noise_scale, num_data, *, validate_args=None):
        self.theta, self.beta, self.noise_scale, self.num_data = theta, beta, noise_scale, num_data
        event_shape = (num_data, jnp.shape(beta)[-1])
        super().__init__(batch_shape=(), event_shape=event_shape, validate_args=validate_args)

    @property
    def support(self):
        return constraints.independent(constraints.real, 2)

    def sample(self, key: Any, sample_shape=()):
        key_z, key_x = jax.random.split(key)
        z = jax.random.categorical(key_z, jnp.log(self.theta), shape=(*sample_shape, self.num_data))
        noise = jax.random.normal(key_x, (*sample_shape, *self.event_shape))
        return self.beta[z] + self.noise_scale * noise

    def log_prob(self, value):
        return log_likelihood(self.theta, self.beta, value, self.noise_scale)


def logits(theta, beta, x, noise_scale):
    """l_ik = log theta_k + (beta_k . x_i - |beta_k|^2 / 2) / s^2, of shape (..., N, K).

    x and beta lie around the origin (``backend.centring``), or the difference of squares has lost its digits.
    """
    # theta reaches 0 by underflow near a vertex; a smallest number keeps 0 * log 0 out of the gradient.
    log_theta = jnp.log(jnp.maximum(theta, jnp.finfo(theta.dtype).tiny))
    away = x @ beta.mT - 0.5 * jnp.sum(beta**2, axis=-1)[..., None, :]
    return log_theta[..., None, :] + away / noise_scale**2


def log_likelihood(theta, beta, x, noise_scale):
    """sum_i log p(x_i | theta, beta), differentiable in theta, beta and x."""
    log_theta = jnp.log(jnp.maximum(theta, jnp.finfo(theta.dtype).tiny))
    return value_and_gradient(log_theta, beta, x, noise_scale)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def value_and_gradient(log_theta, beta, x, noise_scale):
    """The log likelihood; its gradient is the by-product, kept for the backward pass."""
    return kernels.one_pass(log_theta, beta, x, noise_scale)[0]


def _forward(log_theta, beta, x, noise_scale):
    value, grad_log_theta, grad_beta = kernels.one_pass(log_theta, beta, x, noise_scale)
    return value, (grad_log_theta, grad_beta, log_theta, beta, x)


def _backward(noise_scale, saved, cotangent):
    grad_log_theta, grad_beta, log_theta, beta, x = saved
    # Wanted only by a model whose x is computed; unused, the compiler drops it.
    centre = jnp.mean(beta, axis=0)
    seen = beta - centre
    away = (x - centre) @ seen.T - 0.5 * jnp.sum(seen**2, axis=-1)
    r = jax.nn.softmax(log_theta + away / noise_scale**2, axis=-1)
    grad_x = (r @ beta - x) / noise_scale**2
    return cotangent * grad_log_theta, cotangent * grad_beta, (cotangent * grad_x).astype(x.dtype)


value_and_gradient.defvjp(_forward, _backward)
