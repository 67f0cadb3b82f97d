"""What the reference accepts: each argument as a float64 or int64 array of the right shape, or an error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec

SIMPLEX_TOLERANCE = 1e-5  # theta rounded to float32 must still pass, also for K = 20


def as_simplex(spec: MixtureSpec, theta: ArrayLike) -> np.ndarray:
    """Return theta as (K,) float64, or raise where it does not lie on the simplex."""
    theta = as_weights(spec, theta)
    if abs(theta.sum() - 1) > SIMPLEX_TOLERANCE:
        raise InputError(f"theta must sum to one within {SIMPLEX_TOLERANCE:g}; its sum is {theta.sum()!r}.")
    return theta


def as_weights(spec: MixtureSpec, theta: ArrayLike) -> np.ndarray:
    """Return theta as (K,) float64, not negative and not all zero."""
    theta = _finite("theta", theta, (spec.num_components,), "(K,)")
    if np.any(theta < 0) or not np.any(theta > 0):
        raise InputError(f"theta must have no negative entry and a positive one; got {theta.tolist()}.")
    return theta


def as_means(spec: MixtureSpec, beta: ArrayLike) -> np.ndarray:
    """Return beta as (K, D) float64."""
    return _finite("beta", beta, (spec.num_components, spec.dim), "(K, D)")


def as_data(spec: MixtureSpec, x: ArrayLike) -> np.ndarray:
    """Return x as (N, D) float64; N may be zero."""
    array = np.asarray(x, dtype=np.float64)
    return _finite("x", array, (array.shape[0] if array.ndim else 0, spec.dim), "(N, D)")


def as_labels(spec: MixtureSpec, z: ArrayLike, num_rows: int) -> np.ndarray:
    """Return z as (N,) int64 with every entry in [0, K)."""
    labels = np.asarray(z)
    if labels.shape != (num_rows,):
        raise InputError(f"z must have shape (N,) = ({num_rows},); got shape {labels.shape}.")
    if labels.size and labels.dtype.kind not in "iu":
        raise InputError(f"z must hold integers; got the dtype {labels.dtype}.")
    labels = labels.astype(np.int64)
    if labels.size and not 0 <= labels.min() <= labels.max() < spec.num_components:
        raise InputError(
            f"Every z must lie in [0, {spec.num_components}); "
            f"got values from {labels.min()} to {labels.max()}."
        )
    return labels


def _finite(name: str, value: ArrayLike, shape: tuple[int, ...], letters: str) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise InputError(f"{name} must have shape {letters} = {shape}; got shape {array.shape}.")
    if not np.all(np.isfinite(array)):
        raise InputError(
            f"{name} must be finite; it holds {np.sum(~np.isfinite(array))} values that are not."
        )
    return array
