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

from ppl_parity import native
from ppl_parity.contract import Model
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec
from pyro_impl import kernels
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

    model.float64_parameters = True
    model.kernel = kernels.describe
    # Pyro runs the program again for each gradient, which costs more than the arithmetic; NumPyro compiles it.
    model.direct_potential = partial(_direct_potential, spec)
    return model


Tensors = dict[str, torch.Tensor]


def _direct_potential(spec: MixtureSpec, x: torch.Tensor) -> Callable[[Tensors], torch.Tensor]:
    """u -> U(u) of the fused program on ``x``, without running the program."""
    alpha, prior_mean = to_framework(spec.concentration), to_framework(spec.prior_mean)
    scale_tril = torch.linalg.cholesky(to_framework(spec.prior_cov))
    whiten = torch.linalg.inv(scale_tril).contiguous()
    constant = float(
        torch.lgamma(alpha.sum())
        - torch.lgamma(alpha).sum()
        - spec.num_components
        * (torch.log(torch.diagonal(scale_tril)).sum() + 0.5 * spec.dim * math.log(2 * math.pi))
    )
    if kernels.cpu.usable(x):
        x = x.contiguous()
        mixture = kernels.cpu.mixture_call(x, spec.num_components, spec.noise_scale)
        call = native.PotentialCall(
            mixture, alpha.data_ptr(), prior_mean.data_ptr(), whiten.data_ptr(), constant
        )
        kept = (x, alpha, prior_mean, whiten)  # whose addresses the call holds

        def native_potential(u: Tensors) -> torch.Tensor:
            return _NativePotential.apply(u["theta"], u["beta"], call, kept)

        def with_gradient(u: Tensors) -> tuple[Tensors, torch.Tensor]:
            value, grad_y, grad_beta = _evaluated(u["theta"], u["beta"], call)
            return {"theta": grad_y, "beta": grad_beta}, value

        native_potential.with_gradient = with_gradient
        return native_potential
    to_simplex = biject_to(constraints.simplex)

    def potential(u: Tensors) -> torch.Tensor:
        theta = to_simplex(u["theta"])
        log_theta = torch.log(torch.clamp(theta, min=torch.finfo(theta.dtype).tiny))
        log_prior = torch.sum((alpha - 1) * log_theta) - 0.5 * torch.sum(
            ((u["beta"] - prior_mean) @ whiten.T) ** 2
        )
        jacobian = to_simplex.log_abs_det_jacobian(u["theta"], theta)
        likelihood = value_and_gradient.apply(log_theta, u["beta"], x, spec.noise_scale)
        return -(constant + log_prior + jacobian + likelihood)

    return potential


def _evaluated(y: Any, beta: Any, call: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    # At a few hundred rows each of torch's own calls counts: this asks before it converts.
    if not (y.dtype is beta.dtype is torch.float64 and y.is_contiguous() and beta.is_contiguous()):
        y, beta = y.to(torch.float64).contiguous(), beta.to(torch.float64).contiguous()
    value, grad_y, grad_beta = y.new_empty(()), torch.empty_like(y), torch.empty_like(beta)
    native.potential(
        call, y.data_ptr(), beta.data_ptr(), value.data_ptr(), grad_y.data_ptr(), grad_beta.data_ptr()
    )
    return value, grad_y, grad_beta


class _NativePotential(torch.autograd.Function):
    """The whole potential and its gradient in one call: at a few hundred rows, torch's own calls are the cost."""

    @staticmethod
    def forward(ctx, y, beta, call, kept):
        ctx.save_for_backward(y, beta)
        value, *ctx.gradients = _evaluated(y, beta, call)
        return value

    @staticmethod
    def backward(ctx, cotangent):  # type: ignore[override]
        grad_y, grad_beta = ctx.gradients
        if torch.is_grad_enabled():  # a second derivative is being prepared
            y, beta = ctx.saved_tensors
            grad_y, grad_beta = _FirstOnly.apply(grad_y, y), _FirstOnly.apply(grad_beta, beta)
        return cotangent * grad_y, cotangent * grad_beta, None, None


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
            grad_log_theta = _FirstOnly.apply(grad_log_theta, log_theta)
            grad_beta = _FirstOnly.apply(grad_beta, beta)
        grad_x = None
        if ctx.needs_input_grad[2]:  # wanted only by a model whose x is computed
            variance = ctx.noise_scale**2
            wide = x.to(beta.dtype)
            terms = log_theta + (wide @ beta.T - 0.5 * torch.sum(beta**2, dim=-1)) / variance
            grad_x = cotangent * (torch.softmax(terms, dim=-1) @ beta - wide) / variance
            grad_x = grad_x.to(x.dtype)
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
