"""The kernels of a backend without the rest of it: a machine with a GPU need not have the whole backend installed."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def kernels(package: str) -> Any:
    """``package.kernels``; where the package is not imported yet, its front door, which wants all of it, stays shut.

    Args:
        package: numpyro_impl or pyro_impl.
    """
    if package not in sys.modules:
        shut = ModuleType(package)
        shut.__spec__ = ModuleSpec(package, None, is_package=True)
        shut.__path__ = [str(ROOT / package)]
        sys.modules[package] = shut
    return importlib.import_module(f"{package}.kernels")
