"""Where results go: every place is checked before any work is done, and a file is whole or absent."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ppl_parity.errors import InputError
from ppl_parity.writing import write


def check_file(path: Path, option: str, suffixes: Sequence[str] | None, force: bool) -> None:
    """Refuse a file that could not be written, or that would replace another unasked.

    Raises:
        InputError: the suffix is another, the folder is missing or read-only, or the file is there already.
    """
    if suffixes is not None and path.suffix.lower() not in suffixes:
        raise InputError(f"{option} must end in {' or '.join(suffixes)}; got {str(path)!r}.")
    if not path.parent.is_dir():
        raise InputError(f"The folder of {option} must exist; there is no folder {str(path.parent)!r}.")
    if path.is_dir():
        raise InputError(f"{option} must be a file; {str(path)!r} is a folder.")
    try:
        str(path).encode()
    except UnicodeEncodeError:  # not every library that writes a file can name it
        raise InputError(f"{option} must be a name in UTF-8; got {str(path)!r}.") from None
    _check_writable(path.parent, f"The folder of {option}")
    if path.exists() and not force:
        raise InputError(f"{option} must not exist already unless --force is given; {str(path)!r} does.")


def check_folder(path: Path, option: str) -> None:
    """Refuse a folder that could not be made, or not be written to.

    It is made for a moment, for nothing less shows that it can be; what was not there before is gone again.

    Raises:
        InputError: it is a file, or it, or the nearest folder above that exists, is not writable.
    """
    every = (path.absolute(), *path.absolute().parents)
    missing = [each for each in every if not os.path.exists(each)]  # which takes a name that is too long
    above = every[len(missing)] if missing else path
    if not above.is_dir():
        raise InputError(f"{option} must be a folder; {str(above)!r} is a file.")
    _check_writable(above, option)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{option} must be a folder that can be made; {str(path)!r} cannot: {reason}."
        ) from None
    finally:
        for each in missing:
            with suppress(OSError):
                each.rmdir()


def check_plots(folder: Path | None, force: bool) -> None:
    """Refuse a folder for plots that cannot be written to, or that has pictures in it already."""
    if folder is None:
        return
    check_folder(folder, "--plots")
    if not force and folder.is_dir() and (found := sorted(folder.glob("*.png"))):
        raise InputError(
            f"--plots must hold no pictures yet unless --force is given; there is {str(found[0])!r}."
        )


def check_json(target: str | None, force: bool) -> None:
    """Refuse a place for the JSON object that cannot be written to."""
    if target is not None and target != "-":
        check_file(Path(target), "--json", None, force)


def check_distinct(*places: Path | str | None, read: Iterable[Path | str | None] = ()) -> None:
    """Refuse two outputs that would be one file, and one that would replace what is ``read``, --force or not."""
    files, inputs = (
        [Path(place).resolve() for place in group if place is not None and place != "-"]
        for group in (places, read)
    )
    for index, file in enumerate(files):
        if file in files[:index]:
            raise InputError(f"Every output must be a file of its own; {str(file)!r} is given twice.")
        if file in inputs:
            raise InputError(f"An output must not replace what is read; {str(file)!r} is given as both.")


def write_json(target: str | None, report: dict[str, Any]) -> None:
    """Write ``report`` as one strict JSON object: to standard output if ``target`` is ``-``."""
    if target is None:
        return
    text = json.dumps(_plain(report), indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()  # what cannot be written is to be heard of
        return
    write(Path(target), lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _check_writable(folder: Path, what: str) -> None:
    """Try it: the permissions say that root may write where nobody can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{what} must be writable; {str(folder)!r} is not: {reason}.") from None


def _plain(value: Any) -> Any:
    """What JSON can hold; it has no NaN and no infinity, which become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
