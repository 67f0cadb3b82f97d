"""Statements of the other framework inside a model: they run, change nothing, and raise no error.

Looked for only where the model's own imports have loaded the other framework; nothing is loaded here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ppl_parity.backend.contract import Program
from ppl_parity.errors import InputError


def foreign_statements(other: str, run: Callable[[], Any]) -> tuple[str, ...]:
    """Run a model once and name each statement of ``other`` (``pyro`` or ``numpyro``) that it reaches."""
    module = sys.modules.get(other)
    if module is None:
        return ()
    found: list[str] = []
    with _recorder(other, found):
        run()
    return tuple(found)


def refuse_foreign(side: str, program: Program) -> None:
    """Refuse a model with statements of the other framework: it would be fitted without them.

    Raises:
        InputError: naming them.
    """
    found = list(dict.fromkeys(program.foreign_statements()))
    if found:
        raise InputError(
            f"{side}: every statement of a model must be its own framework's, which takes no notice of another's; the "
            f"model runs {', '.join(found)}."
        )


def _recorder(other: str, found: list[str]) -> Any:
    if other == "numpyro":
        from numpyro.primitives import Messenger

        class Recorder(Messenger):
            def process_message(self, msg: dict[str, Any]) -> None:
                _note("numpyro", msg, found)

        return Recorder(lambda: None)
    from pyro.poutine.messenger import Messenger

    class PyroRecorder(Messenger):
        def _pyro_sample(self, msg: Any) -> None:
            _note("pyro", msg, found)

    return PyroRecorder()


def _note(framework: str, msg: Any, found: list[str]) -> None:
    if msg["type"] not in ("sample", "deterministic"):
        return
    unit = type(msg.get("fn")).__name__ in ("Unit", "ExpandedDistribution") and msg.get("is_observed")
    statement = "factor" if unit else msg["type"]
    found.append(f"{framework}.{statement}({msg['name']!r})")
