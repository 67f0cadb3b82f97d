"""A part of a file's rows, without the rest in memory: what one process of several brings to a fit.

    x = load_shard("rows.npy", jax.process_index(), jax.process_count())

Nothing is standardised: the mean of a part is not that of the whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ppl_parity.data.checks import check_columns, place
from ppl_parity.errors import InputError, one_of

SUFFIXES = (".npy", ".parquet")
BLOCK = 1 << 20  # rows that are converted and looked at together


def load_shard(
    path: str | os.PathLike[str], index: int, num_shards: int, *, precision: str = "float64"
) -> np.ndarray:
    """Rows [N index / num_shards, N (index + 1) / num_shards) of a file, both rounded down.

    An NPY file is mapped into memory; of a Parquet file, only the row groups that hold these rows are read.

    Args:
        path: an NPY file of shape (N, D), or a Parquet file of D numeric columns.
        index: which part, from 0.
        num_shards: into how many parts.
        precision: of what is returned, ``float64`` or ``float32``.

    Returns:
        (rows, D), in the file's order.

    Raises:
        InputError: there is no such part or file, the part is empty, or a value in it is not a finite number.
    """
    path = Path(path)
    one_of("precision", precision, ("float64", "float32"))
    if not 0 <= index < num_shards:
        raise InputError(f"index must be from 0 to num_shards - 1; got {index} of {num_shards}.")
    if path.suffix not in SUFFIXES:
        raise InputError(f"A file that is read in parts must end in .npy or .parquet; got {path.name!r}.")
    if not path.is_file():
        raise InputError(f"Data must be a file that exists; there is no {str(path)!r}.")
    num_rows, columns, blocks = (_npy if path.suffix == ".npy" else _parquet)(path)
    start, stop = (num_rows * i // num_shards for i in (index, index + 1))
    if start == stop:
        raise InputError(f"Each part must have a row; {path.name} has {num_rows} for {num_shards} parts.")
    x = np.empty((stop - start, len(columns)), dtype=precision)
    for first, block in blocks(start, stop):
        here = x[first - start : first - start + len(block)]
        with np.errstate(over="ignore"):
            here[...] = block
        _check_block(here, block, first, columns, path.name)
    return x


def _check_block(x: np.ndarray, given: np.ndarray, first: int, columns: Any, where: str) -> None:
    finite = np.isfinite(x)
    if not finite.all():
        row, column = (int(i) for i in np.unravel_index(int(np.argmin(finite)), x.shape))
        spot = place(first + row + 1, column + 1, columns, where)
        raise InputError(
            f"Every value must be a finite {x.dtype} number; got {given[row, column]} in {spot}."
        )


def _npy(path: Path) -> tuple[int, tuple[str, ...], Any]:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (EOFError, ValueError, OSError):
        raise InputError(
            f"A .npy file that is read in parts must hold one plain numeric array; {path.name} does not."
        ) from None
    if mapped.ndim != 2 or mapped.dtype.kind not in "iuf" or not mapped.size:
        raise InputError(
            f"The data must be integers or floats of shape (N, D); {path.name} has {mapped.dtype} of shape "
            f"{mapped.shape}."
        )

    def blocks(start: int, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        for first in range(start, stop, BLOCK):
            yield first, mapped[first : min(first + BLOCK, stop)]

    return len(mapped), check_columns(None, mapped.shape[1], path.name), blocks


def _parquet(path: Path) -> tuple[int, tuple[str, ...], Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = file.schema_arrow.names
    except (pyarrow.ArrowException, UnicodeDecodeError):
        raise InputError(f"A .parquet file must be readable; {path.name} is not.") from None
    columns = check_columns(names, len(names), path.name)
    for name, kind in zip(columns, file.schema_arrow.types, strict=True):
        if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
            raise InputError(
                f"Every column must be integers or floats; {name!r} of {path.name} is of type {kind}."
            )

    def blocks(start: int, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        end = 0
        for group in range(file.num_row_groups):
            begin, end = end, end + file.metadata.row_group(group).num_rows
            if end <= start or begin >= stop:
                continue
            first = begin
            for batch in file.iter_batches(batch_size=BLOCK, row_groups=[group]):
                # A missing value becomes NaN, which is then named with its row.
                numbers = [column.cast(pyarrow.float64(), safe=False) for column in batch.columns]
                rows = np.stack([column.to_numpy(zero_copy_only=False) for column in numbers], axis=1)
                low, high = max(start - first, 0), min(stop - first, len(rows))
                if low < high:
                    yield first + low, rows[low:high]
                first += len(rows)

    return file.metadata.num_rows, columns, blocks
