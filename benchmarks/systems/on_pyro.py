"""NUTS of the pyro backend."""

from __future__ import annotations

import functools
import importlib

from benchmarks.systems._backend import BackendSystem

System = functools.partial(BackendSystem, "pyro")


def versions() -> dict[str, str]:
    """Distribution name -> version."""
    return importlib.import_module("pyro_impl").versions()
