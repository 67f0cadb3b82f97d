"""Parquet: every column a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ppl_parity.data.checks import OTHERS, check_columns, check_finite, chosen_columns, place
from ppl_parity.errors import InputError


def read_parquet(path: Path, wanted: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a Parquet file of integer and floating-point columns.

    Args:
        path: a Parquet file; each of its D columns becomes a column of the data.
        wanted: the columns to take; None is all of them. Of the others nothing is read.

    Returns:
        The (N, D) float64 values and the D column names.

    Raises:
        InputError: the file is damaged or empty, a column is not numeric (it is named), or a value is
            missing or not finite.
    """
    import pyarrow  # here, because it takes longer to import than the rest of this package together
    import pyarrow.parquet

    where = path.name
    try:
        file = pyarrow.parquet.ParquetFile(path)
        if wanted is not None:
            chosen_columns(wanted, file.schema_arrow.names, where)
        table = file.read() if wanted is None else file.read(columns=list(wanted)).select(list(wanted))
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:  # the second for a damaged column name
        first_line = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InputError(f"A .parquet file must be readable; {where} is not: {first_line}.") from None
    if table.num_rows == 0 or table.num_columns == 0:
        raise InputError(
            "The data must have at least one row and one column;"
            f" {where} has shape {(table.num_rows, table.num_columns)}."
        )
    columns = check_columns(table.column_names, table.num_columns, where)
    x = np.empty((table.num_rows, table.num_columns))
    for index, column in enumerate(table.columns):
        if not (pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)):
            raise InputError(
                f"Every column must be integers or floats; column {index + 1} ({columns[index]!r}) of {where}"
                f" is of type {column.type}.{OTHERS}"
            )
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy())) + 1
            raise InputError(
                "Rows with missing values must be dropped first; got null in"
                f" {place(row, index + 1, columns, where)}."
            )
        x[:, index] = column.to_numpy()
    check_finite(x, columns, where)
    return x, columns
