"""Another Python borrows packages one by one: with the folder that they stand in, it would borrow all of it."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

INSTALLATION = Path(__file__).resolve().parents[3]  # a clone, or somebody's site-packages


def become(module: dict[str, Any]) -> None:
    """Make of a module, from its globals, the package of the same name that stands in ``INSTALLATION``."""
    name, spec = module["__name__"], module["__spec__"]
    folder = INSTALLATION / name
    file = str(folder / "__init__.py")
    loader = SourceFileLoader(name, file)
    spec.loader, spec.origin, spec.cached = loader, file, None
    spec.submodule_search_locations = [str(folder)]
    module.update(
        __file__=file, __loader__=loader, __package__=name, __path__=spec.submodule_search_locations
    )
    loader.exec_module(sys.modules[name])
