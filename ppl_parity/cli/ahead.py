"""Import what a command will need while its backend starts: ArviZ alone takes a second."""

from __future__ import annotations

import importlib
import threading
from contextlib import suppress

FOR_A_FIT = ("ppl_parity.fits", "arviz_base", "arviz_stats.base", "h5netcdf", "ppl_parity.cli.fitted")


def import_ahead(names: tuple[str, ...]) -> None:
    """Import modules beside what goes on; what fails here is told where the module is used."""
    if not names:
        return

    def run() -> None:
        for name in names:
            with suppress(ImportError):
                importlib.import_module(name)

    threading.Thread(target=run, daemon=True, name="imports").start()
