"""Imports, without the garbage collector looking for what is not there."""

from __future__ import annotations

import gc
import importlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress


@contextmanager
def importing() -> Iterator[None]:
    """For a block of imports: they make a million objects, none of them garbage.

    The collector rests meanwhile, and what is there at the end it leaves alone for good. Importing is a tenth
    faster, and so is what traces a model afterwards.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def import_ahead(names: tuple[str, ...], within: AbstractContextManager[None] | None = None) -> None:
    """Import modules beside what goes on; what fails here is told where the module is used.

    Args:
        within: ``importing()``, where the process is the program's own: a user's process has garbage too.
    """
    if not names:
        return

    def run() -> None:
        with within or nullcontext():
            for name in names:
                with suppress(ImportError):
                    importlib.import_module(name)

    threading.Thread(target=run, daemon=True, name="imports").start()
