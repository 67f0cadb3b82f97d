"""Standardisation, which is explicit, recorded, and can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ppl_parity.data.checks import as_matrix, check_columns, check_finite
from ppl_parity.errors import InputError


def standardize(x: ArrayLike, *, columns: Sequence[str] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
    """Bring every column to mean 0 and standard deviation 1.

        z_ij = (x_ij - mean_j) / scale_j,    scale_j = sqrt(sum_i (x_ij - mean_j)^2 / N)

    The standard deviation divides by N (``ddof=0``), so that the columns of z have a mean square of
    exactly 1.

    Args:
        x: (N, D), or (N,) for one column, in any units.
        columns: D names, for messages and for the record.

    Returns:
        z: (N, D) float64, without units.
        record: ``method``, ``columns``, ``mean``, ``scale`` and ``ddof``, in lists and numbers that JSON
            can hold; ``unstandardize`` takes it.

    Raises:
        InputError: ``x`` is not a finite matrix, a column is constant, or a standard deviation overflows.
    """
    data = as_matrix(x, "x", copy=False)
    names = check_columns(columns, data.shape[1], "x")
    check_finite(data, names, "x")
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = data.mean(axis=0), data.std(axis=0)
    # Rounding can leave a constant column a standard deviation of 1e-17: compare the values themselves.
    constant = (data.max(axis=0) == data.min(axis=0)) | (scale == 0)
    for index, name in enumerate(names):
        if constant[index]:
            raise InputError(
                f"A column must vary to be standardised; column {index + 1} ({name!r}) is {data[0, index]:g}"
                " in every row."
            )
        if not np.isfinite(scale[index]):
            raise InputError(
                f"A column must have a finite standard deviation; that of column {index + 1} ({name!r})"
                " overflows."
            )
    record = {
        "method": "standardize",
        "columns": list(names),
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "ddof": 0,
    }
    return (data - mean) / scale, record


def unstandardize(z: ArrayLike, record: Mapping[str, Any]) -> np.ndarray:
    """Bring standardised values, such as component means beta, back to the units of the data.

        x_j = mean_j + scale_j z_j

    Args:
        z: (..., D), without units.
        record: what ``standardize`` returned beside z.

    Returns:
        (..., D) float64, in the units of the data.

    Raises:
        InputError: the last axis of ``z`` is not D long.
    """
    values = np.asarray(z, dtype=np.float64)
    mean, scale = np.asarray(record["mean"]), np.asarray(record["scale"])
    if values.shape[-1:] != mean.shape:
        raise InputError(
            f"The last axis must have the D = {len(mean)} columns of the record; got shape {values.shape}."
        )
    return mean + scale * values
