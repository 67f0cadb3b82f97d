"""A process that runs its parent's calls, begun by ``process.begin``. It needs NumPy, and what a call needs."""

from __future__ import annotations

import importlib
import logging
import traceback
import warnings
from typing import Any, BinaryIO

from ppl_parity.errors import InputError
from ppl_parity.process import wire


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the parent closes its end."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    while True:
        try:
            request = wire.receive(requests)
        except EOFError:
            return
        try:
            wire.send(answers, _answer(**request))
        except BrokenPipeError:
            return  # the parent has gone


def _answer(*, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    module, _, name = function.partition(":")
    try:
        return {"result": getattr(importlib.import_module(module), name)(**arguments)}
    except InputError as error:
        return {"input_error": str(error)}
    except ModuleNotFoundError as error:
        return {
            "input_error": f"The package {(error.name or '').partition('.')[0]!r} is not installed in this Python."
        }
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
