"""A side's own process: it answers the contract's calls; ``ppl_parity.process.begin`` has begun it."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any, BinaryIO

from ppl_parity.backend.checks import explain
from ppl_parity.errors import InputError
from ppl_parity.process import wire
from ppl_parity.process.arguments import check_arguments
from ppl_parity.process.begin import failed_import
from ppl_parity.process.defaults import default_precision
from ppl_parity.process.deferring import OF_A_BACKEND, deferring
from ppl_parity.process.importing import importing
from ppl_parity.process.misspelt import misspelt
from ppl_parity.process.references import (
    CallableReference,
    FileReference,
    HeldReference,
    MixtureReference,
    ModuleReference,
)
from ppl_parity.spec import SamplerSettings

REFERENCES = (CallableReference, FileReference, HeldReference, MixtureReference, ModuleReference)
MOST_MODELS = 64  # functions, with what they hold, that are known again by their reference
EXTRAS = {"pyro_impl": "pyro", "numpyro_impl": "numpyro"}


def serve(requests: BinaryIO, answers: BinaryIO, package: str) -> None:
    """Answer calls to the backend ``package`` until the parent closes its end."""
    logging.disable(logging.WARNING)  # a model that switches debug logging on floods the terminal
    server = Server(package)
    server.warm_up()
    while True:
        try:
            request = wire.receive(requests)
        except EOFError:
            return
        reply = server.answer(request)
        try:
            try:
                wire.send(answers, reply)
            except wire.WireError as error:  # before anything was written
                wire.send(answers, {"input_error": str(error), "traceback": "", "warnings": []})
        except BrokenPipeError:
            return  # the parent has gone


class Server:
    """The backend, the programs that the parent has asked for, and what happened while answering."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.programs: dict[int, Any] = {}
        self.models: OrderedDict[Any, Any] = OrderedDict()
        self._numbers = count()

    def warm_up(self) -> None:
        """Import the backend before the first call, while others do the same; a failure waits for that call."""
        with warnings.catch_warnings(), suppress(Exception), importing(), deferring(*OF_A_BACKEND):
            warnings.simplefilter("ignore")
            self._backend()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One call's result, or what it raised; with the warnings that it gave. First of all, what is dropped goes."""
        for number in request.pop("dropped", ()):
            self.programs.pop(number, None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            try:
                reply = {"result": self._call(**request)}
            except InputError as error:
                reply = {"input_error": str(error), "traceback": traceback.format_exc()}
            except Exception as error:
                reply = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        return reply | {"warnings": sorted({f"{w.category.__name__}: {w.message}" for w in caught})}

    def _call(self, *, target: int | None, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        backend = self._backend()
        precision = _precision(args, kwargs)
        with default_precision(precision):
            if name in (
                "attributes",
                "defined",
                "misspelt",
            ):  # of the pair's own file: data() may be another's
                module, options = args[0].load(backend), args[1]
                if name == "defined":
                    return [option for option in options if callable(getattr(module, option, None))]
                if name == "misspelt":
                    return misspelt(module, options)
                return {option: getattr(module, option, None) for option in options}
            args = [
                self._resolved(arg, backend, precision) if isinstance(arg, REFERENCES) else arg
                for arg in args
            ]
            return self._answer(backend, target, name, args, kwargs)

    def _answer(
        self, backend: Any, target: int | None, name: str, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        if name == "Program":
            number = next(self._numbers)
            self.programs[number] = backend.Program(*args, **kwargs)
            return number
        if name == "evaluate":
            with explain(backend.NAME, "data() failed"):
                data = args[0]()
            if isinstance(data, Mapping):
                check_arguments(data)
            return data
        owner = backend if target is None else self.programs[target]
        result = getattr(owner, name)(*args, **kwargs)
        return str(result) if isinstance(result, os.PathLike) else result

    def _resolved(self, reference: Any, backend: Any, precision: str) -> Any:
        """The same function for the same reference: what was compiled for a model is found by its function."""
        key = (reference, precision)
        if key not in self.models:
            self.models[key] = reference.resolve(backend, precision)
            if len(self.models) > MOST_MODELS:
                self.models.popitem(last=False)
        self.models.move_to_end(key)
        return self.models[key]

    def _backend(self) -> Any:
        try:
            return importlib.import_module(self.package)
        except ModuleNotFoundError as error:
            extra = EXTRAS[self.package]
            raise InputError(
                f"The {extra} backend needs the package {error.name!r}, which is not installed in this "
                f"Python; install 'ppl-parity[{extra}]'."
            ) from error
        except ImportError as error:
            raise InputError(
                f"The {EXTRAS[self.package]} backend needs packages that work together; in {sys.executable} "
                f"{failed_import(error)}."
            ) from error


def _precision(args: list[Any], kwargs: dict[str, Any]) -> str:
    """The precision that a call asks for; the contract's own default where it says nothing."""
    settings = [arg.precision for arg in args if isinstance(arg, SamplerSettings)]
    return kwargs.get("precision") or (settings[0] if settings else "float64")
