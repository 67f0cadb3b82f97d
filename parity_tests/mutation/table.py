"""The results of a run as text, and as plain values for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from parity_tests.mutation.runner import Result
from ppl_parity.findings import RUNGS


def line(result: Result) -> str:
    """One mutant."""
    mutant = result.mutant
    place = f"{result.rung}/{result.site}" if result.rung else ""
    mark = {True: "", False: " (elsewhere)", None: ""}[result.localised]
    name = f"{mutant.pair} {mutant.operator} {','.join(mutant.sites)}"
    return f"{result.outcome:10} {name:64} {place}{mark}  {result.seconds:.1f} s"


def real(results: Sequence[Result]) -> list[Result]:
    """Those that have another density and can be run at all."""
    return [r for r in results if r.mutant.equivalent is None and r.outcome != "refused"]


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Counts, kills per rung, and every result that needs a word."""
    faults = real(results)
    killed = [r for r in faults if r.outcome == "killed"]
    placed = [r for r in killed if r.localised is not None]
    rungs = Counter(r.rung for r in killed)
    return {
        "mutants": len(results),
        "pairs": len({r.mutant.pair for r in results}),
        "faults": len(faults),
        "killed": len(killed),
        "kills per rung": {name: rungs[name] for name in RUNGS if rungs[name]},
        "with a place": len(placed),
        "localised": sum(bool(r.localised) for r in placed),
        "cause named": sum(bool(r.named) for r in killed),
        "equivalent": sum(r.mutant.equivalent is not None for r in results),
        "refused": sum(r.outcome == "refused" for r in results),
        "false alarms": [_row(r) for r in results if r.mutant.equivalent and r.outcome == "killed"],
        "not killed": [_row(r) for r in faults if r.outcome != "killed"],
        "blamed elsewhere": [_row(r) for r in placed if not r.localised],
        "cause not named": [_row(r) for r in killed if not r.named],
        "seconds": round(sum(r.seconds for r in results), 1),
    }


def report(results: Sequence[Result]) -> Iterator[str]:
    """The table under the list of mutants."""
    found = summary(results)
    faults = max(found["faults"], 1)
    yield f"{found['mutants']} mutants of {found['pairs']} pairs in {found['seconds']:.0f} s"
    yield f"faults      {found['faults']}"
    yield f"killed      {found['killed']}  ({found['killed'] / faults:.1%})"
    for rung, count in found["kills per rung"].items():
        yield f"  {rung:12} {count}"
    yield f"right site  {found['localised']} of {found['with a place']}"
    yield f"right cause {found['cause named']} of {found['killed']}"
    yield f"equivalent  {found['equivalent']}, called different: {len(found['false alarms'])}"
    yield f"refused     {found['refused']}  (they cannot be run, which the check says; not counted)"
    for title in ("not killed", "false alarms", "blamed elsewhere"):
        for row in found[title]:
            why = row["why"] or row["said"]
            yield f"{title}: {row['pair']} {row['operator']} ({row['change']}): {why}"
    for row in found["cause not named"]:
        yield f"cause not named: {row['pair']} {row['operator']} ({row['change']}): {row['cause']}"


def plain(results: Sequence[Result]) -> dict[str, Any]:
    """Everything, for JSON."""
    return {"summary": summary(results), "results": [_row(r) for r in results]}


def unexplained(results: Sequence[Result]) -> list[Result]:
    """Faults that were not killed and that nothing explains, and equivalent mutants called different."""
    survivors = [r for r in real(results) if r.outcome != "killed" and r.mutant.below is None]
    return survivors + [r for r in results if r.mutant.equivalent and r.outcome == "killed"]


def _row(result: Result) -> dict[str, Any]:
    mutant = result.mutant
    return {
        "pair": mutant.pair,
        "operator": mutant.operator,
        "change": mutant.detail,
        "sites": list(mutant.sites),
        "why": mutant.equivalent or mutant.below,
        "equivalent": mutant.equivalent is not None,
        "outcome": result.outcome,
        "rung": result.rung,
        "site": result.site,
        "localised": result.localised,
        "cause": result.cause,
        "named": result.named,
        "said": result.detail,
        "seconds": round(result.seconds, 2),
    }
