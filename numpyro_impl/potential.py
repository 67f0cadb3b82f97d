"""The fused mixture's potential without its program, which takes longer to trace and compile than NUTS around it.

    U(y, beta) = -[ constant + alpha . log theta(y) - sum_k |W (beta_k - mu)|^2 / 2 + log p(x | theta(y), beta) ]

The gradient comes with it: ``ppl_parity/native/potential.cpp`` says how theta is written by y.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_impl import kernels
from numpyro_impl.runtime import as_rows, to_framework
from numpyro_impl.sharding import are_spread
from ppl_parity.backend.priors import prior_terms
from ppl_parity.spec import MixtureSpec


def direct_potential(spec: MixtureSpec, x: Any, num_data: Any = None) -> Callable[[dict[str, Any]], Any]:
    """u -> U(u) of the fused program, whose arguments these are, on ``x``."""
    x = as_rows(spec, x)
    return lambda u: _potential(spec, u["theta"], u["beta"], x)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _potential(spec, y, beta, x):
    return _evaluated(spec, y, beta, x)[0]


def _forward(spec, y, beta, x):
    value, *gradients = _evaluated(spec, y, beta, x)
    return value, gradients


def _backward(spec, gradients, cotangent):
    return *(cotangent * gradient for gradient in gradients), None  # x is data


_potential.defvjp(_forward, _backward)


def _evaluated(spec, y, beta, x):
    """U and its gradient: in one native call, else by array operations around the one pass."""
    ways = {}
    if kernels.cpu.usable(x) and y.dtype == jnp.float64 and not are_spread():
        ways["cpu"] = partial(_native, spec)
    return kernels.by_platform(ways, partial(_written_out, spec))(y, beta, x)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _native(spec, y, beta, x):
    return kernels.cpu.for_one_chain(partial(kernels.cpu.native_potentials, spec), y, beta, x)


@_native.defjvp
def _native_jvp(spec, primals, tangents):
    _, out = jax.jvp(partial(_written_out, spec), primals, tangents)
    return _native(spec, *primals), out


def _written_out(spec, y, beta, x):
    terms = prior_terms(spec)
    alpha, mean, whiten = (to_framework(array) for array in (terms.alpha, terms.mean, terms.whiten))
    w = y - np.log(np.arange(len(y), 0, -1)).astype(y.dtype)
    taken, left = jax.nn.log_sigmoid(w), jax.nn.log_sigmoid(-w)
    log_theta = jnp.cumsum(jnp.pad(left, (1, 0))) + jnp.pad(taken, (0, 1))
    likelihood, counts, slope = kernels.one_pass(log_theta, beta, x, spec.noise_scale)
    white = (beta - mean) @ whiten.T
    value = terms.constant + jnp.sum(alpha * log_theta) - 0.5 * jnp.sum(white**2) + likelihood
    weights = alpha + counts
    later = jnp.cumsum(weights[::-1])[::-1][1:]
    grad_y = jnp.exp(taken) * later - jnp.exp(left) * weights[:-1]
    return -value, grad_y, white @ whiten - slope
