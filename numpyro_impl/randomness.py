"""Keys whose bits the native library makes: JAX's own bits, in one custom call for each demand.

XLA's CPU compiler writes out a loop of a hundred operations for every demand, and NUTS has a dozen of them: they
are half of its program, which takes as much longer to compile, to read back and to run.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl, threefry_prng_impl

from numpyro_impl.kernels import cpu
from numpyro_impl.runtime import seed_to_rng

BITS, SPLIT, FOLD_IN = (f"ppl_parity_random_{what}" for what in ("bits", "split", "fold_in"))


def fast_key(seed: Any, device: str) -> Any:
    """``seed_to_rng`` with the library's bits, where it can give them: the same numbers come of it."""
    key = seed_to_rng(seed)
    is_threefry = not _is_typed(key) and key.shape == threefry_prng_impl.key_shape
    if not (is_threefry and device == "cpu" and cpu.is_native() and is_partitionable()):
        return key
    return jax.random.wrap_key_data(key, impl=_native_threefry())


def is_partitionable() -> bool:
    """Whether JAX's bits are those of a counter, as its releases make them now unless they are told otherwise."""
    return getattr(jax.config, "jax_threefry_partitionable", True)


def to_words(key: Any) -> Any:
    """A key as an array of integers, which can cross from one compiled program to another."""
    return jax.random.key_data(key) if _is_typed(key) else key


def from_words(words: Any, like: Any) -> Any:
    """``to_words`` undone, for a key of the same kind as another."""
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(like)) if _is_typed(like) else words


def _is_typed(key: Any) -> bool:
    return jnp.issubdtype(key.dtype, jax.dtypes.prng_key)


@cache
def _native_threefry() -> Any:
    return define_prng_impl(
        key_shape=threefry_prng_impl.key_shape,
        seed=threefry_prng_impl.seed,
        split=_split,
        random_bits=_random_bits,
        fold_in=_fold_in,
        name="ppl_parity_threefry2x32",
        tag="ppl",
    )


def _split(key: Any, shape: tuple[int, ...]) -> Any:
    return _call(SPLIT, (*shape, 2), jnp.uint32, key)


def _random_bits(key: Any, bit_width: int, shape: tuple[int, ...]) -> Any:
    made = _call(BITS, shape, jnp.uint64 if bit_width == 64 else jnp.uint32, key)
    return made.astype(f"uint{bit_width}")


def _fold_in(key: Any, data: Any) -> Any:
    return _call(FOLD_IN, key.shape, jnp.uint32, key, jnp.asarray(data, jnp.uint32))


def _call(target: str, shape: tuple[int, ...], dtype: Any, *arguments: Any) -> Any:
    if math.prod(shape) == 0:
        return jnp.zeros(shape, dtype)
    result = jax.ShapeDtypeStruct(shape, dtype)
    return jax.ffi.ffi_call(target, result, vmap_method="broadcast_all")(*arguments)
