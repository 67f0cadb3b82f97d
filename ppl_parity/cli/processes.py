"""Backends for the length of a command: their processes end with it, however it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ppl_parity.cli import ahead
from ppl_parity.errors import InputError
from ppl_parity.process.importing import import_ahead, importing
from ppl_parity.process.sides import Side

READY = "ready"


@contextmanager
def backend_process(
    name: str,
    pythons: dict[str, str | None],
    device: str = "cpu",
    *,
    imports: tuple[str, ...] = (),
    debug: bool = False,
) -> Iterator[Side]:
    """A side, which is killed when the command is interrupted or refused.

    Args:
        name: the backend.
        pythons: the Python that was asked for, by backend; None is this one.
        device: what will be asked of it. A GPU is looked for at once; what else cannot work is said at the
            first call, so that this process need not wait for the other one's imports.
        imports: what this process will need, imported while the other one starts.
        debug: show the backend's warnings when it ends.

    Raises:
        InputError: that Python, the backend's packages or the device are not here.
    """
    python = pythons[name]
    if python is not None:
        _check_python(name, python)
    with Side(name, python=python, process=None if python else ahead.started(name)) as side:
        try:
            import_ahead(imports, importing())
            if device != "cpu" and device.partition(":")[0] not in (here := side.devices()):
                raise InputError(f"{name}: device {device!r} is not here; there is {', '.join(here)}.")
            yield side
        except BaseException:
            side.kill()  # whatever it does, nobody waits for it now
            raise
        finally:
            for warning in side.warnings if debug else ():
                print(f"{name}: {warning}", file=sys.stderr)


def _check_python(name: str, python: str) -> None:
    """A Python without NumPy cannot even say what else it lacks."""
    try:
        tried = subprocess.run(
            [python, "-c", f"import numpy; print({READY!r})"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise InputError(
            f"--{name}-python must be a program; got {python!r}: {error.strerror or error}."
        ) from None
    if tried.stdout.strip() != READY:
        raise InputError(
            f"--{name}-python must be a Python with 'ppl-parity[{name}]' installed; {python!r} does not even"
            " import numpy."
        )
