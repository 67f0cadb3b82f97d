"""How the program ends: one sentence on standard error, and a status that says whose fault it was."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from ppl_parity.errors import InputError
from ppl_parity.process.leaving import BROKEN_PIPE, INTERRUPTED
from ppl_parity.process.sides import SideError

BAD_INPUT, FAILED = 2, 4  # of a check, 1 is another answer

# Its home differs between releases of typer; the class is above the one that typer exports.
UsageError = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


class Exits(TyperGroup):
    """The top command. Input errors and usage errors alike become one ``Error: `` line and status 2."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line and leave the process; ``--debug`` adds the traceback."""
        given = options.get("args") or (args[0] if args else None) or sys.argv[1:]
        options["standalone_mode"] = False
        try:
            status = super().main(*args, **options)
        except (KeyboardInterrupt, typer.Abort):
            status = INTERRUPTED
        except SystemExit as ended:  # click's own, where a reader of the help has gone
            status = BROKEN_PIPE if ended.code == 1 else ended.code
        except Exception as error:
            status = _status(error)
            if status is None or "--debug" in given:
                traceback.print_exc()
            if status is not None and _sentence(
                error
            ):  # there is none where the help was printed in its place
                print(f"Error: {_sentence(error)}", file=sys.stderr)
            status = status or FAILED
        if status == INTERRUPTED:
            print("Interrupted.", file=sys.stderr)
        sys.exit(status if isinstance(status, int) else 0)


def _status(error: Exception) -> int | None:
    """The exit status that ``error`` deserves; None for a bug of ours, whose traceback is wanted."""
    if isinstance(error, InputError | UsageError):
        return BAD_INPUT
    if isinstance(error, SideError | OSError | MemoryError):
        return FAILED
    return None


def _sentence(error: Exception) -> str:
    if isinstance(error, UsageError):
        text = error.format_message()  # type: ignore[attr-defined]
    elif isinstance(error, MemoryError):
        text = f"There is not enough memory: {error}."
    else:
        text = str(error)
    return " ".join(text.split())
