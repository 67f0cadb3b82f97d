"""The ladder: one question a rung, the cheap and exact ones first; the first difference has a place."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np

from ppl_parity.backend.contract import Plate
from ppl_parity.errors import InputError, nearest, one_of
from ppl_parity.findings import (
    DETERMINISTIC,
    KNOWN,
    LEVELS,
    RUNGS,
    SAMPLING,
    Finding,
    RungResult,
    Verdict,
    worst,
)
from ppl_parity.ladder.context import Context, subsampled
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES

NEEDS_A_POTENTIAL = (
    "enumeration",
    "gradient",
    "transform",
    "dynamics",
    "posterior",
    "assignments",
    "calibration",
)

OF_A_POSTERIOR = ("posterior", "assignments", "calibration")


def choose(level: str, rungs: Sequence[str] | None) -> tuple[str, ...]:
    """The rungs to climb, in the ladder's order; ``rungs`` replaces ``level``."""
    if rungs is None:
        return LEVELS[one_of("level", level, tuple(LEVELS))]
    for name in rungs:
        one_of("rung", name, RUNGS)
    if not rungs:
        raise InputError(f"At least one rung must be chosen of {', '.join(RUNGS)}; got none.")
    return tuple(name for name in RUNGS if name in rungs)


def split_false_alarm(rungs: Sequence[str], false_alarm: float) -> dict[str, float]:
    """Each sampling rung's share of the suite-wide false-alarm probability, fixed before anything runs.

    ``assignments`` compares exact probabilities and takes no share; Holm's method shares a rung's own among
    its tests.
    """
    sharing = [name for name in rungs if name in SAMPLING and name != "assignments"]
    return {name: false_alarm / len(sharing) for name in sharing}


def climb(context: Context, rungs: Sequence[str]) -> tuple[RungResult, ...]:
    """Run the rungs in order; stop after a difference unless told to go on."""
    results: list[RungResult] = []
    unused = set(context.pair.known_differences)
    verdicts: dict[str, Verdict] = context.results.setdefault("verdicts", {})
    for name in rungs:
        began = time.monotonic()
        findings: list[Finding] = []
        for finding in findings_of(context, name):
            findings.append(_known(context, name, finding, unused))
            context.progress(f"{name}: {finding.detail}")
            if findings[-1].verdict == "different" and not context.settings.keep_going:
                break
        result = RungResult(name, _verdict(findings), time.monotonic() - began, tuple(findings))
        results.append(result)
        verdicts[name] = result.verdict
        context.finished(result)
        if result.verdict == "different" and not context.settings.keep_going:
            break
    stale = _stale(context, unused, {result.name for result in results})
    return tuple(
        replace(result, findings=(*result.findings, *stale.get(result.name, ()))) for result in results
    )


def pair_verdict(results: Sequence[RungResult]) -> Verdict:
    """The worst rung's, where the sampling rungs have settled what was deferred to them; of nothing, unresolved."""
    if all(finding.numbers.get("nothing") for result in results for finding in result.findings):
        return "unresolved"
    found = {result.name: result.verdict for result in results}
    settled = all(found.get(name) == "same" for name in ("forward", "posterior"))
    verdicts: list[Verdict] = []
    for result in results:
        deferred = [finding for finding in result.findings if finding.deferred]
        kept = [finding for finding in result.findings if not finding.deferred]
        verdicts.extend(finding.verdict for finding in kept)
        if deferred and not settled:
            verdicts.append("unresolved")
    return worst(verdicts)


def findings_of(context: Context, name: str) -> Iterator[Finding]:
    """A rung's findings; a rung that takes one side's values to the other is not run where none fits both."""
    if apart := context.results.get("plates apart"):
        yield from map(_plate, apart)
    elif unsteady := context.results.get(
        "unsteady"
    ):  # what is different at each call is compared with nothing
        yield unsteady
    elif name in (*DETERMINISTIC[1:], "posterior") and context.misshapen:
        site = context.misshapen[0]
        left, right = (np.shape(np.asarray(context.sites[side][site].value)) for side in SIDES)
        yield Finding(
            "unresolved",
            "shape",
            f"The shape of {site!r} is {left} in pyro and {right} in numpyro, so no point is one of both models.",
            site=site,
            hint="see to its shape first, which the structure rung calls different",
        )
    elif name in OF_A_POSTERIOR and subsampled(context):
        plate = subsampled(context)[0]
        yield Finding(
            "same",
            "subsample",
            f"The plate {plate.name!r} takes {plate.subsample_size} of {plate.size} rows, of which there is no "
            "posterior to sample; the density rung compares the log probs, with their scale.",
            notable=True,
            hint="make subsample_size an argument of the model, and let data() give None for it",
            numbers={"summary": "of a subsample there is no posterior"},
        )
    elif name in NEEDS_A_POTENTIAL and context.not_summed:
        names = listed(context.not_summed)
        yield Finding(
            "same",
            "potential",
            f"{names} cannot be summed out on either side, so there is no potential, and NUTS samples neither; the "
            "density rung compares the log probs of its values.",
            notable=True,
            hint="give it a distribution of finitely many values, and mark it for enumeration",
            numbers={"summary": "there is no potential"},
        )
    else:
        yield from _rung(name).run(context)


def _plate(apart: tuple[Plate, Plate]) -> Finding:
    """A mini-batch on one side that is another, or none, on the other: nothing can be compared of them."""
    pyro, numpyro = (
        f"{plate.subsample_size} of {plate.size} rows"
        if plate.subsample_size < plate.size
        else f"all of {plate.size} rows"
        for plate in apart
    )
    return Finding(
        "different",
        "plate",
        f"The plate {apart[0].name!r} takes {pyro} in pyro and {numpyro} in numpyro.",
        site=None,
        hint="another mini-batch, or one whose log probs are not scaled up to all rows",
    )


def _rung(name: str) -> ModuleType:
    return importlib.import_module(f"ppl_parity.ladder.rungs.{name}")


def _verdict(findings: Sequence[Finding]) -> Verdict:
    return worst(finding.verdict for finding in findings) if findings else "same"


def _known(context: Context, rung: str, finding: Finding, unused: set[str]) -> Finding:
    """A difference that the user has declared is reported with its reason, and fails nothing."""
    if finding.verdict != "different":
        return finding
    for key in (f"{rung}/{finding.site}", rung):
        reason = context.pair.known_differences.get(key)
        if reason is not None:
            unused.discard(key)
            detail = f"{KNOWN} ({reason}): {finding.detail}"
            return replace(finding, verdict="same", detail=detail, notable=True)
    return finding


def _stale(context: Context, unused: set[str], climbed: set[str]) -> dict[str, list[Finding]]:
    """Rung -> what is said of known differences that were declared of it and did not show."""
    names = sorted({name for side in SIDES for name in context.sites[side]})
    told: dict[str, list[Finding]] = {}
    for key in sorted(unused):
        rung, _, site = key.partition("/")
        unknown = f" There is no site {site!r}.{nearest(site, names)}" if site and site not in names else ""
        if rung in climbed:
            detail = f"The known difference {key!r} does not apply, or no longer; remove it.{unknown}"
            told.setdefault(rung, []).append(Finding("same", "known difference", detail, notable=True))
    return told
