"""The tables of recorded results: targets in the README, all the rest in docs/measurements.md.

What stands between the markers is a function of the files, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import SIZES
from benchmarks.records import Record, read
from benchmarks.tables import Rows, command_rows, gradient_rows, limit_rows, markdown, sampler_rows
from benchmarks.targets import target_rows
from ppl_parity.errors import InputError

RESULTS = Path(__file__).resolve().parent / "results"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


MEASUREMENTS = Path("docs") / "measurements.md"  # beside the README


def update(readme: Path, results: Sequence[Path]) -> bool:
    """Put the tables of ``results`` between the markers of the README and of its measurements.

    Returns:
        Whether that changed either.

    Raises:
        InputError: there are no results, or one of the two has not both markers.
    """
    if not results:
        raise InputError(f"There must be recorded results to make a table of; there are none in {RESULTS}.")
    write = {readme: _targets, readme.parent / MEASUREMENTS: _everything}
    around = {page: _around_markers(page) for page in write}
    recorded = [(path.name, read(path)) for path in sorted(results)]
    changed = False
    for page, (head, old, tail) in around.items():
        new = "\n\n".join(write[page](*one) for one in recorded)
        page.write_text(f"{head}{BEGIN}\n{new}\n{END}{tail}", encoding="utf-8")
        changed |= old != f"\n{new}\n"
    return changed


def _around_markers(page: Path) -> tuple[str, str, str]:
    """What stands before, between and after."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"The page of tables must be readable; {str(page)!r} is not: {error.strerror}."
        ) from None
    if not 0 <= text.find(BEGIN) < text.find(END):
        raise InputError(f"{page} must hold the markers {BEGIN} and {END}, in this order.")
    head, rest = text.split(BEGIN, 1)
    old, tail = rest.split(END, 1)
    return head, old, tail


def _targets(name: str, records: Sequence[Record]) -> str:
    return f"{_about(name, records)}\n\n{markdown(target_rows(records))}"


def _everything(name: str, records: Sequence[Record]) -> str:
    tables: list[Rows] = [
        limit_rows(records, SIZES),
        gradient_rows(records),
        sampler_rows(records),
        command_rows(records),
    ]
    return "\n\n".join([_about(name, records), *(markdown(rows) for rows in tables if rows[1])])


def _about(name: str, records: Sequence[Record]) -> str:
    runs = [record["machine"] for record in records if record["kind"] == "run"]
    last = runs[-1]
    about = [
        f"{last['name']}, {last['cores']} cores ({', '.join(last['instructions']) or 'no vector units known'})"
    ]
    about += [f"{package} {version}" for package, version in sorted(last["versions"].items())]
    load = max(run["load_average"] or 0.0 for run in runs)
    return (
        f"Measured on {', '.join(about)}; {last['date']}; load average at the start {load:.2g}"
        f" (`benchmarks/results/{name}`)."
    )
