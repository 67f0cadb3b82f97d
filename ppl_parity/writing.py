"""Write a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write(path: Path, save: Callable[[Path], object]) -> None:
    """Let ``save`` write a file beside ``path``, then put it there: a crash leaves no half of one.

    In the same folder, since a rename is atomic only within one file system. A device is written to as it is.
    """
    path = path.resolve()  # of a link, the file that it leads to
    if (path.exists() and not path.is_file()) or path.parts[1:2] in (("dev",), ("proc",)):
        save(path)
        return
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        save(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
