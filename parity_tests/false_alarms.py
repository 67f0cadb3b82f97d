"""How often a check calls two models different that are the same: measured, beside the nominal rate.

    python -m parity_tests.false_alarms [--seeds 100] [--jobs 2] [--resume]
    python -m parity_tests.false_alarms --rungs posterior --pairs lkj_effects --seeds 20

Every correct pair is checked again and again with other seeds: the ``exact`` rungs together, whose points are drawn,
and whose nominal rate is none; and the sampling rungs one at a time, each with the whole nominal rate of a check, and
at its first look: ``forward`` on all pairs, ``elbo`` on those with guides, ``posterior`` on those whose chains converge
within seconds (``QUICK_PAIRS``), for what has not converged is never called different and would only flatter the rate.
So few draws leave a margin open, which is ``unresolved`` and no alarm; ``judged`` counts the checks that could have
raised one. ``calibration`` too (``CALIBRATED_PAIRS``), at its first look, 80 fits, with ``CALIBRATED_SEEDS`` seeds at
most; its ranks' locations and spreads are kept, whose means over all seeds show what one check is too small to see.
Each check is one line of JSON in ``--out``, written as it ends; ``--resume`` keeps what is there.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from ppl_parity.checking import check_file
from ppl_parity.errors import InputError
from ppl_parity.findings import DETERMINISTIC, OF_GUIDES
from ppl_parity.ladder.context import CheckSettings
from ppl_parity.ladder.rungs import calibration
from ppl_parity.ladder.samples import sampling
from ppl_parity.process.sides import Side, SideError

PAIRS = Path(__file__).parent / "pairs"
# Those that NUTS samples well and fast, of different kinds: a regression, a simplex, a hierarchy.
QUICK_PAIRS = (
    "linear_regression",
    "dirichlet_multinomial",
    "eight_schools_noncentred",
)
# Those whose 80 fits of simulated data take less than a minute.
CALIBRATED_PAIRS = ("linear_regression", "gamma_poisson", "eight_schools_noncentred")
CALIBRATED_SEEDS = 25
BUDGET = 1.0  # seconds: there is no second look
CALIBRATION_BUDGET = 600.0  # its fits are always as many as the first look needs
SCALE = 0.6  # of a first round of NUTS, whatever the budget: 4 chains of 180 + 240 draws in Pyro
RUNGS = ("exact", "forward", "elbo", "posterior", "calibration")
LEVELS = (0.01, 0.05, 0.2)  # at which the smallest adjusted p-values are counted


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--pairs", nargs="*", help="names of pairs; the stated ones if not given")
    parser.add_argument("--rungs", nargs="*", default=RUNGS, choices=RUNGS)
    parser.add_argument("--false-alarm", type=float, default=0.01, help="the nominal rate of a check")
    parser.add_argument("--jobs", type=int, default=1, help="checks at the same time; each has two processes")
    parser.add_argument("--resume", action="store_true", help="keep the results that are there")
    parser.add_argument("--out", type=Path, default=Path("results/false_alarms.jsonl"))
    options = parser.parse_args(arguments)
    sampling.SCALES, calibration.LOOKS = (SCALE,), calibration.LOOKS[:1]
    paths = {path.stem: path for path in sorted(PAIRS.rglob("*.py")) if not path.stem.startswith("_")}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if not options.resume:
        options.out.unlink(missing_ok=True)
    rows = [row for row in read(options.out) if row["false_alarm"] in (0.0, options.false_alarm)]
    done = {(row["rung"], row["pair"], row["seed"]) for row in rows}
    usual = {
        "exact": list(paths),
        "forward": list(paths),
        "elbo": [name for name, path in paths.items() if path.parent.name == "guides"],
        "posterior": list(QUICK_PAIRS),
        "calibration": list(CALIBRATED_PAIRS),
    }
    for rung in options.rungs:
        names = options.pairs or usual[rung]
        # Seeds in the outer loop: a run that is stopped early has seen every pair.
        seeds = min(options.seeds, CALIBRATED_SEEDS) if rung == "calibration" else options.seeds
        jobs = [(name, seed) for seed in range(seeds) for name in names]
        todo = [(name, seed) for name, seed in jobs if (rung, name, seed) not in done]
        rows += run(rung, [(paths[name], seed) for name, seed in todo], options)
    print(table([row for row in rows if row["rung"] in options.rungs and row["seed"] < options.seeds]))


def run(rung: str, todo: list[tuple[Path, int]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Check each pair with each seed; a pair stays with one job, whose processes have compiled it."""
    rows: list[dict[str, Any]] = []
    lock = threading.Lock()
    order = {path: i for i, path in enumerate(dict.fromkeys(path for path, _ in todo))}

    def work(job: int) -> None:
        with Side("pyro", num_threads=1) as pyro, Side("numpyro", num_threads=1) as numpyro:
            for path, seed in todo:
                if order[path] % options.jobs != job:
                    continue
                row = one(rung, path, seed, options.false_alarm, {"pyro": pyro, "numpyro": numpyro})
                with lock, options.out.open("a") as out:
                    rows.append(row)
                    print(json.dumps(row), file=out)
                    print(
                        f"{rung} {path.stem} {seed}: {row['verdict']} in {row['seconds']:.1f} s", flush=True
                    )

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(work, range(options.jobs)))
    return rows


