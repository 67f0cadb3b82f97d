"""What a fit's draws say of the rows, in closed form: whose they are, and how likely they were."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_impl.compiled import compile_options_of, in_precision, shapes_of, store, stored
from numpyro_impl.formulations import logits
from numpyro_impl.randomness import fast_key
from numpyro_impl.runtime import NAME, session, to_numpy
from ppl_parity.backend.centring import centred
from ppl_parity.backend.chains import LARGEST_PER_ROW
from ppl_parity.backend.checks import check_draws
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
    check_draws(NAME, spec, theta, beta, x)
    x, beta, precision = centred(x, beta, spec.noise_scale, precision)
    with session(precision, device):
        return _run(_mean_responsibilities(spec, theta, beta, x), device)


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
    check_draws(NAME, spec, theta, beta, x)
    x, beta, precision = centred(x, beta, spec.noise_scale, precision)
    with session(precision, device):
        blocks = _run(_assignments(spec, theta, beta, x, seed, device), device)
        return _of_draws(blocks, len(theta)).astype(np.int64)


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
    check_draws(NAME, spec, theta, beta, x)
    x, beta, precision = centred(x, beta, spec.noise_scale, precision)
    with session(precision, device):
        return _of_draws(_run(_log_likelihoods(spec, theta, beta, x), device), len(theta))


def compile_ahead(spec: MixtureSpec, num_draws: int, x: Any, *, precision: str, device: str) -> None:
    """Compile what will be asked of so many draws and rows like these, and leave it where it will be found."""
    if num_draws * len(x) > LARGEST_PER_ROW:
        return
    K, D = spec.num_components, spec.dim
    with session(precision, device):
        theta, beta, rows = (
            jax.ShapeDtypeStruct(shape, jnp.result_type(float))
            for shape in ((num_draws, K), (num_draws, K, D), np.shape(x))
        )
        for task in (
            _log_likelihoods(spec, theta, beta, rows),
            _assignments(spec, theta, beta, rows, 0, device),
            _mean_responsibilities(spec, theta, beta, rows),
        ):
            store(task.identity, device, partial(_build, task, device))


@dataclass(frozen=True)
class _Task:
    """A function of what is given, for this once, that makes so many numbers; ``name`` and ``spec`` say which.

    What is given are arrays, or their shapes and types alone where it is compiled and not run.
    """

    name: str
    spec: MixtureSpec
    function: Callable[..., Any]
    given: tuple[Any, Any]
    numbers: int

    @property
    def identity(self) -> tuple[Any, ...]:
        return self.name, self.spec.as_dict(), shapes_of(self.given)


def _mean_responsibilities(spec: MixtureSpec, theta: Any, beta: Any, x: Any) -> _Task:
    def mean(draws, x):
        def add(total, draw):
            theta, beta = draw
            return total + jax.nn.softmax(logits(theta, beta, x, spec.noise_scale), axis=-1), None

        zero = jnp.zeros((len(x), spec.num_components))
        return jax.lax.scan(add, zero, draws)[0] / len(draws[0])

    given = _given((theta, beta)), _given(x)
    return _Task("responsibilities", spec, mean, given, len(theta) * len(x) * spec.num_components)


def _assignments(spec: MixtureSpec, theta: Any, beta: Any, x: Any, seed: int, device: str) -> _Task:
    def draw(x, seed, number, theta, beta):
        # By inversion: a number below the first of the cumulative probabilities is component 0, and so on.
        r = jax.nn.softmax(logits(theta, beta, x, spec.noise_scale), axis=-1)
        key = jax.random.fold_in(fast_key(seed, device), number)
        uniform = jax.random.uniform(key, (len(x), 1))
        return jnp.sum(uniform >= jnp.cumsum(r, axis=-1)[:, :-1], axis=-1)

    draws = np.arange(len(theta)), *_given((theta, beta))
    return _of_each("assignments", draw, spec, draws, (_given(x), np.uint32(seed)))


def _log_likelihoods(spec: MixtureSpec, theta: Any, beta: Any, x: Any) -> _Task:
    def rows(x, theta, beta):
        square = jnp.sum(x**2, axis=-1) / spec.noise_scale**2
        constant = 0.5 * spec.dim * math.log(2 * math.pi * spec.noise_scale**2)
        terms = logits(theta, beta, x, spec.noise_scale)
        return jax.nn.logsumexp(terms, axis=-1) - 0.5 * square - constant

    return _of_each("log likelihood", rows, spec, _given((theta, beta)), (_given(x),))


def _given(values: Any) -> Any:
    """Arrays in the session's precision; shapes as they are."""
    shapes = any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(values))
    return values if shapes else in_precision(values)


def _of_each(
    name: str,
    function: Callable[..., Any],
    spec: MixtureSpec,
    draws: tuple[Any, ...],
    shared: tuple[Any, ...],
) -> _Task:
    """``function`` of what is shared, x first, and of each draw, a block of draws at once.

    The last block is filled up with a draw; ``_of_draws`` takes it away again.
    """
    num_draws, of_a_draw = len(draws[0]), max(1, len(shared[0]) * spec.num_components)
    num_blocks = max(1, -(-num_draws // max(1, NUMBERS // of_a_draw)))
    size = max(1, -(-num_draws // num_blocks))
    filled = np.minimum(np.arange(num_blocks * size), max(0, num_draws - 1)).reshape(num_blocks, size)
    blocks = tuple(_blocks(values, filled) for values in draws)

    def all_draws(blocks, shared):
        return jax.lax.map(lambda block: jax.vmap(partial(function, *shared))(*block), blocks)

    return _Task(name, spec, all_draws, (blocks, shared), num_draws * of_a_draw)


def _blocks(values: Any, filled: np.ndarray) -> Any:
    if isinstance(values, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((*filled.shape, *values.shape[1:]), values.dtype)
    return np.asarray(values)[filled]


def _of_draws(blocks: np.ndarray, num_draws: int) -> np.ndarray:
    return blocks.reshape(-1, *blocks.shape[2:])[:num_draws]


def _run(task: _Task, device: str) -> np.ndarray:
    compiled, _ = stored(task.identity, device, partial(_build, task, device))
    return to_numpy(compiled(*task.given))


def _build(task: _Task, device: str) -> tuple[Any, None]:
    options = compile_options_of(task.numbers, device)
    return jax.jit(task.function, compiler_options=options).lower(*task.given).compile(), None
