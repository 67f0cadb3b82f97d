"""Which reader a file gets: the suffix decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ppl_parity.data.bundled import BUNDLED_NAMES
from ppl_parity.data.read_csv import read_csv
from ppl_parity.data.read_numpy import read_numpy
from ppl_parity.data.read_parquet import read_parquet
from ppl_parity.errors import InputError, nearest

_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")
_READERS = {".csv": read_csv, ".npy": read_numpy, ".npz": read_numpy, ".parquet": read_parquet}
SUFFIXES = tuple(_READERS)


def read_file(path: Path, wanted: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a data file by its suffix, in either case.

    Args:
        path: a file that ends in .csv, .npy, .npz or .parquet.
        wanted: the columns to take, in this order, by name; None is all of them. Nothing is asked of the others.

    Returns:
        The (N, D) float64 values, finite, and the D column names.

    Raises:
        InputError: the suffix is another, there is no such file or column, it cannot be opened, or its reader
            refuses what is in it.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        suffix = path.suffix.lower()
        hint = (
            " Decompress it first." if suffix in _COMPRESSED else nearest(suffix, SUFFIXES) if suffix else ""
        )
        raise InputError(
            f"A data file must end in {', '.join(SUFFIXES)}; got {(path.name or str(path))!r}.{hint}"
        )
    try:
        if path.is_dir():
            raise InputError(f"The data must be one file; {str(path)!r} is a folder.")
        if not path.is_file():
            raise InputError(f"The data file must exist; there is no file {str(path)!r}.{_similar(path)}")
        return reader(path, wanted)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"The data file must be readable; {path.name} is not: {reason}.") from None


def _similar(path: Path) -> str:
    """A file beside the missing one, or a bundled set, whose name is close to it."""
    beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    readable = [name for name in beside if Path(name).suffix.lower() in SUFFIXES]
    return nearest(path.name, readable) or nearest(path.stem, BUNDLED_NAMES)
