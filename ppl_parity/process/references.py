"""A model by reference: how a parent that loads no framework tells a side which model it means."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ppl_parity.backend.checks import explain
from ppl_parity.errors import InputError, nearest
from ppl_parity.process import carrying
from ppl_parity.spec import MixtureSpec


@dataclass(frozen=True)
class MixtureReference:
    """The shipped mixture, in one of its formulations."""

    spec: MixtureSpec
    formulation: str = "enumerated"

    def resolve(self, backend: Any, precision: str = "float64") -> Callable[..., Any]:
        """The model function, in this process."""
        return backend.mixture(self.spec, self.formulation)


@dataclass(frozen=True)
class FileReference:
    """A function of a Python file."""

    path: str
    function: str

    def resolve(self, backend: Any, precision: str = "float64") -> Callable[..., Any]:
        """The model function, in this process."""
        return _function(self.load(backend, precision), self.function, Path(self.path).name)

    def load(self, backend: Any, precision: str = "float64") -> ModuleType:
        """The file as a module of this process; the file's folder is importable to it.

        Args:
            backend: that will run it.
            precision: that its constants are made in (``defaults``): the file is imported once for each.
        """
        path = Path(self.path).resolve()
        if not path.is_file():
            raise InputError(f"A model file must exist; there is no file {self.path}.")
        name = f"_ppl_parity_{path.stem}" + ("" if precision == "float64" else f"_{precision}")
        module = sys.modules.get(name)
        if module is None or getattr(module, "__file__", None) != os.fspath(path):
            spec = importlib.util.spec_from_file_location(name, path)
            if spec is None or spec.loader is None:
                raise InputError(f"A model file must be a Python file; got {self.path}.")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            if str(path.parent) not in sys.path:
                sys.path.insert(0, str(path.parent))
            with explain(backend.NAME, f"{path.name} cannot be imported"):
                try:
                    spec.loader.exec_module(module)
                except BaseException:
                    del sys.modules[name]
                    raise
        return module


@dataclass(frozen=True)
class ModuleReference:
    """A function of an importable module."""

    module: str
    function: str

    def resolve(self, backend: Any, precision: str = "float64") -> Callable[..., Any]:
        """The model function, in this process."""
        return _function(self.load(backend), self.function, self.module)

    def load(self, backend: Any) -> ModuleType:
        """The module itself; the working directory is importable."""
        if "" not in sys.path and os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        with explain(backend.NAME, f"{self.module} cannot be imported"):
            return importlib.import_module(self.module)


@dataclass(frozen=True)
class CallableReference:
    """A function handed over, for models that live in a test or a notebook, with the folders that it needs."""

    pickled: bytes
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @classmethod
    def of(cls, function: Callable[..., Any]) -> CallableReference:
        """Pickle a function, by value where its module cannot be imported elsewhere.

        Raises:
            InputError: it holds what cannot be pickled, such as a lock or an open file.
        """
        try:
            pickled = carrying.dumps(function)
        except (TypeError, pickle.PicklingError) as error:
            name = getattr(function, "__name__", type(function).__name__)
            raise InputError(
                f"The model {name!r} cannot be handed to another process: {error}. Make what it holds within the "
                "function, or give the file that defines it to ppl-parity check."
            ) from None
        return cls(pickled, *carrying.import_path())

    def resolve(self, backend: Any, precision: str = "float64") -> Callable[..., Any]:
        """The model function, in this process. The parent made the pickle; it comes from nowhere else."""
        carrying.extend_path(self.before, self.after)
        with explain(backend.NAME, "the model cannot be rebuilt in its own process"):
            return carrying.loads(self.pickled, precision)


@dataclass(frozen=True)
class HeldReference:
    """A model some of whose params, or the rows of its plates, are given (``contract.Backend.hold``)."""

    model: MixtureReference | FileReference | ModuleReference | CallableReference
    held: tuple[tuple[str, str, tuple[int, ...], bytes], ...]
    """Name, dtype, shape and elements: what can be compared, and be the key of a dictionary."""

    @classmethod
    def of(cls, model: Reference, values: Mapping[str, np.ndarray]) -> HeldReference:
        """The model with these values; those that it has already count where no other is given."""
        if isinstance(model, HeldReference):
            model, values = model.model, {**model.values(), **values}
        arrays = {name: np.asarray(value) for name, value in values.items()}
        return cls(model, tuple((n, a.dtype.str, a.shape, a.tobytes()) for n, a in sorted(arrays.items())))

    def values(self) -> dict[str, np.ndarray]:
        """Name -> array."""
        return {n: np.frombuffer(data, dtype).reshape(shape) for n, dtype, shape, data in self.held}

    def resolve(self, backend: Any, precision: str = "float64") -> Callable[..., Any]:
        """The model function, in this process."""
        return backend.hold(self.model.resolve(backend, precision), self.values())


Reference = HeldReference | MixtureReference | FileReference | ModuleReference | CallableReference


def _function(module: ModuleType, name: str, where: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        names = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise InputError(f"{where} must define a function {name!r}.{nearest(name, names)}")
    return found
