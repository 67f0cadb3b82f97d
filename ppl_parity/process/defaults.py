"""The precision that both frameworks give an array by default, while a user's code is imported and run.

A constant of a user's file is made when the file is imported, a long way from any session of a backend. Left to
torch and JAX it would be float32, which JAX then rounds with in silence and torch refuses to mix with float64.
Each side's process sets both frameworks, so that a constant that both models share is one and the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

X64 = "JAX_ENABLE_X64"
TRUE = ("y", "yes", "t", "true", "on", "1")  # as JAX reads it


@contextmanager
def default_precision(precision: str) -> Iterator[None]:
    """Make ``float64`` or ``float32`` the default of torch and of JAX inside the block, and restore both.

    Neither is imported here; one that the block imports is set as soon as it is there.
    """
    with _torch(precision), _jax(precision == "float64"):
        yield


@contextmanager
def _torch(precision: str) -> Iterator[None]:
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_default_dtype()

    def choose(loaded: Any) -> None:
        loaded.set_default_dtype(getattr(loaded, precision))

    waiting = None if torch is not None else _Imported("torch", choose)
    if waiting is None:
        choose(torch)
    else:
        sys.meta_path.insert(0, waiting)
    try:
        yield
    finally:
        if waiting in sys.meta_path:
            sys.meta_path.remove(waiting)
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_default_dtype(before or torch.float32)


@contextmanager
def _jax(wide: bool) -> Iterator[None]:
    jax = sys.modules.get("jax")
    if jax is not None:
        enable = (
            jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
        )  # before JAX 0.8
        with enable(wide):
            yield
        return
    before = os.environ.get(X64)
    os.environ[X64] = str(int(wide))
    try:
        yield
    finally:
        os.environ.pop(X64)
        if before is not None:
            os.environ[X64] = before
        if "jax" in sys.modules:  # it has read the variable, for good
            sys.modules["jax"].config.update("jax_enable_x64", str(before).lower() in TRUE)


class _Imported(MetaPathFinder):
    """Finds one module as the others do, once, and calls a function with it when it has been loaded."""

    def __init__(self, name: str, then: Any) -> None:
        self.name, self.then = name, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def and_then(module: ModuleType) -> None:
            load(module)
            self.then(module)

        spec.loader.exec_module = and_then  # type: ignore[method-assign]
        return spec
