"""The mixture's density written other ways: z summed out by a mixture distribution, or in one pass over x."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch.distributions import biject_to

from ppl_parity.contract import Model
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec
from pyro_impl.runtime import to_framework


def marginal(spec: MixtureSpec) -> Model:
    """Each x_i ~ sum_k theta_k MVN(beta_k, s^2 I), by the framework's mixture distribution."""

    def model(x: Any = None, num_data: Any = None):
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
        N = num_data if x is None else len(x)
        theta, beta = sample_prior(spec)
        pyro.sample("x", FusedMixture(theta, beta, spec.noise_scale, N), obs=x)

    # Pyro runs the program again for each gradient, which costs more than the arithmetic; NumPyro compiles it.
    model.direct_potential = partial(_direct_potential, spec)
    return model


def _direct_potential(
    spec: MixtureSpec, x: torch.Tensor
) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
    """u -> U(u) of the fused program on ``x``, without running the program."""
    alpha, prior_mean = to_framework(spec.concentration), to_framework(spec.prior_mean)
    scale_tril = torch.linalg.cholesky(to_framework(spec.prior_cov))
    whiten = torch.linalg.inv(scale_tril).T
    constant = (
        torch.lgamma(alpha.sum())
        - torch.lgamma(alpha).sum()
        - spec.num_components
        * (torch.log(torch.diagonal(scale_tril)).sum() + 0.5 * spec.dim * math.log(2 * math.pi))
    )
    centre = torch.mean(x, dim=0)
    centred = x - centre
    to_simplex = biject_to(constraints.simplex)

    def potential(u: dict[str, torch.Tensor]) -> torch.Tensor:
        theta = to_simplex(u["theta"])
        log_theta = torch.log(torch.clamp(theta, min=torch.finfo(theta.dtype).tiny))
        log_prior = torch.sum((alpha - 1) * log_theta) - 0.5 * torch.sum(
            ((u["beta"] - prior_mean) @ whiten) ** 2
        )
        jacobian = to_simplex.log_abs_det_jacobian(u["theta"], theta)
        likelihood = value_and_gradient.apply(log_theta, u["beta"] - centre, centred, spec.noise_scale)
        return -(constant + log_prior + jacobian + likelihood)

    return potential


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
    """l_ik = log theta_k + (beta_k . x_i - |beta_k|^2 / 2) / s^2, of shape (..., N, K)."""
    # theta reaches 0 by underflow near a vertex; a smallest number keeps 0 * log 0 out of the gradient.
    log_theta = torch.log(torch.clamp(theta, min=torch.finfo(theta.dtype).tiny))
    away = x @ beta.mT - 0.5 * torch.sum(beta**2, dim=-1)[..., None, :]
    return log_theta[..., None, :] + away / noise_scale**2


def log_likelihood(theta, beta, x, noise_scale):
    """sum_i log p(x_i | theta, beta), differentiable once in theta and beta."""
    # Centring keeps the two terms that the expanded square subtracts small.
    centre = torch.mean(x, dim=0)
    log_theta = torch.log(torch.clamp(theta, min=torch.finfo(theta.dtype).tiny))
    return value_and_gradient.apply(log_theta, beta - centre, x - centre, noise_scale)


class value_and_gradient(torch.autograd.Function):
    """The log likelihood; its gradient is the by-product, kept for the backward pass."""

    @staticmethod
    def forward(ctx, log_theta, beta, x, noise_scale):
        value, grad_log_theta, grad_beta = _one_pass(log_theta, beta, x, noise_scale)
        ctx.save_for_backward(grad_log_theta, grad_beta, log_theta, beta, x)
        ctx.noise_scale = noise_scale
        return value

    @staticmethod
    def backward(ctx, cotangent):  # type: ignore[override]
        grad_log_theta, grad_beta, log_theta, beta, x = ctx.saved_tensors
        grad_log_theta = _FirstOnly.apply(grad_log_theta, log_theta)
        grad_beta = _FirstOnly.apply(grad_beta, beta)
        grad_x = None
        if ctx.needs_input_grad[2]:  # wanted only by a model whose x is computed
            r = torch.softmax(_terms(log_theta, beta, x, ctx.noise_scale), dim=0)
            grad_x = cotangent * (r.T @ beta - x) / ctx.noise_scale**2
        return cotangent * grad_log_theta, cotangent * grad_beta, grad_x, None


class _FirstOnly(torch.autograd.Function):
    """A gradient as it is; torch would take its own derivative, which is not known here, to be 0."""

    @staticmethod
    def forward(ctx, gradient, parameter):
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx, cotangent):  # type: ignore[override]
        raise InputError(
            "pyro: the fused mixture has a first derivative only; take the enumerated or the marginal "
            "formulation for a second one."
        )


def _one_pass(log_theta, beta, x, noise_scale):
    N, D = x.shape
    terms = _terms(log_theta, beta, x, noise_scale)
    # In place, and summed in float64: passes over memory are what this costs, and N is large.
    top = torch.amax(terms, dim=0)
    r = terms.sub_(top).exp_()
    total = torch.sum(r, dim=0)
    r.div_(total)
    n = torch.sum(r, dim=1)
    rows = torch.sum(top.add_(total.log_()), dtype=torch.float64)
    constant = -0.5 * torch.sum(x**2) / noise_scale**2 - 0.5 * N * D * math.log(2 * math.pi * noise_scale**2)
    return (constant + rows).to(x.dtype), n, (r @ x - n[:, None] * beta) / noise_scale**2


def _terms(log_theta, beta, x, noise_scale):
    """The logits as (K, N): torch reduces over K several times faster when rows of x lie side by side."""
    scaled = beta / noise_scale**2
    return torch.addmm((log_theta - 0.5 * torch.sum(beta * scaled, dim=-1))[:, None], scaled, x.T)
