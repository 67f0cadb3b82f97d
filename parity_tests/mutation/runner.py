"""Run a check on each mutant, in two processes that are kept between mutants."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parity_tests.mutation.causes import CAUSES
from parity_tests.mutation.mutants import Mutant
from parity_tests.mutation.syntax import GUIDE
from ppl_parity.checking import check_file
from ppl_parity.errors import InputError
from ppl_parity.findings import LEVELS, OF_GUIDES, Report
from ppl_parity.ladder.context import CheckSettings
from ppl_parity.process.sides import Side, SideError

Outcome = Literal["killed", "refused", "unresolved", "survived", "crashed"]

RENEW = 25  # a side keeps every program that it has compiled, so it is replaced after this many mutants


@dataclass(frozen=True)
class Result:
    """What a check made of a mutant.

    Attributes:
        outcome: killed (called different), refused (the mutant cannot be run, and the check says so),
            unresolved (not called the same), survived (called the same), or crashed (the check itself failed).
        rung, site, detail: of the first difference, or of what was said instead.
        localised: whether the blamed site is where the fault is; None if the fault has no site.
        cause: what the check says of why; None where it knows no pattern.
        named: whether that is the fault's cause; None where it was not killed.
    """

    mutant: Mutant
    outcome: Outcome
    rung: str | None
    site: str | None
    detail: str
    localised: bool | None
    seconds: float
    cause: str | None = None
    named: bool | None = None


class Sides:
    """Two open processes, replaced now and then."""

    def __init__(self, num_threads: int = 1) -> None:
        self._num_threads = num_threads
        self._stack, self._uses, self._open = ExitStack(), 0, {}

    def __enter__(self) -> Sides:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def fresh(self) -> dict[str, Side]:
        """The two sides, for one more mutant."""
        if self._uses % RENEW == 0:
            self.renew()
        self._uses += 1
        return self._open

    def renew(self) -> None:
        """Close both and open two others."""
        self._stack.close()
        self._stack, self._uses = ExitStack(), 0
        self._open = {
            name: self._stack.enter_context(Side(name, num_threads=self._num_threads))
            for name in ("pyro", "numpyro")
        }


def check(path: Path, sides: dict[str, Side], *, level: str, rungs: Sequence[str] | None = None) -> Report:
    """The one place that calls the engine."""
    settings = CheckSettings(budget=60.0)
    return check_file(str(path), sides=sides, level=level, rungs=rungs, settings=settings)


def run(
    mutants: Sequence[Mutant], *, level: str = "quick", tell: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Check every mutant, and tell of each as it is done."""
    results = []
    with tempfile.TemporaryDirectory() as folder, Sides() as sides:
        for result in _each(mutants, Path(folder), sides, level):
            tell(result)
            results.append(result)
    return results


def _each(mutants: Sequence[Mutant], folder: Path, sides: Sides, level: str) -> Iterator[Result]:
    for mutant in mutants:
        path = folder / f"{mutant.name}.py"
        path.write_text(mutant.source)
        began = time.monotonic()
        guided = f"def {GUIDE}(" in mutant.source
        quick = [name for name in LEVELS["quick"] if guided or name not in OF_GUIDES]
        rungs = (*quick, *mutant.also) if mutant.also and level == "quick" else None
        try:
            report = check(path, sides.fresh(), level=level, rungs=rungs)
        except InputError as error:
            yield Result(mutant, "refused", None, None, str(error), None, time.monotonic() - began)
        except (SideError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            sides.renew()
            said = f"{type(error).__name__}: {error}"
            yield Result(mutant, "crashed", None, None, said, None, time.monotonic() - began)
        else:
            yield judge(mutant, report, time.monotonic() - began)


def judge(mutant: Mutant, report: Report, seconds: float) -> Result:
    """What a report says about a mutant."""
    first = report.first_difference
    if first is not None:
        localised = mutant.blames(first["site"]) if mutant.sites else None
        cause = first["hint"]
        named = cause is not None and re.search(CAUSES.get(mutant.operator, "$^"), cause) is not None
        return Result(
            mutant, "killed", first["rung"], first["site"], first["detail"], localised, seconds, cause, named
        )
    if report.verdict == "unresolved":
        doubt = next(
            (rung.name, finding)
            for rung in report.rungs
            for finding in rung.findings
            if finding.verdict == "unresolved"
        )
        return Result(mutant, "unresolved", doubt[0], doubt[1].site, doubt[1].detail, None, seconds)
    said = "; ".join(f.detail for rung in report.rungs for f in rung.findings if f.notable)
    return Result(mutant, "survived", None, None, said, None, seconds)
