"""NPY and NPZ, never unpickling: a pickle runs whatever code its author chose."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from ppl_parity.data.checks import as_matrix, check_columns, check_finite, chosen_columns
from ppl_parity.errors import InputError

# What np.load raises on a damaged or foreign file; a refused pickle is a ValueError.
_DAMAGED = (
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_numpy(path: Path, wanted: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read an array that NumPy saved.

    Args:
        path: an ``.npy`` file, or an ``.npz`` file with an array ``x`` or with one array only; the array is
            (N, D) or (N,).

    Returns:
        The (N, D) float64 values and the names, ``x1`` to ``xD`` or those of them that are wanted.

    Raises:
        InputError: the file is damaged, needs unpickling, has several arrays and none called ``x``, or its
            array is not a finite numeric matrix.
    """
    where = path.name
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, NpzFile):
            with loaded:
                loaded = loaded[_key(loaded, where)]
    except InputError:  # is a ValueError, and says more than the clause below would
        raise
    except _DAMAGED as error:
        # NumPy's own message on a pickle says how to load it all the same; that advice is not passed on.
        reason = str(error).partition("\n")[0].rstrip(".")
        if "pickle" in reason:
            reason = "it holds pickled objects or is not an array file"
        raise InputError(
            "A .npy or .npz file must hold plain numeric arrays, and pickled objects are never loaded;"
            f" {where} could not be read: {reason}."
        ) from None
    except MemoryError:
        raise InputError(f"The data must fit in memory; the array that {where} declares does not.") from None
    if not isinstance(loaded, np.ndarray):
        raise InputError(f"A .npz file must hold arrays; the member of {where} is not one.")
    x = as_matrix(loaded, where, copy=False)
    columns = check_columns(None, x.shape[1], where)
    if wanted is not None:
        x, columns = x[:, chosen_columns(wanted, columns, where)], tuple(wanted)
    check_finite(x, columns, where)
    return x, columns


def _key(archive: NpzFile, where: str) -> str:
    keys = list(archive.keys())
    if "x" in keys:
        return "x"
    if len(keys) == 1:
        return keys[0]
    listed = ", ".join(keys) or "none"
    raise InputError(f"A .npz file must have an array 'x', or one array only; the keys of {where}: {listed}.")
