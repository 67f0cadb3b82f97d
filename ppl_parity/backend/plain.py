"""Data as a framework takes them, where a caller holds them otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl_parity.errors import InputError

CODES = "Give whole numbers in place of names, as numpy.unique(names, return_inverse=True) makes them"


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data as a framework takes them: a column of pandas' is an array.

    Raises:
        InputError: an array holds strings or objects.
    """
    found = dict(data)
    for name, value in data.items():
        if hasattr(value, "iloc") and not hasattr(value, "columns"):
            found[name] = value = np.asarray(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "USO":
            what = "Python objects" if value.dtype.kind == "O" else "strings"
            raise InputError(f"The data's {name!r} is an array of {what}. {CODES}.")
    return found
