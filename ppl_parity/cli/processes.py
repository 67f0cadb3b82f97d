"""Backends for the length of a command: their processes end with it, however it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ppl_parity.sides import Side


@contextmanager
def backend_process(name: str, python: str | None, *, debug: bool = False) -> Iterator[Side]:
    """A side that is killed, not waited for, when the command is interrupted; ``debug`` shows its warnings."""
    with Side(name, python=python) as side:
        try:
            yield side
        except (KeyboardInterrupt, SystemExit):
            side.kill()
            raise
        finally:
            for warning in side.warnings if debug else ():
                print(f"{name}: {warning}", file=sys.stderr)
