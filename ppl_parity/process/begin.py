"""A child process begins here: ``python -m ppl_parity.process.begin MODULE ARG...`` serves what ``MODULE.serve`` does.

The parent's pipes are the process's standard input and output. Both are moved out of the way first, so
that a model that prints or reads cannot break the conversation.

Only the standard library is imported here, and nothing new in it: a Python that cannot import the rest says why in the
parent's own terms, as the answer to whatever it is asked.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import struct
import sys
from typing import BinaryIO

from ppl_parity.process.leaving import end_with_parent, leave

LEAST = (3, 11)
LENGTHS = struct.Struct("<QQ")  # as in ``wire``, which needs NumPy


def main() -> None:
    """Serve until the parent closes its end."""
    requests, answers = take_streams()
    end_with_parent()
    module, *arguments = sys.argv[1:]
    try:
        serve = importlib.import_module(module).serve
    except Exception as error:
        refuse(requests, answers, _lacking(error))
    else:
        serve(requests, answers, *arguments)


def _lacking(error: Exception) -> str:
    if sys.version_info < LEAST:
        least, here = (".".join(map(str, version[:2])) for version in (LEAST, sys.version_info))
        return f"The Python of a side must be {least} or newer; {sys.executable} is {here}."
    return (
        "The Python of a side must have NumPy and what 'ppl-parity' with its backend needs; in "
        f"{sys.executable} {failed_import(error)}."
    )


def failed_import(error: BaseException) -> str:
    """Why something cannot be imported, as the end of a sentence: the first line of the import that was behind it."""
    while isinstance(error.__cause__ or error.__context__, ImportError):
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = (lines[0] if lines else "no reason").rstrip(".")
    kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
    return f"an import failed: {kind}{reason}"


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """The process's standard streams as (requests, answers); what else prints goes to standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.stdout = sys.stderr
    return requests, answers


def refuse(requests: BinaryIO, answers: BinaryIO, sentence: str) -> None:
    """Answer each request that there can be with an input error, without NumPy to read what is asked."""
    told = {"input_error": sentence, "traceback": "", "warnings": {"list": []}}
    text = json.dumps({"dict": told}).encode()
    try:
        while _skipped(requests):
            answers.write(LENGTHS.pack(len(text), 2) + text + b"[]")
            answers.flush()
    except BrokenPipeError:
        pass  # the parent has gone


def _skipped(requests: BinaryIO) -> bool:
    """Read over one request; whether there was one."""
    head = requests.read(LENGTHS.size)
    if len(head) < LENGTHS.size:
        return False
    num_text, num_listed = LENGTHS.unpack(head)
    requests.read(num_text)
    for dtype, shape in json.loads(requests.read(num_listed)):
        requests.read(_item_size(dtype) * math.prod(shape))
    return True


def _item_size(dtype: str) -> int:
    """Bytes of an element, of a type as NumPy writes it: '<f8', '|b1', '<U10', '<M8[ns]'."""
    size = int(dtype[2:].partition("[")[0])
    return 4 * size if dtype[1] == "U" else size


if __name__ == "__main__":
    main()
    leave()
