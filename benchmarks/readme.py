"""The README's tables, from recorded results: what stands between the markers is a function of those files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import SIZES
from benchmarks.records import Record, read
from benchmarks.tables import Rows, gradient_rows, limit_rows, markdown, sampler_rows
from ppl_parity.errors import InputError

RESULTS = Path(__file__).resolve().parent / "results"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def update(readme: Path, results: Sequence[Path]) -> bool:
    """Put the tables of ``results`` between the README's markers; whether that changed anything.

    Raises:
        InputError: there are no results, or the README has not both markers.
    """
    if not results:
        raise InputError(f"There must be recorded results to make a table of; there are none in {RESULTS}.")
    try:
        before = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"The README must be readable; {str(readme)!r} is not: {error.strerror}.") from None
    if not 0 <= before.find(BEGIN) < before.find(END):
        raise InputError(f"{readme} must hold the markers {BEGIN} and {END}, in this order.")
    head, rest = before.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    after = f"{head}{BEGIN}\n{text(results)}\n{END}{tail}"
    readme.write_text(after, encoding="utf-8")
    return after != before


def text(results: Sequence[Path]) -> str:
    """The tables of several result files, one machine after the other."""
    return "\n\n".join(_machine(path.name, read(path)) for path in sorted(results))


def _machine(name: str, records: Sequence[Record]) -> str:
    runs = [record["machine"] for record in records if record["kind"] == "run"]
    last = runs[-1]
    about = [
        f"{last['name']}, {last['cores']} cores ({', '.join(last['instructions']) or 'no vector units known'})"
    ]
    about += [f"{package} {version}" for package, version in sorted(last["versions"].items())]
    load = max(run["load_average"] or 0.0 for run in runs)
    parts = [
        f"Measured on {', '.join(about)}; {last['date']}; load average at the start {load:.2g}"
        f" (`benchmarks/results/{name}`)."
    ]
    tables: list[Rows] = [limit_rows(records, SIZES), gradient_rows(records), sampler_rows(records)]
    return "\n\n".join([*parts, *(markdown(rows) for rows in tables if rows[1])])
