"""What a fit's draws say of the rows, in closed form: whose they are, and how likely they were."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_impl.compiled import compile_options_of, in_precision, shapes_of, stored
from numpyro_impl.formulations import logits
from numpyro_impl.runtime import seed_to_rng, session, to_framework, to_numpy
from ppl_parity.spec import MixtureSpec

NUMBERS = 1 << 20  # of logits at a time: draws are taken in blocks of what fits


def responsibilities(
    spec: MixtureSpec,
    theta: np.ndarray,
    beta: np.ndarray,
    x: np.ndarray,
    *,
    precision: str = "float64",
    device: str = "cpu",
) -> np.ndarray:
    """See ``contract.Backend.responsibilities``."""
    with session(precision, device):
        draws = in_precision((theta, beta))

        def mean(draws, x):
            def add(total, draw):
                theta, beta = draw
                return total + jax.nn.softmax(logits(theta, beta, x, spec.noise_scale), axis=-1), None

            zero = jnp.zeros((len(x), spec.num_components))
            return jax.lax.scan(add, zero, draws)[0] / len(draws[0])

        numbers = len(draws[0]) * len(x) * spec.num_components
        return _once("responsibilities", mean, spec, (draws, to_framework(np.asarray(x))), numbers, device)


def sample_assignments(
    spec: MixtureSpec,
    theta: np.ndarray,
    beta: np.ndarray,
    x: np.ndarray,
    *,
    seed: int = 0,
    precision: str = "float64",
    device: str = "cpu",
) -> np.ndarray:
    """See ``contract.Backend.sample_assignments``."""
    with session(precision, device):
        draws = np.arange(len(theta)), *in_precision((theta, beta))

        def draw(x, seed, number, theta, beta):
            # By inversion: a number below the first of the cumulative probabilities is component 0, and so on.
            r = jax.nn.softmax(logits(theta, beta, x, spec.noise_scale), axis=-1)
            key = jax.random.fold_in(seed_to_rng(seed), number)
            uniform = jax.random.uniform(key, (len(x), 1))
            return jnp.sum(uniform >= jnp.cumsum(r, axis=-1)[:, :-1], axis=-1)

        shared = to_framework(np.asarray(x)), np.uint32(seed)
        return _each("assignments", draw, spec, draws, shared, device).astype(np.int64)


def pointwise_log_likelihood(
    spec: MixtureSpec,
    theta: np.ndarray,
    beta: np.ndarray,
    x: np.ndarray,
    *,
    precision: str = "float64",
    device: str = "cpu",
) -> np.ndarray:
    """See ``contract.Backend.pointwise_log_likelihood``."""
    with session(precision, device):
        draws = in_precision((theta, beta))

        def rows(x, theta, beta):
            square = jnp.sum(x**2, axis=-1) / spec.noise_scale**2
            constant = 0.5 * spec.dim * math.log(2 * math.pi * spec.noise_scale**2)
            terms = logits(theta, beta, x, spec.noise_scale)
            return jax.nn.logsumexp(terms, axis=-1) - 0.5 * square - constant

        return _each("log likelihood", rows, spec, draws, (to_framework(np.asarray(x)),), device)


def _each(
    name: str,
    function: Callable[..., Any],
    spec: MixtureSpec,
    draws: tuple[Any, ...],
    shared: tuple[Any, ...],
    device: str,
) -> np.ndarray:
    """``function`` of what is shared, x first, and of each draw, a block of draws at once.

    The last block is filled up with a draw.
    """
    num_draws, of_a_draw = len(draws[0]), max(1, len(shared[0]) * spec.num_components)
    num_blocks = max(1, -(-num_draws // max(1, NUMBERS // of_a_draw)))
    size = max(1, -(-num_draws // num_blocks))
    filled = np.minimum(np.arange(num_blocks * size), max(0, num_draws - 1)).reshape(num_blocks, size)
    blocks = tuple(np.asarray(values)[filled] for values in draws)

    def all_draws(blocks, shared):
        return jax.lax.map(lambda block: jax.vmap(partial(function, *shared))(*block), blocks)

    values = _once(name, all_draws, spec, (blocks, shared), num_draws * of_a_draw, device)
    return values.reshape(num_blocks * size, *values.shape[2:])[:num_draws]


def _once(
    name: str,
    function: Callable[..., Any],
    spec: MixtureSpec,
    given: tuple[Any, Any],
    numbers: int,
    device: str,
) -> np.ndarray:
    """``function`` of what is given, by a program for this once that makes so many numbers."""

    def build() -> tuple[Any, None]:
        options = compile_options_of(numbers, device)
        return jax.jit(function, compiler_options=options).lower(*given).compile(), None

    compiled, _ = stored((name, spec.as_dict(), shapes_of(given)), device, build)
    return to_numpy(compiled(*given))
