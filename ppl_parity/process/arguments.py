"""What the data of a pair may hold: a value that would not arrive at a side as it was given is refused, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from ppl_parity.backend.plain import CODES
from ppl_parity.errors import InputError
from ppl_parity.process import wire

BIND = "What is no data may be bound to the model: functools.partial(model, ...)."


def check_arguments(data: Mapping[str, Any]) -> None:
    """Refuse what would change on its way to another process, or could not go there.

    Raises:
        InputError: a member of an enumeration, a masked array, an array of strings or of objects, a table, or
            anything else that is no array, number, string, list or dictionary.
    """
    for name, value in data.items():
        _check(repr(name), value)


def _check(name: str, value: Any) -> None:
    if isinstance(value, Enum):  # one of strings would arrive as a string, and be no member any more
        raise InputError(f"The data's {name} is {value!r}, a member of an enumeration. {BIND}")
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(
            f"The data's {name} is a masked array, whose mask would be lost: give its values, as filled(0) makes them, "
            "and the mask, as two arrays."
        )
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        raise InputError(f"The data's {name} is an array of strings. {CODES}, or a list of strings.")
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, item in value.items():
            _check(f"{name}[{key!r}]", item)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            if not isinstance(item, bool | int | float | str) or isinstance(item, Enum):
                _check(f"{name}[{i}]", item)
    else:
        _check_alone(name, value)


def _check_alone(name: str, value: Any) -> None:
    try:
        wire.pack(value)
    except wire.WireError as error:
        names = getattr(getattr(value, "dtype", None), "name", "") in ("object", "category", "str", "string")
        raise InputError(f"The data's {name}: {error} {f'{CODES}.' if names else BIND}") from None
    except (TypeError, ValueError, RuntimeError) as error:  # what it says where an array is asked of it
        raise InputError(f"The data's {name}, a {type(value).__name__}, is no array: {error}") from None
