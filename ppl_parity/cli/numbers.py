"""Numbers, vectors and matrices as they are written on a command line."""

from __future__ import annotations

from typing import Any

from ppl_parity.errors import InputError


def vector(name: str, text: str) -> float | list[float]:
    """``"9"`` -> 9.0; ``"1,2,3"`` -> [1.0, 2.0, 3.0].

    Raises:
        InputError: a cell is not a number; ``name`` is the option.
    """
    cells = text.split(",")
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        raise InputError(f"{name} must be numbers separated by commas; got {text!r}.") from None
    return values[0] if len(values) == 1 else values


def matrix(name: str, text: str) -> Any:
    """As ``vector``; and ``"1,0;0,1"`` -> [[1.0, 0.0], [0.0, 1.0]].

    Raises:
        InputError: a cell is not a number, or the rows are of different lengths.
    """
    if ";" not in text:
        return vector(name, text)
    rows = [row if isinstance(row := vector(name, part), list) else [row] for part in text.split(";")]
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise InputError(
            f"The rows of {name} must be of one length; got {', '.join(str(len(row)) for row in rows)}."
        )
    return rows
