"""The one pass on a CPU: the native kernel, called by XLA, and the array program where there is none."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
from jax.custom_batching import custom_vmap

from ppl_parity import native
from ppl_parity.backend.checks import check_pass
from ppl_parity.backend.priors import prior_terms
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec

TILE = 4096  # rows: their logits stay in the cache
SAMPLE = 64  # rows at most, whose mean is the centre

MIXTURE, POTENTIAL = "ppl_parity_mixture", "ppl_parity_potential"


def usable(x: Any) -> bool:
    """Whether the native kernel can take this x: it is here, and x is in float32 or float64."""
    return x.dtype in (jnp.float32, jnp.float64) and is_native()


def is_native() -> bool:
    """Whether the native kernel is here."""
    return _why_not() is None


def describe() -> str:
    """Which kernel runs, in words."""
    reason = _why_not()
    return native.describe() if reason is None else f"array program: {reason}"


def native_pass(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> tuple[Any, Any, Any]:
    """See ``kernels.one_pass``; its derivative is the array program's.

    Raises:
        NoLibrary: there is no native kernel; ``usable`` says so beforehand.
    """
    if reason := _why_not():
        raise native.NoLibrary(reason)
    return _native_pass(log_theta, beta, x, float(noise_scale))


def array_pass(
    log_theta: Any, beta: Any, x: Any, noise_scale: float, tile_rows: int = TILE
) -> tuple[Any, Any, Any]:
    """See ``kernels.one_pass``; x is walked in tiles, so that nothing of size N x K is kept."""
    check_pass(log_theta, beta, x)
    N, D = x.shape
    total = log_theta.dtype
    centre = centre_of(x)
    beta = beta - centre.astype(beta.dtype)
    weights = beta / noise_scale**2
    bias = log_theta - 0.5 * jnp.sum(beta * weights, axis=-1)
    rounded, rounded_bias = weights.astype(x.dtype), bias.astype(x.dtype)
    rows = max(1, min(N, tile_rows))

    def tile(i, sums):
        value, squares, n, slope = sums
        start = jnp.minimum(i * rows, N - rows)
        here = jax.lax.dynamic_slice(x, (start, 0), (rows, D)) - centre
        # The last tile begins early enough to be whole; what it shares with the one before counts once.
        new = start + jnp.arange(rows) >= i * rows
        columns = here.T
        dot = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
        logits = rounded_bias[:, None] + dot(rounded, columns)
        top = jnp.max(logits, axis=0)
        r = jnp.exp(logits - top)
        row_sums = jnp.sum(r, axis=0)
        r = jnp.where(new, r / row_sums, 0)
        value += jnp.sum(jnp.where(new, top, 0), dtype=total)
        value += jnp.sum(jnp.where(new, jnp.log(row_sums), 0), dtype=total)
        squares += jnp.sum(jnp.where(new, columns**2, 0), dtype=total)
        return value, squares, n + jnp.sum(r, axis=1, dtype=total), slope + dot(r, here).astype(total)

    zero = jnp.zeros((), total)
    sums = (zero, zero, jnp.zeros_like(log_theta), jnp.zeros_like(beta))
    value, squares, n, slope = jax.lax.fori_loop(0, -(-N // rows), tile, sums) if N else sums
    # Rounded parameters would move the value by n_k times the rounding, which N makes large: the gradient is
    # at hand, so the value at the parameters themselves follows to first order.
    value += jnp.sum(n * lost(bias, rounded_bias)) + jnp.sum(slope * lost(weights, rounded))
    value -= 0.5 * squares / noise_scale**2 + 0.5 * N * D * math.log(2 * math.pi * noise_scale**2)
    return value, n, (slope - n[:, None] * beta) / noise_scale**2


def centre_of(x: Any) -> Any:
    """The mean of a few rows spread over the data: it keeps the terms of the expanded square small."""
    if not len(x):
        return jnp.zeros(x.shape[1], x.dtype)
    return jnp.mean(x[:: -(-len(x) // SAMPLE)], axis=0)


def lost(exact: Any, rounded: Any) -> Any:
    """What rounding took away; nothing where it became infinite."""
    return jnp.where(jnp.isfinite(rounded), exact - rounded.astype(exact.dtype), 0)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _native_pass(log_theta, beta, x, noise_scale):
    return for_one_chain(partial(_native_chains, noise_scale), log_theta, beta, x)


@_native_pass.defjvp
def _native_jvp(noise_scale, primals, tangents):
    _, out = jax.jvp(partial(array_pass, noise_scale=noise_scale), primals, tangents)
    return _native_pass(*primals, noise_scale), out


def _native_chains(noise_scale, log_theta, beta, x):
    check_pass(log_theta, beta, x, chains=True)
    shapes = (log_theta.shape[:1], log_theta.shape, beta.shape)
    results = [jax.ShapeDtypeStruct(shape, log_theta.dtype) for shape in shapes]
    return jax.ffi.ffi_call(MIXTURE, results)(log_theta, beta, x, noise_scale=noise_scale)


def native_potentials(spec: MixtureSpec, y: Any, beta: Any, x: Any) -> tuple[Any, ...]:
    """U (C,) and its gradient in y (C, K - 1) and beta (C, K, D), all float64; see ``numpyro_impl.potential``."""
    K, D = spec.num_components, spec.dim
    if y.shape[1:] != (K - 1,) or beta.shape != (len(y), K, D) or x.shape[1:] != (D,):
        raise InputError(
            f"numpyro: the mixture's potential takes y (C, {K - 1}), beta (C, {K}, {D}) and x (N, {D}); got {y.shape}, "
            f"{beta.shape} and {x.shape}."
        )
    terms = prior_terms(spec)
    results = [jax.ShapeDtypeStruct(shape, y.dtype) for shape in (y.shape[:1], y.shape, beta.shape)]
    call = jax.ffi.ffi_call(POTENTIAL, results)
    prior = (terms.alpha, terms.mean, terms.whiten)
    return tuple(call(y, beta, x, *prior, noise_scale=spec.noise_scale, constant=terms.constant))


def for_one_chain(evaluate: Any, log_theta: Any, beta: Any, x: Any) -> tuple[Any, Any, Any]:
    """One chain of ``evaluate``, which takes C at once; under vmap the chains are more, and x stays one."""
    call = custom_vmap(lambda *given: tuple(evaluate(*given)))

    @call.def_vmap
    def call_batch(size, batched, log_theta, beta, x):
        if batched[2]:

            def one(given):
                own = iter(given)
                taken = zip((log_theta, beta, x), batched, strict=True)
                return call(*(next(own) if mapped else fixed for fixed, mapped in taken))

            given = [a for a, mapped in zip((log_theta, beta, x), batched, strict=True) if mapped]
            return jax.lax.map(one, given), (True,) * 3
        chains = [
            a if mapped else jnp.broadcast_to(a, (size, *a.shape))
            for a, mapped in zip((log_theta, beta), batched[:2], strict=True)
        ]
        each = chains[0].shape[1]
        results = call(*(a.reshape(size * each, *a.shape[2:]) for a in chains), x)
        return tuple(result.reshape(size, each, *result.shape[1:]) for result in results), (True,) * 3

    value, n, slope = call(log_theta[None], beta[None], x)
    return value[0], n[0], slope[0]


@cache
def _why_not() -> str | None:
    """Why there is no native kernel, or None where there is one, which is then known to XLA."""
    try:
        handlers = native.xla_handlers(jaxlib.version.__version__, jax.ffi.include_dir())
    except native.NoLibrary as reason:
        return str(reason)
    for target, handler in handlers.items():
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(handler), platform="cpu")
    return None
