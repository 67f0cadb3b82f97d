"""The one door to data: a bundled name, a file, or an array becomes a Dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ppl_parity.data.bundled import BUNDLED, BUNDLED_NAMES
from ppl_parity.data.checks import as_matrix, check_columns, check_finite
from ppl_parity.data.dataset import Dataset
from ppl_parity.data.drawn import read_drawn
from ppl_parity.data.readers import SUFFIXES, read_file
from ppl_parity.data.standardize import standardize as standardize_columns
from ppl_parity.errors import InputError, nearest


def load_data(
    name_or_path: str | os.PathLike[str] | ArrayLike,
    *,
    standardize: bool | None = None,
    columns: Sequence[str] | None = None,
) -> Dataset:
    """Load a bundled data set by its name, or a file, or take an array or a table in memory.

    Args:
        name_or_path: ``old-faithful``, ``iris`` or ``penguins`` (or with underscores), or the path of a
            .csv, .npy, .npz or .parquet file; or (N, D) numbers, or a pandas DataFrame, which are copied.
        standardize: bring each column to mean 0 and standard deviation 1. None means the default: yes for
            the bundled sets, whose hints are in standard deviations, and no for a user's own file.
        columns: those to take, by name and in this order; None is all of them. Nothing is asked of a file's other
            columns, which may hold text. Without a header, and in .npy and .npz files, they are x1, x2, ...; an
            array has no names, so these are the names of all of its columns.

    Returns:
        The Dataset, with hints for MixtureSpec if it is a bundled one, or a file that ``ppl-parity sample`` wrote.

    Raises:
        InputError: there is no such name, file or column, or the file does not hold a finite numeric matrix.
    """
    _check_flag(standardize)
    if not isinstance(name_or_path, str | os.PathLike):
        return _in_memory(name_or_path, bool(standardize), columns)
    text = os.fspath(name_or_path)
    name = text.lower().replace("_", "-")
    if name in BUNDLED:
        entry = BUNDLED[name]
        wanted = entry.standardize if standardize is None else standardize
        x, names = entry.read(columns)
        return _build(x, names, name, entry.source, wanted, entry.spec_hints(standardized=wanted))
    path = Path(text).expanduser()
    if not path.suffix and not path.exists():
        raise InputError(
            f"Data must be one of {', '.join(BUNDLED_NAMES)}, or a file that ends in {', '.join(SUFFIXES)};"
            f" got {text!r}.{nearest(name, BUNDLED_NAMES)}"
        )
    x, names = read_file(path, columns)
    drawn = read_drawn(path, columns, standardized=bool(standardize))
    source = f"The user's file {path.name}."
    return _build(x, names, path.name, source, bool(standardize), drawn.hints, drawn.truth)


def _in_memory(given: Any, standardize: bool, columns: Sequence[str] | None) -> Dataset:
    if given is None or isinstance(given, Mapping | bytes | bool | int | float | complex):
        raise InputError(f"Data must be a name, a path, an array or a table; got {type(given).__name__}.")
    if not hasattr(given, "iloc") or not hasattr(given, "columns"):
        return dataset_from_array(given, columns=columns, standardize=standardize)
    known = [str(name) for name in given.columns]
    for name in columns or ():
        if name not in known:
            raise InputError(
                f"columns must be names of the table's, {', '.join(known)}; got {name!r}.{nearest(name, known)}"
            )
    chosen = list(range(len(known))) if columns is None else [known.index(name) for name in columns]
    words = [known[i] for i in chosen if getattr(given.iloc[:, i].dtype, "kind", "O") not in "iufb"]
    if words:
        raise InputError(
            f"A table's columns must be numbers; {', '.join(map(repr, words))} {'is' if len(words) == 1 else 'are'} "
            "not. Take others by columns=."
        )
    names = tuple(known[i] for i in chosen)
    numbers = [
        given.iloc[:, i].to_numpy(dtype=float, na_value=np.nan) for i in chosen
    ]  # pandas' own kinds, too
    return dataset_from_array(np.column_stack(numbers), columns=names, name="table", standardize=standardize)


def dataset_from_array(
    x: ArrayLike, *, columns: Sequence[str] | None = None, name: str = "array", standardize: bool = False
) -> Dataset:
    """Make a Dataset of an array in memory, which is copied.

    Args:
        x: (N, D), or (N,) for one column, finite.
        columns: D names; ``x1`` to ``xD`` by default.
        name: a short name, for reports.
        standardize: bring each column to mean 0 and standard deviation 1.

    Raises:
        InputError: ``x`` is not a finite numeric matrix, or the names do not fit it.
    """
    _check_flag(standardize)
    matrix = as_matrix(x, name)
    names = check_columns(columns, matrix.shape[1], name)
    check_finite(matrix, names, name)
    return _build(matrix, names, name, "An array given in memory.", standardize)


def _build(
    x: np.ndarray,
    columns: tuple[str, ...],
    name: str,
    source: str,
    wanted: bool,
    hints: Mapping[str, Any] | None = None,
    truth: Mapping[str, np.ndarray] | None = None,
) -> Dataset:
    transform = None
    if wanted:
        x, transform = standardize_columns(x, columns=columns)
    x.setflags(write=False)  # ours alone by now: Dataset need not copy it once more
    return Dataset(x, columns, name, source, transform, hints or {}, truth or {})


def _check_flag(standardize: Any) -> None:
    if standardize is not None and not isinstance(standardize, bool):
        raise InputError(f"standardize must be True, False or None; got {standardize!r}.")
