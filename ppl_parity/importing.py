"""Imports, without what only takes time: the garbage collector, and modules that nobody will use."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# What NumPyro, JAX and SciPy import for functions that a fit does not call: 0.2 s of the 0.9 that a backend takes to
# import. (NumPy's own come in by ``from numpy import *``.)
SELDOM = ("numpy.f2py", "numpy.testing", "scipy.fft", "scipy.sparse", "scipy.sparse.linalg")


@contextmanager
def importing() -> Iterator[None]:
    """For a block of imports: they make a million objects, none of them garbage, and load much that is not used.

    The collector rests meanwhile, and what is there at the end it leaves alone for good. Importing is a tenth
    faster, and so is what traces a model afterwards. Modules that are ``SELDOM`` used wait for their first use.
    """
    gc.disable()
    try:
        with deferring(*SELDOM):
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


@contextmanager
def deferring(*names: str) -> Iterator[None]:
    """Inside the block an ``import`` of these modules loads nothing; afterwards it is like any other.

    A module in one of these packages can be imported there without what the package itself would load.
    """
    stubs = []
    for name in names:
        parent, _, leaf = name.rpartition(".")
        with suppress(ImportError):
            package = sys.modules.get(parent) or importlib.import_module(parent)
            spec = None if name in sys.modules else importlib.util.find_spec(name)
            if spec is not None:
                sys.modules[name] = _Deferred(spec)
                setattr(package, leaf, sys.modules[name])
                stubs.append(name)
    try:
        yield
    finally:
        for name in stubs:
            _withdraw(name)


class _Deferred(ModuleType):
    """In the place of a module until an attribute of it is asked for.

    (``importlib.util.LazyLoader`` would load it at the second ``import`` of it already.)
    """

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        if spec.submodule_search_locations is not None:
            self.__path__ = spec.submodule_search_locations

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)  # what the import system and others look for in any module
        return getattr(_loaded(self.__name__), attribute)


def _loaded(name: str) -> ModuleType:
    parent = name.rpartition(".")[0]
    if isinstance(sys.modules.get(parent), _Deferred):
        _loaded(parent)
    _withdraw(name)
    return importlib.import_module(name)


def _withdraw(name: str) -> None:
    """Leave no trace of the stand-in, if there still is one; those who hold it are led to the module by it."""
    stub = sys.modules.get(name)
    if not isinstance(stub, _Deferred):
        return
    del sys.modules[name]
    parent, _, leaf = name.rpartition(".")
    package = sys.modules.get(parent)
    if package is not None and vars(package).get(leaf) is stub:
        delattr(package, leaf)
