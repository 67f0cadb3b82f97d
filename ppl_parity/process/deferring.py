"""Modules that others import for functions that nobody here calls: a stand-in waits for the first use of each.

NumPyro, JAX and SciPy load SciPy's Fourier transforms and sparse matrices, and NumPy's f2py and its tests' tools (by
``from numpy import *``): 0.2 s of the 0.9 that a backend takes to import.

``importlib.util.LazyLoader`` loads a module at the second ``import`` of it already.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

OF_NUMPY = ("numpy.f2py", "numpy.testing")
OF_A_BACKEND = (*OF_NUMPY, "scipy.fft", "scipy.sparse", "scipy.sparse.linalg")

_lock = threading.RLock()


@contextmanager
def deferring(*names: str, entered: bool = False) -> Iterator[None]:
    """Inside the block an ``import`` of these modules loads nothing; afterwards it is like any other.

    Args:
        entered: a module in one of these packages, imported there, does not load the package, which is for one
            that can do without.
    """
    try:
        defer(*names, entered=entered)
        yield
    finally:
        for name in names:
            _withdraw(name)


def defer(*names: str, entered: bool = False) -> None:
    """Put a stand-in in the place of each of these that is not loaded, for good or until it is used.

    Nothing happens beside other threads: one of them might be importing the very module.
    """
    if threading.active_count() > 1:
        return
    for name in names:
        parent, _, leaf = name.rpartition(".")
        with suppress(ImportError):
            package = sys.modules.get(parent) or importlib.import_module(parent)
            where = None if package.__spec__ is None else package.__spec__.submodule_search_locations
            spec = None if name in sys.modules else PathFinder.find_spec(name, where)
            if spec is not None:
                sys.modules[name] = _StandIn(spec, entered)
                setattr(package, leaf, sys.modules[name])


class _StandIn(ModuleType):
    """A module until an attribute of it is asked for, which is then the real one's."""

    def __init__(self, spec: ModuleSpec, entered: bool) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__file__ = spec, spec.origin
        if entered and spec.submodule_search_locations is not None:
            self.__path__ = spec.submodule_search_locations

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") and attribute not in ("__all__", "__path__"):
            raise AttributeError(attribute)  # what the import system and others look for in any module
        return getattr(_loaded(self.__name__), attribute)


def _loaded(name: str) -> ModuleType:
    parent = name.rpartition(".")[0]
    if isinstance(sys.modules.get(parent), _StandIn):
        _loaded(parent)
    _withdraw(name)
    return importlib.import_module(name)


def _withdraw(name: str) -> None:
    """Take away the stand-in, if there still is one; who holds it is led to the module by it."""
    with _lock:
        stand_in = sys.modules.get(name)
        if not isinstance(stand_in, _StandIn):
            return
        del sys.modules[name]
        # What was imported from a package that was not there has to be found by it again.
        for child in [child for child in sys.modules if child.startswith(f"{name}.")]:
            if not isinstance(sys.modules[child], _StandIn):
                del sys.modules[child]
        parent, _, leaf = name.rpartition(".")
        package = sys.modules.get(parent)
        if package is not None and vars(package).get(leaf) is stand_in:
            delattr(package, leaf)
