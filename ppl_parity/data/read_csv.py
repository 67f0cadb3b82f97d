"""CSV: comma separated, with or without a header, every cell a number."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ppl_parity.data.checks import OTHERS, as_matrix, check_columns, check_finite, chosen_columns, place
from ppl_parity.errors import InputError

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})


def read_csv(path: Path, wanted: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a comma-separated file of numbers.

    The first row is a header if none of its cells is a number and none is missing. A first row that mixes
    names and numbers is refused: taken as a header it would lose a row of data without a word. So is one of
    consecutive whole numbers above decimals: years, or what pandas writes for columns without names.

    Args:
        path: a UTF-8 text file, with or without a byte-order mark; fields may be quoted.
        wanted: the columns to take, by name; None is all of them. The others may hold anything, or nothing; the first
            row is then a header unless it is all numbers.

    Returns:
        The (N, D) float64 values and the D column names, ``x1`` to ``xD`` without a header.

    Raises:
        InputError: the file is empty, has a header only, is ragged, or has a cell that is missing, text or
            not finite; the message gives the data row, counted from 1 without the header, and the column.
    """
    where = path.name
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read(csv.reader(file), wanted, where)
    except UnicodeDecodeError:
        raise InputError(f"A CSV file must be UTF-8 text; {where} is not.") from None
    except csv.Error as error:
        raise InputError(f"A CSV file must be well formed; {where} is not: {error}.") from None


def _read(rows, wanted: Sequence[str] | None, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    first = next(rows, None)
    if first is None or not any(cell.strip() for cell in first):
        raise InputError(f"A CSV file must start with a header or a row of numbers; {where} starts empty.")
    width = len(first)
    if wanted is None:
        header = first if _is_header(first, where) else None
        columns = check_columns(header, width, where)
        taken = None
    else:
        header = None if all(map(_is_number, first)) else first
        columns = check_columns(None, width, where) if header is None else tuple(c.strip() for c in header)
        taken = chosen_columns(wanted, columns, where)
    cells = array("d")  # 8 bytes a cell, where a list of floats takes 32
    num_rows = 0
    # The columns in which the first row's whole number stands above decimals alone; most files are not asked.
    decimal = (
        set(range(width) if taken is None else taken) if header is None and _consecutive(first) else set()
    )
    if header is None:
        num_rows = 1
        cells.extend(_numbers(first, taken, num_rows, columns, where))
    blank = False
    for row in rows:
        if not row:  # a blank line ends the file, or stands for a row with nothing in it
            blank = True
            continue
        num_rows += 1
        if blank:
            raise InputError(
                f"Every row must have {width} values; {where} has a blank line before data row {num_rows}."
            )
        if len(row) != width:
            raise InputError(
                f"Every row must have as many values as the first, {width}; data row {num_rows} of {where}"
                f" has {len(row)}.{_separator(first[0]) if width == 1 else ''}"
            )
        if decimal:
            decimal -= {index for index in decimal if _is_whole(row[index])}
        cells.extend(_numbers(row, taken, num_rows, columns, where))
    # Columns counted from 0 say so themselves; other numbers only if none of the columns is one of whole numbers.
    if decimal and num_rows > 1 and (_counts(first) or len(decimal) == width):
        counted = ", ".join(first[:3]) + (", ..." if width > 3 else "")
        raise InputError(
            f"The first row must be a row of data, or names; that of {where} numbers the columns ({counted}), as a "
            "header does of years, or that pandas saved for columns without names (leave it out of the file, or give "
            f"names; if it is data, write {first[0].strip()}.0)."
        )
    if num_rows == 0:
        raise InputError(f"A CSV file must have at least one row of numbers; {where} has a header only.")
    x = as_matrix(np.frombuffer(cells, dtype=np.float64).reshape(num_rows, -1), where, copy=False)
    columns = columns if wanted is None else tuple(wanted)
    check_finite(x, columns, where)
    return x, columns


def _is_header(row: Sequence[str], where: str) -> bool:
    """True for a row of names, False for a row of numbers; a row of both is refused."""
    numbers = [_is_number(cell) for cell in row]
    if all(numbers):
        return False
    if len(row) > 1 and not row[0].strip() and _counts(row[1:]):
        check_columns(row, len(row), where)  # pandas' index above its rows, and no other name: said as such
    for index, cell in enumerate(row):
        text = cell.strip()
        # An empty cell among names is a column without a name, which check_columns refuses.
        if text.lower() in _MISSING and (text or any(numbers)):
            raise _missing(text, place(1, index + 1, None, where))
    if any(numbers):
        index = numbers.index(False)
        raise InputError(
            f"The first row must be all names or all numbers; column {index + 1} of the first row of {where}"
            f" is {row[index]!r}, and others are numbers."
        )
    return True


def _numbers(
    row: Sequence[str], taken: Sequence[int] | None, number: int, columns: Sequence[str], where: str
) -> list[float]:
    cells = row if taken is None else [row[index] for index in taken]
    try:
        if "_" in "".join(cells):  # float() takes 1_000 for a number; in a file it is text
            raise ValueError
        return [float(cell) for cell in cells]
    except ValueError:
        bad = next(index for index in taken or range(len(row)) if not _is_number(row[index]))
        spot = place(number, bad + 1, columns, where)
        cell = row[bad].strip()
        if cell.lower() in _MISSING:
            raise _missing(cell, spot) from None
        hint = _separator(row[bad]) or (OTHERS if taken is None and len(row) > 1 else "")
        raise InputError(f"Every cell must be a number; got {cell!r} in {spot}.{hint}") from None


def _missing(cell: str, spot: str) -> InputError:
    return InputError(f"Rows with missing values must be dropped first; got {cell!r} in {spot}.")


def _separator(cell: str) -> str:
    """What to do about a cell that several values stand in; empty for any other."""
    blank = len(cell.split()) > 1 and all(map(_is_number, cell.split()))
    return " The separator must be a comma." if blank or ";" in cell or "\t" in cell else ""


def _counts(row: Sequence[str]) -> bool:
    """Whether a row is 0, 1, 2, ..., each a whole number as it is written."""
    return [cell.strip() for cell in row] == [str(index) for index in range(len(row))]


def _consecutive(row: Sequence[str]) -> bool:
    """Whether a row is whole numbers, each one more than the last; of one number alone, whether it is 0."""
    if not all(map(_is_whole, row)):
        return False
    numbers = [int(cell) for cell in row]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and (
        len(numbers) > 1 or numbers == [0]
    )


def _is_whole(cell: str) -> bool:
    return cell.strip().lstrip("+-").isdecimal()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
