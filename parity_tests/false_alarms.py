"""How often the sampling rungs call two models different that are the same: measured, beside the nominal rate.

    python -m parity_tests.false_alarms [--seeds 100] [--pairs linear_regression ...] [--budget 30]

Every correct pair, again and again with other seeds. Each check is one line of JSON in ``--out``; what is
there already is not run again, so the run may be stopped and taken up at any time.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from ppl_parity.checking import check_file
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import SIDES, CheckSettings
from ppl_parity.sides import Side, SideError

PAIRS = Path(__file__).parent / "pairs"
RUNGS = ["forward", "posterior"]


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--pairs", nargs="*", help="names of pairs; all of them if not given")
    parser.add_argument("--rungs", nargs="*", default=RUNGS)
    parser.add_argument("--budget", type=float, default=30.0, help="seconds of a check")
    parser.add_argument("--false-alarm", type=float, default=0.01, help="the nominal rate of a check")
    parser.add_argument("--out", type=Path, default=Path("results/false_alarms.jsonl"))
    options = parser.parse_args(arguments)
    paths = {path.stem: path for path in sorted(PAIRS.rglob("*.py")) if not path.stem.startswith("_")}
    names = options.pairs or list(paths)
    rows = read(options.out)
    asked = (options.false_alarm, options.budget, options.rungs)
    rows_asked = [row for row in rows if (row["false_alarm"], row["budget"], list(row["rungs"])) == asked]
    done = {(row["pair"], row["seed"]) for row in rows_asked}
    # Seeds in the outer loop: a run that is stopped early has seen every pair.
    jobs = [(seed, name) for seed in range(options.seeds) for name in names]
    todo = [(seed, name) for seed, name in jobs if (name, seed) not in done]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sides: dict[str, Side] = {}
    with options.out.open("a") as out:
        for seed, name in todo:
            sides = sides or {side: Side(side) for side in SIDES}
            try:
                row = one(paths[name], seed, options, sides)
            except SideError:
                # A sampler that would not end was ended, and its process with it.
                close(sides)
                sides = {side: Side(side) for side in SIDES}
                row = one(paths[name], seed, options, sides)
            rows_asked.append(row)
            print(json.dumps(row), file=out, flush=True)
            print(f"{name} seed {seed}: {row['verdict']} in {row['seconds']:.0f} s", flush=True)
    close(sides)
    print(table([row for row in rows_asked if row["pair"] in names and row["seed"] < options.seeds]))


def close(sides: dict[str, Side]) -> None:
    """End both processes."""
    for side in sides.values():
        side.close()


def one(path: Path, seed: int, options: argparse.Namespace, sides: dict[str, Side]) -> dict[str, Any]:
    """One check, as a row."""
    settings = CheckSettings(
        seed=seed, false_alarm=options.false_alarm, budget=options.budget, keep_going=True
    )
    began = time.monotonic()
    asked = {
        "pair": path.stem,
        "seed": seed,
        "false_alarm": options.false_alarm,
        "budget": options.budget,
    }
    try:
        report = check_file(str(path), sides=sides, rungs=options.rungs, settings=settings)
    except InputError as error:  # no false alarm, and no right answer either
        rungs = dict.fromkeys(options.rungs, "refused")
        return asked | {"verdict": "refused", "rungs": rungs, "different": [str(error)], "seconds": 0.0}
    return asked | {
        "verdict": report.verdict,
        "rungs": {rung.name: rung.verdict for rung in report.rungs},
        "different": [
            f"{rung.name}: {finding.detail}"
            for rung in report.rungs
            for finding in rung.findings
            if finding.verdict == "different"
        ],
        "seconds": time.monotonic() - began,
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of earlier runs; a last line that was cut off is not one."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The measured rate of ``different``, by pair and over all, with its 95 % interval."""
    if not rows:
        return "No check has been run."
    nominal = rows[0]["false_alarm"]
    lines = [f"{'pair':28} checks       same  different  unresolved  seconds"]
    for name in sorted({row["pair"] for row in rows}):
        own = [row for row in rows if row["pair"] == name]
        same, different, unresolved = (_count(own, v) for v in ("same", "different", "unresolved"))
        seconds = sum(row["seconds"] for row in own) / len(own)
        lines.append(f"{name:28} {len(own):6} {same:10} {different:10} {unresolved:11} {seconds:8.1f}")
    alarms = _count(rows, "different")
    interval = binomtest(alarms, len(rows)).proportion_ci(method="exact")
    lines.append(
        f"measured {alarms / len(rows):.2%} ({alarms} of {len(rows)}; 95 % interval {interval.low:.2%} to "
        f"{interval.high:.2%}), nominal at most {nominal:.2%}"
    )
    rungs = list(rows[0]["rungs"])
    for rung in rungs:
        count = sum(row["rungs"].get(rung) == "different" for row in rows)
        lines.append(
            f"  {rung:10} {count / len(rows):.2%} ({count}), nominal at most {nominal / len(rungs):.2%}"
        )
    return "\n".join(lines)


def _count(rows: list[dict[str, Any]], verdict: str) -> int:
    return sum(row["verdict"] == verdict for row in rows)


if __name__ == "__main__":
    main()
