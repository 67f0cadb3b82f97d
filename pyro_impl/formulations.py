"""The mixture's density written other ways: z summed out by a mixture distribution, or in one pass over x."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints

from ppl_parity.backend.contract import Model
from ppl_parity.spec import MixtureSpec
from pyro_impl import kernels
from pyro_impl.potential import FirstOnly, direct_potential
from pyro_impl.runtime import as_rows, to_framework


def marginal(spec: MixtureSpec) -> Model:
    """Each x_i ~ sum_k theta_k MVN(beta_k, s^2 I), by the framework's mixture distribution."""

    def model(x: Any = None, num_data: Any = None):
        x = as_rows(spec, x)
        N = num_data if x is None else len(x)
        theta, beta = sample_prior(spec)
        noise_cov = spec.noise_scale**2 * torch.eye(spec.dim)
        components = dist.MultivariateNormal(beta, noise_cov)
        with pyro.plate("data", N):
            pyro.sample("x", dist.MixtureSameFamily(dist.Categorical(theta), components), obs=x)

    return model


def fused(spec: MixtureSpec) -> Model:
    """One site for all of x; its value and gradient come from one pass over the data."""

    def model(x: Any = None, num_data: Any = None):
        x = as_rows(spec, x)
        N = num_data if x is None else len(x)
        theta, beta = sample_prior(spec)
        pyro.sample("x", FusedMixture(theta, beta, spec.noise_scale, N), obs=x)

    model.float64_parameters = True
    model.kernel = kernels.describe
    # Pyro runs the program again for each gradient, which costs more than the arithmetic.
    model.direct_potential = partial(direct_potential, spec)
    return model


def sample_prior(spec: MixtureSpec):
    """theta and beta, as in the textbook program."""
    theta = pyro.sample("theta", dist.Dirichlet(to_framework(spec.concentration)))
    with pyro.plate("components", spec.num_components):
        prior = dist.MultivariateNormal(to_framework(spec.prior_mean), to_framework(spec.prior_cov))
        beta = pyro.sample("beta", prior)
    return theta, beta


class FusedMixture(dist.TorchDistribution):
    """N independent rows of a Gaussian mixture as one event of shape (N, D)."""

    arg_constraints: ClassVar = {  # type: ignore[assignment]
        "theta": constraints.simplex,
        "beta": constraints.independent(constraints.real, 2),
    }

    def __init__(self, theta, beta, noise_scale, num_data, *, validate_args=None):
        self.theta, self.beta, self.noise_scale, self.num_data = theta, beta, noise_scale, num_data
        event_shape = torch.Size((num_data, beta.shape[-1]))
        super().__init__(torch.Size(), event_shape, validate_args=validate_args)

    @property
    def support(self):
        return constraints.independent(constraints.real, 2)

    def sample(self, sample_shape=()):
        z = dist.Categorical(self.theta).sample((*sample_shape, self.num_data))
        noise = torch.randn((*sample_shape, *self.event_shape))
        return self.beta[z] + self.noise_scale * noise

    def log_prob(self, value):
        return log_likelihood(self.theta, self.beta, value, self.noise_scale)


def logits(theta, beta, x, noise_scale):
    """l_ik = log theta_k + (beta_k . x_i - |beta_k|^2 / 2) / s^2, of shape (..., N, K).

    x and beta lie around the origin (``backend.centring``), or the difference of squares has lost its digits.
    """
    # theta reaches 0 by underflow near a vertex; a smallest number keeps 0 * log 0 out of the gradient.
    log_theta = torch.log(torch.clamp(theta, min=torch.finfo(theta.dtype).tiny))
    away = x @ beta.mT - 0.5 * torch.sum(beta**2, dim=-1)[..., None, :]
    return log_theta[..., None, :] + away / noise_scale**2


def log_likelihood(theta, beta, x, noise_scale):
    """sum_i log p(x_i | theta, beta), differentiable once in theta, beta and x."""
    log_theta = torch.log(torch.clamp(theta, min=torch.finfo(theta.dtype).tiny))
    return value_and_gradient.apply(log_theta, beta, x, noise_scale)


class value_and_gradient(torch.autograd.Function):
    """The log likelihood; its gradient is the by-product, kept for the backward pass."""

    @staticmethod
    def forward(ctx, log_theta, beta, x, noise_scale):
        value, grad_log_theta, grad_beta = kernels.one_pass(log_theta, beta, x, noise_scale)
        ctx.save_for_backward(grad_log_theta, grad_beta, log_theta, beta, x)
        ctx.noise_scale = noise_scale
        return value

    @staticmethod
    def backward(ctx, cotangent):  # type: ignore[override]
        grad_log_theta, grad_beta, log_theta, beta, x = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is being prepared
            grad_log_theta = FirstOnly.apply(grad_log_theta, log_theta)
            grad_beta = FirstOnly.apply(grad_beta, beta)
        grad_x = None
        if ctx.needs_input_grad[2]:  # wanted only by a model whose x is computed
            variance = ctx.noise_scale**2
            wide, centre = x.to(beta.dtype), torch.mean(beta, dim=0)
            seen = beta - centre
            terms = log_theta + ((wide - centre) @ seen.T - 0.5 * torch.sum(seen**2, dim=-1)) / variance
            grad_x = cotangent * (torch.softmax(terms, dim=-1) @ beta - wide) / variance
            grad_x = grad_x.to(x.dtype)
        return cotangent * grad_log_theta, cotangent * grad_beta, grad_x, None
