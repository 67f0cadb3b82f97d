"""``python -m parity_tests.mutation``: break the correct pairs, check them, and print what was seen."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from parity_tests.mutation.catalogue import catalogue
from parity_tests.mutation.runner import run
from parity_tests.mutation.table import line, plain, report, unexplained


def main() -> int:
    """Exit status 1 if a survivor or a false alarm has no explanation."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.mutation", description=__doc__)
    parser.add_argument("--level", default="quick", choices=("quick", "standard"))
    parser.add_argument("--only", metavar="PAIR", action="append", help="this pair only; may be repeated")
    parser.add_argument(
        "--operator", metavar="NAME", action="append", help="this operator only; may be repeated"
    )
    parser.add_argument(
        "--all", action="store_true", help="every place of every pair (about four times as long)"
    )
    parser.add_argument("--json", metavar="PATH", type=Path, help="write all results there")
    asked = parser.parse_args()
    mutants = catalogue(everything=asked.all, pairs=asked.only)
    if asked.operator:
        mutants = [mutant for mutant in mutants if mutant.operator in asked.operator]
    if not mutants:
        parser.error("no mutant has these names")
    results = run(mutants, level=asked.level, tell=lambda result: print(line(result), flush=True))
    print(*report(results), sep="\n")
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(plain(results), indent=1) + "\n")
    return 1 if unexplained(results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
