"""What every data set must be, wherever it came from: a finite float64 matrix with named columns.

Rows are named in messages as data rows, counted from 1 with no header, so that the number means the same
for every file format.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ppl_parity.errors import InputError, nearest

# What pandas calls a row index that it saved as a column; read as data it would be one dimension too many.
_SAVED_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+")

OTHERS = " Name the columns to take (--columns, columns=) if it is none of them."


def as_matrix(values: Any, where: str, *, copy: bool = True) -> np.ndarray:
    """Return ``values`` as a C-contiguous float64 matrix.

    Args:
        values: an (N, D) or (N,) array of integers or floats, or what NumPy can turn into one.
        where: how to name the data in a message, such as a file's name.
        copy: always copy; False when the caller owns ``values`` and will not write to them again.

    Returns:
        (N, D); (N, 1) when ``values`` is one-dimensional.

    Raises:
        InputError: ``values`` are ragged, masked, not numeric, empty, or of another dimensionality.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError(f"The data must have no missing values; {where} is an array with masked entries.")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The data must be an array of numbers; {where} cannot be made one: {error}."
        ) from None
    # Kinds: i, u and f are numbers. Booleans are left out on purpose: a mask is not a measurement.
    if array.dtype.kind not in "iuf":
        raise InputError(f"The data must be integers or floats; {where} has dtype {array.dtype}.")
    if array.ndim not in (1, 2):
        raise InputError(f"The data must have shape (N, D) or (N,); {where} has shape {array.shape}.")
    if array.size == 0:
        raise InputError(
            f"The data must have at least one row and one column; {where} has shape {array.shape}."
        )
    matrix = array[:, None] if array.ndim == 1 else array
    with np.errstate(over="ignore"):  # an overflow becomes inf, which check_finite reports with its place
        if copy:
            return np.array(matrix, dtype=np.float64, order="C")
        return np.ascontiguousarray(matrix, dtype=np.float64)


def check_columns(columns: Sequence[str] | None, dim: int, where: str) -> tuple[str, ...]:
    """Return the D column names, ``x1`` to ``xD`` when there are none; each must be there, and only once."""
    if columns is None:
        return tuple(f"x{index}" for index in range(1, dim + 1))
    names = tuple(str(name).strip() for name in columns)
    if len(names) != dim:
        raise InputError(f"There must be one name per column, {dim} in all; {where} has {len(names)}.")
    for index, name in enumerate(names, start=1):
        if not name or _SAVED_INDEX.fullmatch(name):
            raise InputError(
                f"Every column must have a name of its own; column {index} of {where} is called {name!r},"
                " as a row index is that was saved with the data (leave it out of the file)."
            )
        if name in names[: index - 1]:
            raise InputError(
                f"Column names must be unique; {name!r} comes twice in {where}, the second time as"
                f" column {index}."
            )
    return names


def chosen_columns(wanted: Sequence[str], names: Sequence[str], where: str) -> list[int]:
    """Where the columns that are ``wanted`` stand among the ``names`` of a file, in the order asked for.

    Raises:
        InputError: none is wanted, one is wanted twice, is not there, or is there more than once.
    """
    if isinstance(wanted, str) or not wanted:
        raise InputError(f"The columns to take must be names, one or more; got {wanted!r}.")
    for name in wanted:
        if list(wanted).count(name) > 1:
            raise InputError(f"Each column must be taken once; {name!r} is asked for twice.")
        if list(names).count(name) > 1:
            raise InputError(
                f"A column that is taken must have a name of its own; {where} has {name!r} twice."
            )
        if name not in names:
            shown = [each for each in names if each]
            listed = ", ".join(shown[:20]) + (", ..." if len(shown) > 20 else "")
            marks = [mark for mark in ";\t|" if len(shown) == 1 and mark in shown[0]]
            cure = f" Its columns seem to be separated by {marks[0]!r}; a comma is needed." if marks else ""
            raise InputError(
                f"The columns of {where} are {listed}; got {name!r}.{cure or nearest(name, shown)}"
            )
    return [list(names).index(name) for name in wanted]


def check_finite(x: np.ndarray, columns: Sequence[str], where: str) -> None:
    """Raise an InputError that names the first row and column of (N, D) ``x`` that is NaN or infinite."""
    finite = np.isfinite(x)
    if not finite.all():
        row, column = np.unravel_index(int(np.argmin(finite)), x.shape)
        raise InputError(
            "Every value must be a finite number, and rows with missing values must be dropped first; got"
            f" {x[row, column]} in {place(int(row) + 1, int(column) + 1, columns, where)}."
        )


def place(row: int, column: int, columns: Sequence[str] | None, where: str) -> str:
    """Where a value stands, for a message; ``row`` and ``column`` count from 1."""
    name = f" ({columns[column - 1]!r})" if columns else ""
    return f"data row {row}, column {column}{name} of {where}"
