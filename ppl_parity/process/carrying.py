"""A function of this process for another one: pickled, with the folders that its modules are imported from.

A test's own modules are importable in its process alone: pytest puts folders into ``sys.path``, or with
``--import-mode=importlib`` puts modules into ``sys.modules`` without any. A side finds neither by itself.
"""

from __future__ import annotations

import io
import os
import pickle
import site
import sys
import sysconfig
from collections.abc import Callable, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

MOST_TYPED = 10_000  # elements of a constant


def dumps(function: Callable[..., Any]) -> bytes:
    """A pickle of the function: by value where no path leads to its module, such as of a notebook or a lambda."""
    import cloudpickle

    name = getattr(function, "__module__", None) or ""
    module = sys.modules.get(name)
    if module is None or name == "__main__" or name in cloudpickle.list_registry_pickle_by_value():
        return cloudpickle.dumps(function)
    found = _found(name, module)
    if found == "here" or (found == "nowhere" and _folder(name, module) is not None):
        return cloudpickle.dumps(function)
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(function)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def loads(pickled: bytes, precision: str) -> Any:
    """What ``dumps`` pickled; its arrays of float32 in float64, if that is the precision asked for.

    In the caller's process torch and JAX make float32 of a constant, which in a file that a side imports would have
    been float64: each becomes the shortest decimal that rounds to it, 0.1 and not 0.10000000149. So does an array of
    NumPy, for the weights of a module of torch are one as ``weight.numpy()``.
    """
    return (_Widening if precision == "float64" else pickle.Unpickler)(io.BytesIO(pickled)).load()


class _Widening(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *given: _wide_tensor(found(*given))
        if name == "_reconstruct_array" and module.startswith("jax."):
            return lambda *given: _wide_array(found(*given))
        if name == "_frombuffer" and module.startswith("numpy."):
            return lambda *given: _wide_numpy(found(*given))
        return found


def _wide_tensor(tensor: Any) -> Any:
    import torch

    if tensor.dtype != torch.float32:
        return tensor
    return torch.from_numpy(_widened(tensor.detach().cpu().numpy())).requires_grad_(tensor.requires_grad)


def _wide_array(array: Any) -> Any:
    import jax.numpy as jnp

    return jnp.asarray(_widened(np.asarray(array))) if array.dtype == np.float32 else array


def _wide_numpy(array: np.ndarray) -> np.ndarray:
    return _widened(array) if array.dtype == np.float32 else array


def _widened(array: np.ndarray) -> np.ndarray:
    """By way of text, which takes 128 bytes an element: what is larger than anybody types is data, and exact."""
    typed = array.size <= MOST_TYPED
    return (array.astype("U32") if typed else array).astype(np.float64)


def import_path() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders of the user's that modules are imported from here: those before the standard library, those after."""
    before: list[str] = []
    after: list[str] = []
    found = before
    for entry in (os.path.abspath(entry) for entry in sys.path):
        if entry == sysconfig.get_path("stdlib"):
            found = after
        elif not _installed(entry) and os.path.isdir(entry):
            found.append(entry)
    for name, module in tuple(sys.modules.items()):
        folder = _folder(name, module) if _found(name, module) == "nowhere" else None
        if folder is not None and folder not in before + after:
            after.append(folder)
    return tuple(before), tuple(after)


def newest_source() -> float:
    """When a module of the user's that is imported here was last written, in seconds of the system's clock."""
    files = {_file(module) for name, module in tuple(sys.modules.items()) if name != "__main__"}
    return max((os.stat(file).st_mtime for file in files if file and os.path.exists(file)), default=0.0)


def extend_path(before: Sequence[str], after: Sequence[str]) -> None:
    """Make modules importable here from the folders of ``import_path``, in the same order."""
    sys.path[:0] = [folder for folder in before if folder not in sys.path]
    sys.path += [folder for folder in after if folder not in sys.path]


@cache
def _installation() -> tuple[str, ...]:
    """The folders of the interpreter, and of what was installed with it: another interpreter has its own."""
    folders = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple(folder + os.sep for folder in folders)


def _installed(path: str) -> bool:
    return f"{path}{os.sep}".startswith(_installation())


def _file(module: ModuleType) -> str | None:
    """A module's Python file, if the user wrote it; asking a module that is not loaded yet must not load it."""
    if not isinstance(module, ModuleType):
        return None
    file = ModuleType.__getattribute__(module, "__dict__").get("__file__")
    return file if isinstance(file, str) and file.endswith(".py") and not _installed(file) else None


def _found(name: str, module: ModuleType) -> Literal["here", "elsewhere", "nowhere"]:
    """What ``import`` would find by a module's name without what was imported before: it, another one, or nothing."""
    if _file(module) is None:
        return "here"
    top, _, inside = name.partition(".")
    file = os.path.abspath(str(_file(module)))
    for finder in (PathFinder, *sys.meta_path):
        try:
            spec = finder.find_spec(top, None)
        except Exception:  # a finder of somebody's own
            continue
        if spec is not None:
            folders = tuple(os.path.abspath(each) + os.sep for each in spec.submodule_search_locations or ())
            same = file.startswith(folders) if inside or folders else file == spec.origin
            return "here" if same else "elsewhere"
    return "nowhere"


def _folder(name: str, module: ModuleType) -> str | None:
    """The folder from which the module's name leads to its file; None where the name has nothing to do with it."""
    file = _file(module)
    if file is None:
        return None
    parts = name.split(".")
    path = Path(file).absolute()
    path = path.parent if path.name == "__init__.py" else path.with_suffix("")
    if tuple(parts) != path.parts[-len(parts) :]:
        return None
    return str(path.parents[len(parts) - 1])
