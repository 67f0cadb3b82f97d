"""Results as JSON lines: each is written and flushed as soon as it is measured, so nothing measured is lost."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ppl_parity.errors import InputError

SCHEMA = "ppl-parity/bench/1"

Record = dict[str, Any]


class Recorder:
    """Appends records to a file; ``done`` holds the keys that need not be measured again.

    Args:
        path: the JSON lines; None keeps them in memory only.
        resume: go on with a file that is there, instead of refusing it.

    Raises:
        InputError: the file is there and ``resume`` is not asked for, or it cannot be read or written.
    """

    def __init__(self, path: Path | None, *, resume: bool = False, force: bool = False) -> None:
        self.path, self.records = path, list[Record]()
        if path is not None and path.exists() and not force:
            if not resume:
                raise InputError(
                    f"--out must not exist already unless --resume or --force is given; {str(path)!r} does."
                )
            self.records = read(path)
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                # Whole lines only: what a kill cut off is measured again.
                path.write_text("".join(map(_line, self.records)), encoding="utf-8")
            except OSError as error:
                raise InputError(f"--out must be writable; {str(path)!r} is not: {error.strerror}.") from None
        self.done = {r["key"]: r for r in self.records if r.get("status") in ("ok", "not the same")}

    def add(self, record: Record) -> Record:
        """Write one record down, now."""
        record = {"schema": SCHEMA, **record}
        self.records.append(record)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(record))
                file.flush()
        return record


def read(path: Path) -> list[Record]:
    """The records of a file; a last line that was cut off is left out.

    Raises:
        InputError: the file cannot be read, or is not what this package wrote.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(
            f"Results must be a readable file; {str(path)!r} is not: {error.strerror}."
        ) from None
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise InputError(f"Results must be JSON lines; line {number} of {path} is not JSON.") from None
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            raise InputError(f"Line {number} of {path} is not a result of {SCHEMA!r}.")
        records.append(record)
    return records


def latest(records: Iterable[Record], kind: str) -> list[Record]:
    """The records of one kind, the last one for each key, in the order of their first appearance."""
    found: dict[str, Record] = {}
    for record in records:
        if record["kind"] == kind:
            found[record["key"]] = record
    return list(found.values())


def _line(record: Record) -> str:
    return json.dumps(_plain(record), allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
