"""The mixture's log density as a JAX array program: float32 over tiles of columns, sums in float64.

What a user of a peer would write for speed: x as (tiles, D, columns), one pass, the gradient in closed form.

    l_ki = log theta_k - |beta_k|^2 / 2 s^2 + beta_k . x_i / s^2,   r = softmax_k l,   n_k = sum_i r_ki
    d/d log theta_k = n_k,   d/d beta_k = (sum_i r_ki x_i - n_k beta_k) / s^2

It shares no code with ``numpyro_impl``: a peer gets its own program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl_parity.spec import MixtureSpec

TILE = 4096


def log_likelihood(spec: MixtureSpec, x: np.ndarray, dtype: str) -> Callable[[Any, Any], Any]:
    """(log theta, beta) -> sum_i log p(x_i | theta, beta), a float64, with its own gradient rule."""
    N, D = x.shape
    s2 = spec.noise_scale**2
    tile = min(TILE, N)
    whole = N // tile * tile
    centre = x.mean(axis=0)
    moved = (x - centre).astype(dtype)
    tiles = jnp.asarray(moved[:whole].reshape(-1, tile, D).transpose(0, 2, 1).copy())
    rest = jnp.asarray(moved[whole:].T.copy())
    constant = -0.5 * float(np.sum((x - centre) ** 2)) / s2 - 0.5 * N * D * math.log(2 * math.pi * s2)

    def one(log_theta: Any, beta: Any, columns: Any) -> tuple[Any, Any, Any]:
        offset = (log_theta - 0.5 * jnp.sum(beta**2, axis=1) / s2).astype(dtype)
        terms = offset[:, None] + (beta / s2).astype(dtype) @ columns
        top = jnp.max(terms, axis=0)
        r = jnp.exp(terms - top)
        total = jnp.sum(r, axis=0)
        r = r / total
        value = jnp.sum(top + jnp.log(total), dtype=jnp.float64)
        return value, jnp.sum(r, axis=1, dtype=jnp.float64), (r @ columns.T).astype(jnp.float64)

    def value_and_slopes(log_theta: Any, beta: Any) -> tuple[Any, Any, Any]:
        beta = beta - centre

        def add(carry: Any, columns: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, carry, one(log_theta, beta, columns)), None

        sums, _ = jax.lax.scan(add, one(log_theta, beta, rest), tiles)
        value, n, moments = sums
        return constant + value, n, (moments - n[:, None] * beta) / s2

    @jax.custom_vjp
    def function(log_theta: Any, beta: Any) -> Any:
        return value_and_slopes(log_theta, beta)[0]

    def forward(log_theta: Any, beta: Any) -> tuple[Any, tuple[Any, Any]]:
        value, *slopes = value_and_slopes(log_theta, beta)
        return value, tuple(slopes)

    def backward(slopes: tuple[Any, Any], cotangent: Any) -> tuple[Any, Any]:
        return cotangent * slopes[0], cotangent * slopes[1]

    function.defvjp(forward, backward)
    return function


def log_posterior(spec: MixtureSpec, x: np.ndarray, dtype: str) -> Callable[[Any], Any]:
    """u (K - 1 + K D,) -> log p(theta(u), beta(u), x) + log |det d theta / d u|, theta by stick-breaking."""
    K, D = spec.num_components, spec.dim
    likelihood = log_likelihood(spec, x, dtype)
    alpha, mean = jnp.asarray(spec.concentration), jnp.asarray(spec.prior_mean)
    precision = jnp.asarray(np.linalg.inv(spec.prior_cov))

    def function(u: Any) -> Any:
        log_theta, beta = log_weights(u[: K - 1]), u[K - 1 :].reshape(K, D)
        gap = beta - mean
        # The Jacobian's log determinant is sum_k log theta_k, which the Dirichlet's exponent takes in.
        prior = jnp.sum(alpha * log_theta) - 0.5 * jnp.sum((gap @ precision) * gap)
        return prior + likelihood(log_theta, beta)

    return function


def log_weights(y: Any) -> Any:
    """log theta (K,) from stick-breaking coordinates (K - 1,)."""
    count = y.shape[0]
    stick = y - jnp.log(jnp.arange(count, 0, -1))
    left = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jax.nn.log_sigmoid(-stick))])
    return left + jnp.concatenate([jax.nn.log_sigmoid(stick), jnp.zeros(1)])


def constrain(u: Any, K: int, D: int) -> tuple[np.ndarray, np.ndarray]:
    """theta (..., K) and beta (..., K, D) of u (..., K - 1 + K D)."""
    u = np.asarray(u)
    theta = np.exp(np.asarray(jnp.vectorize(log_weights, signature="(j)->(k)")(jnp.asarray(u[..., : K - 1]))))
    return theta, u[..., K - 1 :].reshape(*u.shape[:-1], K, D)


def unconstrain(theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """u (..., K - 1 + K D) of theta (..., K) and beta (..., K, D)."""
    K = theta.shape[-1]
    left = np.cumsum(theta[..., ::-1], axis=-1)[..., ::-1]
    y = np.log(theta[..., :-1]) - np.log(left[..., 1:]) + np.log(np.arange(K - 1, 0, -1))
    return np.concatenate([y, beta.reshape(*beta.shape[:-2], -1)], axis=-1)
