"""The README's tables of mutants and false alarms, written from the results of the runs that made them.

    python -m parity_tests.tables [--results results] [--readme README.md]

A table whose results are not there is left as it is.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from scipy.stats import binomtest

from parity_tests.false_alarms import read

WIDTH = 120  # of the README's lines


def main(arguments: list[str] | None = None) -> None:
    """Write what there are results for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    options = parser.parse_args(arguments)
    text = options.readme.read_text()
    mutants, alarms = options.results / "mutation.json", options.results / "false_alarms.jsonl"
    if mutants.exists():
        text = between(text, "mutation", "\n".join(of_mutants(json.loads(mutants.read_text())["results"])))
    if alarms.exists():
        text = between(text, "false-alarms", "\n".join(of_alarms(read(alarms))))
    options.readme.write_text(text)


def between(text: str, name: str, block: str) -> str:
    """``text`` with ``block`` between the markers of ``name``.

    Raises:
        ValueError: the markers are not there.
    """
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"The text must have a line {begin.strip()!r} and then {end!r}.")
    return f"{before}{begin}{block}\n{end}{after}"


def of_mutants(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Kills per rung, the share at the right site and of the right cause, and every survivor, in Markdown.

    Args:
        results: rows of ``mutation.table.plain``.
    """
    refused = [r for r in results if r["outcome"] == "refused"]
    same = [r for r in results if r["equivalent"] and r["outcome"] != "refused"]
    faults = [r for r in results if not r["equivalent"] and r["outcome"] != "refused"]
    killed = [r for r in faults if r["outcome"] == "killed"]
    placed = [r for r in killed if r["localised"] is not None]
    yield "| first difference at | mutants | at the right site | cause named |"
    yield "|---|---|---|---|"
    for rung, count in Counter(r["rung"] for r in killed).most_common():
        own = [r for r in placed if r["rung"] == rung]
        named = sum(r["named"] for r in killed if r["rung"] == rung)
        yield f"| {rung} | {count} | {sum(r['localised'] for r in own)} of {len(own)} | {named} |"
    right = sum(r["localised"] for r in placed)
    named = sum(r["named"] for r in killed)
    yield (
        f"| **caught** | **{len(killed)} of {len(faults)}** | **{right} of {len(placed)}** | "
        f"**{named} of {len(killed)}** |"
    )
    yield ""
    wrong = sum(r["outcome"] == "killed" for r in same)
    told = (
        f"{len(results)} mutants of {len({r['pair'] for r in results})} correct pairs. {len(same)} change no "
        f"density; of these {wrong} {'was' if wrong == 1 else 'were'} called different. {len(refused)} cannot be "
        "run, which the check says. Not caught:"
    )
    yield fill(told, WIDTH)
    yield ""
    survivors = [r for r in faults if r["outcome"] != "killed"]
    for r in survivors:
        what = f"- `{r['pair']}`, {r['operator'].replace('_', ' ')} ({r['outcome']}): "
        yield fill(what + (r["why"] or "unexplained"), WIDTH, subsequent_indent="  ")
    if not survivors:
        yield "- none"


def of_alarms(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each rung's measured rate beside the nominal one, in Markdown.

    Args:
        rows: of ``false_alarms``.
    """
    yield "| rung | pairs | seeds | checks that could alarm | called different | 95 % interval | nominal at most |"
    yield "|---|---|---|---|---|---|---|"
    for rung in dict.fromkeys(row["rung"] for row in rows):
        own = [row for row in rows if row["rung"] == rung and row["least_p"] is not None]
        alarms = sum(row["verdict"] == "different" for row in own)
        interval = binomtest(alarms, len(own)).proportion_ci(confidence_level=0.95, method="exact")
        pairs, seeds = (len({row[key] for row in own}) for key in ("pair", "seed"))
        yield (
            f"| {rung} | {pairs} | {seeds} | {len(own)} | {alarms} ({alarms / len(own):.2%}) | {interval.low:.2%} to "
            f"{interval.high:.2%} | {own[0]['false_alarm']:.2%} |"
        )


if __name__ == "__main__":
    main()
