"""The fused mixture's potential without its program, which Pyro would run again for each gradient.

    U(y, beta) = -[ constant + alpha . log theta(y) - sum_k |W (beta_k - mu)|^2 / 2 + log p(x | theta(y), beta) ]

The gradient comes with it: ``ppl_parity/native/potential.cpp`` says how theta is written by y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ppl_parity import native
from ppl_parity.backend.priors import prior_terms
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec
from pyro_impl import kernels
from pyro_impl.runtime import as_rows, to_framework

Tensors = dict[str, torch.Tensor]
Evaluated = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def direct_potential(
    spec: MixtureSpec, x: torch.Tensor, num_data: Any = None
) -> Callable[[Tensors], torch.Tensor]:
    """u -> U(u) of the fused program, whose arguments these are, differentiable once.

    Its ``with_gradient`` gives both at once.
    """
    x = as_rows(spec, x)
    evaluate = _native(spec, x) if kernels.cpu.usable(x) else _written_out(spec, x)

    def potential(u: Tensors) -> torch.Tensor:
        return _Potential.apply(u["theta"], u["beta"], evaluate)

    def with_gradient(u: Tensors) -> tuple[Tensors, torch.Tensor]:
        value, grad_y, grad_beta = evaluate(u["theta"], u["beta"])
        return {"theta": grad_y, "beta": grad_beta}, value

    potential.with_gradient = with_gradient
    return potential


def _native(spec: MixtureSpec, x: torch.Tensor) -> Callable[[Any, Any], Evaluated]:
    """All of it in one call: at a few hundred rows, torch's own calls are the cost."""
    x, terms = x.contiguous(), prior_terms(spec)
    mixture = kernels.cpu.mixture_call(x, spec.num_components, spec.noise_scale)
    prior = (array.ctypes.data for array in (terms.alpha, terms.mean, terms.whiten))
    call = native.PotentialCall(mixture, *prior, terms.constant)
    kept = (x, terms)  # whose addresses the call holds
    K, D = spec.num_components, spec.dim
    shapes = (K - 1,), (K, D)

    def evaluate(y: Any, beta: Any, kept: Any = kept) -> Evaluated:
        if (y.shape, beta.shape) != shapes or not (y.is_cpu and beta.is_cpu):
            raise InputError(
                f"pyro: the mixture's potential takes theta's coordinates {shapes[0]} and beta {shapes[1]}, on the "
                f"CPU; got {tuple(y.shape)} on {y.device} and {tuple(beta.shape)} on {beta.device}."
            )
        # At a few hundred rows each of torch's own calls counts: this asks before it converts.
        if not (y.dtype is beta.dtype is torch.float64 and y.is_contiguous() and beta.is_contiguous()):
            y, beta = y.to(torch.float64).contiguous(), beta.to(torch.float64).contiguous()
        value, grad_y, grad_beta = y.new_empty(()), torch.empty_like(y), torch.empty_like(beta)
        native.potential(
            call, y.data_ptr(), beta.data_ptr(), value.data_ptr(), grad_y.data_ptr(), grad_beta.data_ptr()
        )
        return value, grad_y, grad_beta

    return evaluate


def _written_out(spec: MixtureSpec, x: torch.Tensor) -> Callable[[Any, Any], Evaluated]:
    """The same by tensor operations around the one pass."""
    terms = prior_terms(spec)
    alpha, mean, whiten = (to_framework(array) for array in (terms.alpha, terms.mean, terms.whiten))
    offset = to_framework(np.log(np.arange(spec.num_components - 1, 0, -1.0)))

    @torch.no_grad()
    def evaluate(y: Any, beta: Any) -> Evaluated:
        w = y - offset
        taken, left = torch.nn.functional.logsigmoid(w), torch.nn.functional.logsigmoid(-w)
        before = torch.cumsum(torch.cat([left.new_zeros(1), left]), dim=0)
        log_theta = before + torch.cat([taken, taken.new_zeros(1)])
        likelihood, counts, slope = kernels.one_pass(log_theta, beta, x, spec.noise_scale)
        white = (beta - mean) @ whiten.T
        value = terms.constant + torch.sum(alpha * log_theta) - 0.5 * torch.sum(white**2) + likelihood
        weights = alpha + counts
        later = torch.flip(torch.cumsum(torch.flip(weights, [0]), dim=0), [0])[1:]
        grad_y = torch.exp(taken) * later - torch.exp(left) * weights[:-1]
        return -value, grad_y, white @ whiten - slope

    return evaluate


class _Potential(torch.autograd.Function):
    """A value that brings its gradient."""

    @staticmethod
    def forward(ctx, y, beta, evaluate):
        ctx.save_for_backward(y, beta)
        value, *ctx.gradients = evaluate(y, beta)
        return value

    @staticmethod
    def backward(ctx, cotangent):  # type: ignore[override]
        grad_y, grad_beta = ctx.gradients
        if torch.is_grad_enabled():  # a second derivative is being prepared
            y, beta = ctx.saved_tensors
            grad_y, grad_beta = FirstOnly.apply(grad_y, y), FirstOnly.apply(grad_beta, beta)
        return cotangent * grad_y, cotangent * grad_beta, None


class FirstOnly(torch.autograd.Function):
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
