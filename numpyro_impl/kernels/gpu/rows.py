"""What a GPU does with rows, in Pallas, whichever program they belong to."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

LOG2E = math.log2(math.e)


def times(product: Any, power: Any, factor: Any) -> tuple[Any, Any]:
    """product 2^power times a factor of at least 1, as another such pair with 1 <= product < 2.

    The sum of logarithms is the logarithm of a product, which costs a few operations a row where a logarithm costs
    twenty, and loses less.
    """
    about = jnp.finfo(product.dtype)
    integer = jnp.dtype(f"int{about.bits}")
    one = jnp.asarray(((1 << (about.nexp - 1)) - 1) << about.nmant, integer)
    bits = jax.lax.bitcast_convert_type(product * factor.astype(product.dtype), integer)
    power = power + ((bits - one) >> about.nmant).astype(power.dtype)
    mantissa = bits & jnp.asarray((1 << about.nmant) - 1, integer)
    return jax.lax.bitcast_convert_type(mantissa | one, product.dtype), power


def log_of(product: Any, power: Any) -> Any:
    """log2 of product 2^power; by way of the natural one, which every release of JAX has for a GPU."""
    return jnp.log(product) * LOG2E + power.astype(product.dtype)


def value_of(top: Any, squares: Any, h: float, precision: Any) -> Any:
    """A row's value without the logarithm of its sum; first each in ``precision``, or it would lose digits."""
    return top.astype(precision) - h * squares.astype(precision)