def one(rung: str, path: Path, seed: int, false_alarm: float, sides: dict[str, Side]) -> dict[str, Any]:
    """One check, as a row."""
    nominal = 0.0 if rung == "exact" else false_alarm
    budget = CALIBRATION_BUDGET if rung == "calibration" else BUDGET
    settings = CheckSettings(seed=seed, false_alarm=false_alarm, budget=budget, keep_going=True)
    began = time.monotonic()
    row = {"rung": rung, "pair": path.stem, "seed": seed, "false_alarm": nominal}
    try:
        rungs = [name for name in DETERMINISTIC if _can_be_climbed(name, path)] if rung == "exact" else [rung]
        report = check_file(str(path), sides=sides, rungs=rungs, settings=settings)
    except (InputError, SideError) as error:  # no false alarm, and no right answer either
        told = {"verdict": "refused", "least_p": None, "different": [str(error)]}
    else:
        findings = [finding for result in report.rungs for finding in result.findings]
        p_values = [p for finding in findings for p in _p_values(finding.numbers)]
        told = {
            "verdict": report.verdict,
            # A rung without chance has no p: 0 or 1, and none where nothing could be compared.
            "least_p": min(p_values, default=None)
            if rung != "exact"
            else {"different": 0.0, "same": 1.0}.get(report.verdict),
            "different": [finding.detail for finding in findings if finding.verdict == "different"],
        }
        if rung == "calibration":
            kept = ("quantities", "location", "spread")
            told["cases"] = [{k: list(finding.numbers.get(k, ())) for k in kept} for finding in findings]
    return row | told | {"seconds": time.monotonic() - began}


def _can_be_climbed(rung: str, path: Path) -> bool:
    return rung not in OF_GUIDES or path.parent.name == "guides"


def _p_values(numbers: Any) -> list[float]:
    return [float(p) for p in numbers.get("adjusted_p", ()) if p == p]


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
    """The measured rate of ``different``, by rung and pair and over all, with its 95 % interval."""
    if not rows:
        return "No check has been run."
    lines = []
    for rung in dict.fromkeys(row["rung"] for row in rows):
        own = [row for row in rows if row["rung"] == rung]
        nominal = own[0]["false_alarm"]
        lines.append(f"{rung:30} checks  judged  same  different  unresolved  refused  seconds")
        for name in sorted({row["pair"] for row in own}):
            lines.append(f"  {name:28} {_counts([row for row in own if row['pair'] == name])}")
        lines.append(f"  {'all':28} {_counts(own)}")
        alarms, judged = _count(own, "different"), sum(_judged(row) for row in own)
        if not judged:
            continue
        interval = binomtest(alarms, judged).proportion_ci(confidence_level=0.95, method="exact")
        lines.append(
            f"  called different: {alarms} of {judged}, {alarms / judged:.2%} (95 % interval {interval.low:.2%} to "
            f"{interval.high:.2%}); nominal at most {nominal:.2%}"
        )
        least = [row["least_p"] for row in own if _judged(row)]
        shares = ", ".join(f"{sum(p < a for p in least) / judged:.1%} below {a:.0%}" for a in LEVELS)
        lines.append(f"  smallest adjusted p of a check: {shares}")
        lines.append("")
    return "\n".join(lines).rstrip()


def _judged(row: dict[str, Any]) -> bool:
    return row["least_p"] is not None


def _counts(rows: list[dict[str, Any]]) -> str:
    same, different, unresolved, refused = (
        _count(rows, verdict) for verdict in ("same", "different", "unresolved", "refused")
    )
    seconds = sum(row["seconds"] for row in rows) / len(rows)
    judged = sum(_judged(row) for row in rows)
    return f"{len(rows):7} {judged:7} {same:5} {different:10} {unresolved:11} {refused:8} {seconds:8.1f}"


def _count(rows: list[dict[str, Any]], verdict: str) -> int:
    return sum(row["verdict"] == verdict for row in rows)


if __name__ == "__main__":
    main()
