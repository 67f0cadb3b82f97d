"""What in this environment would make the numbers wrong, or the times: one sentence a check.

machine.py      cores, load, clock, memory
settings.py     environment variables, caches, floating-point modes
packages.py     versions known to conflict or to be slow; the native kernel
backends.py     what each framework sees, asked in a process of its own by probes.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ppl_parity.doctor import backends, machine, packages, settings
from ppl_parity.doctor.check import Check


def examine(pythons: Mapping[str, str | None]) -> Iterator[Check]:
    """Every check, the quick ones first.

    Args:
        pythons: the Python of each backend, where it is another than this one.
    """
    yield from machine.checks()
    yield from settings.checks()
    yield from packages.checks()
    yield from backends.checks(pythons)
