"""Precision, device, random numbers, arrays: the only home of what is global to the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro

from ppl_parity.backend.alone import Alone
from ppl_parity.backend.checks import check_rows
from ppl_parity.errors import InputError, one_of
from ppl_parity.spec import PRECISIONS, MixtureSpec

NAME = "numpyro"

_alone = Alone(NAME)


def versions() -> dict[str, str]:
    """See ``contract.Backend.versions``."""
    return {name: metadata.version(name) for name in ("numpyro", "jax", "jaxlib", "funsor", "numpy")}


def devices() -> list[str]:
    """See ``contract.Backend.devices``."""
    return ["cpu"] + (["gpu"] if _accelerators() else [])


@contextmanager
def session(precision: str = "float64", device: str = "cpu") -> Iterator[None]:
    """Compute in ``precision`` on ``device`` inside the block, one thread at a time; leave the process as it was.

    Validation is set as well, because its default has moved between releases and it decides what a
    density is outside its support (-inf with it, a finite number without).
    """
    one_of("precision", precision, PRECISIONS)
    x64 = jax.enable_x64(precision == "float64")
    with _alone.held(), x64, jax.default_device(_find(device)), numpyro.validation_enabled(True):
        yield


def seed_to_rng(seed: int) -> jax.Array:
    """A JAX key from an integer seed."""
    return jax.random.PRNGKey(seed)


def to_framework(value: Any, precision: str | None = None) -> Any:
    """NumPy arrays to JAX arrays of ``precision``, or else the session's; everything else as it is.

    NumPy scalars become Python's, so that a count stays usable as a shape while the model is compiled.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        floating = np.issubdtype(value.dtype, np.floating)
        return jnp.asarray(value, dtype=precision or jnp.result_type(float) if floating else None)
    if isinstance(value, dict):
        return {key: to_framework(item, precision) for key, item in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(item, np.ndarray) for item in value):
        return type(value)(to_framework(item, precision) for item in value)
    return value


def as_rows(spec: MixtureSpec, x: Any) -> Any:
    """The mixture's x, if there is one, checked, and in floating point: whole numbers as much as others."""
    if x is None:
        return None
    check_rows(NAME, spec, x)
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))


def to_numpy(tree: Any) -> Any:
    """Every JAX array of a tree as a NumPy array of its own."""
    return jax.tree.map(np.array, tree)


def synchronise(tree: Any) -> Any:
    """Wait until every array of a tree is computed: JAX returns before the work is done."""
    return jax.block_until_ready(tree)


def _find(device: str) -> Any:
    kind, _, index = device.partition(":")
    found = jax.local_devices(backend="cpu") if kind == "cpu" else _accelerators()
    number = int(index) if index.isdigit() else 0
    if number >= len(found):
        raise InputError(
            f"numpyro: device {device!r} is not here; JAX sees {', '.join(map(str, jax.devices()))}."
        )
    return found[number]


def _accelerators() -> list[Any]:
    return [device for device in jax.local_devices() if device.platform in ("gpu", "cuda", "rocm")]
