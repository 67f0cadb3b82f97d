"""A report in words: how numbers, places and rungs are written, and the three lines that say what it came to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ppl_parity.findings import KNOWN, OF_GUIDES, SAMPLING, Finding, Report, RungResult
from ppl_parity.report.folding import fold

NOT_RUN = "not run"
# The power at which ``statistics.equivalence`` states a resolution; SciPy takes too long to import for one number.
_CHANCE = "with a probability of 80 % at least"

_LOOKS_LARGE = 1e-6  # of a difference that was found to be rounding: what is smaller says so by itself

_ASK_FOR_DRAWS = "give it more time (--budget SECONDS), or loosen what a same must exclude (--margin)."
_ASK_FOR_A_CAUSE = "see to the reason above, or leave this rung out (--rungs)."
_ASK_FOR_SAMPLES = (
    "let the sampling rungs settle it (--level standard), with more time if need be (--budget)."
)
_ASK_FOR_COMPARABLE = (
    "make the two comparable here (rename, points, max_plate_nesting), or record it under known_differences "
    "with its reason."
)


def number(value: float) -> str:
    """A number with the digits that a person reads: three, or one where only its size matters."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    exponent = f"{value:.0e}" if abs(value) < 1e-3 else f"{value:.2e}"
    return exponent.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``0.08 s``, ``14 s``, ``2 min 05 s``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def conclusion(report: Report) -> str:
    """The verdict as a sentence, without its full stop; ``same`` of a few rungs is no more than these have seen."""
    names = {rung.name for rung in report.rungs}
    if report.verdict == "same" and "density" not in names and not {"forward", "posterior"} <= names:
        return "Nothing differs on the rungs that were run"
    if report.verdict == "same" and any(
        f.numbers.get("in_common_only") for r in report.rungs for f in r.findings
    ):
        return "The two models are the same in what both have"
    of_guides = [rung for rung in report.rungs if rung.name in OF_GUIDES]
    apart = [rung.name for rung in report.rungs if rung.verdict == "different"]
    if apart and set(apart) <= set(OF_GUIDES):
        return (
            "The two guides differ"
            if apart[0] == "guide"
            else "The models agree, and the guides: their bounds differ"
        )
    return {
        "same": "The two models, and their guides, are the same"
        if of_guides
        else "The two models are the same",
        "different": "The two models differ",
        "unresolved": "Not shown either way",
    }[report.verdict]


def count(number_of: int, noun: str) -> str:
    """``1 site``, ``4 sites``."""
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}"


def one_line(text: str) -> str:
    """Text of a user's model on one line, without characters that steer a terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))


def place(finding: Finding) -> str:
    """The site and where in it, without the rung: ``tau``, ``beta[0, 1]``, ``the model as a whole``."""
    if finding.site is None:
        return "the model as a whole"
    inside = "" if not finding.index else f"[{', '.join(map(str, finding.index))}]"
    return one_line(f"{finding.site}{inside}")


def where(rung: str, finding: Finding) -> str:
    """The whole place: rung, site, row or index, point."""
    parts = [f"rung {rung}", "the model as a whole" if finding.site is None else f"site {finding.site}"]
    if finding.index:
        inside = ", ".join(map(str, finding.index))
        one = {"dynamics": "step", "elbo": "index"}.get(rung, "row")
        parts.append(f"{one} {inside}" if len(finding.index) == 1 else f"index [{inside}]")
    if finding.point is not None:
        parts.append(f"at the point '{finding.point}'")
    return one_line(", ".join(parts))


def unit(finding: Finding) -> str:
    """The unit of ``size`` and ``resolution``, where the finding's numbers name it."""
    return one_line(str(finding.numbers.get("unit", "")))


def widest(findings: Iterable[Finding], key: Literal["size", "resolution"] = "size") -> Finding | None:
    """The finding whose size, or resolution, is largest, NaN above all, among those of the commonest unit.

    Returns:
        None where no finding has any.
    """
    having = [finding for finding in findings if getattr(finding, key) is not None]
    if not having:
        return None
    common = Counter(map(unit, having)).most_common(1)[0][0]
    alike = (finding for finding in having if unit(finding) == common)
    return max(alike, key=lambda finding: _extent(getattr(finding, key)))


def amount(finding: Finding | None, key: Literal["size", "resolution"] = "size") -> str:
    """A finding's size, or its resolution, with its unit; an empty text where it has none.

    A size that looks large is followed by that of the numbers it is a difference of, where the finding tells:
    ``256 in 1.00e18``.
    """
    value = None if finding is None else getattr(finding, key)
    if finding is None or value is None:
        return ""
    magnitude = finding.numbers.get("magnitude")
    told = f"{number(abs(value))} {unit(finding)}".strip()
    if key == "size" and isinstance(magnitude, float) and _LOOKS_LARGE <= abs(value) < magnitude:
        told += f" in {number(magnitude)}"
    return told


def summary(rung: RungResult) -> str:
    """What a rung came to, in a few words: ``4 sites, 24 points, largest difference 3e-14``.

    Args:
        rung: a finding may bring the words itself, as ``numbers["summary"]``, and the number of points that it
            was compared at, as ``numbers["points"]``.
    """
    findings = rung.findings
    if not findings:
        return "nothing was compared"
    own = [one_line(str(each.numbers["summary"])) for each in findings if "summary" in each.numbers]
    if own:
        return "; ".join(own)
    if all(finding.numbers.get("nothing") for finding in findings):
        return "nothing to compare"
    decisive = [finding for finding in findings if finding.verdict == rung.verdict]
    if rung.verdict == "unresolved" and decisive:
        return f"{len(decisive)} of {count(_compared(findings), 'comparison')} unresolved"
    if rung.verdict == "different" and decisive:
        return _differing(decisive, _compared(findings))
    parts = _extents(findings)
    if size := amount(widest(finding for finding in findings if not finding.notable)):
        parts.append(f"largest difference {size}")
    if rung.name in SAMPLING and (resolution := amount(widest(findings, "resolution"), "resolution")):
        parts.append(f"resolution {resolution}")
    return ", ".join(parts) or "no difference"


def not_run(report: Report) -> list[str]:
    """The rungs that were asked for, ``settings["rungs"]``, and not reached."""
    asked = report.settings.get("rungs")
    names = asked if isinstance(asked, list | tuple) else ()
    done = {rung.name for rung in report.rungs}
    return [one_line(str(name)) for name in names if name not in done]


def first(report: Report, verdict: str) -> tuple[str, Finding] | None:
    """The first finding of a verdict, with its rung's name; one that is left to later rungs comes last."""
    pairs = [(rung.name, each) for rung in report.rungs for each in rung.findings if each.verdict == verdict]
    return min(pairs, key=lambda pair: pair[1].deferred, default=None)


def notes(report: Report) -> list[tuple[str, Finding]]:
    """The findings that are no difference and yet worth a line: notable ones, and what samples had to settle.

    Those that say the same of several sites are one.
    """
    return fold(
        (rung.name, each)
        for rung in report.rungs
        for each in rung.findings
        if (each.notable or each.deferred) and each.verdict != "different"
    )


def labelled_lines(report: Report) -> list[tuple[str, str]]:
    """Three lines, each with its label: for ``different`` where, how much and probably why; for ``same`` what
    was compared and how fine; for ``unresolved`` where, why, and what to do.
    """
    found = first(report, report.verdict)
    if report.verdict == "same":
        return _same_lines(report)
    if found is None and any(each.numbers.get("nothing") for rung in report.rungs for each in rung.findings):
        return [
            ("Where", "the pair as a whole"),
            ("Why", "Nothing was compared: neither model has what these rungs ask of."),
            ("What to do", "run others (--rungs), or a level."),
        ]
    if found is None:
        asked = f"the pair is {report.verdict}, and no finding says where"
        return [("Where", "the pair as a whole"), ("Why", asked), ("What to do", "report this as a bug.")]
    rung, finding = found
    hint = None if finding.hint is None else one_line(finding.hint)
    if report.verdict == "different":
        unknown = f"no known pattern; compare how the two models write {_subject(finding)}."
        return [
            ("Where", where(rung, finding)),
            ("How much", one_line(finding.detail) + _seen(rung, finding)),
            ("Probably", hint or unknown),
        ]
    others = sum(each.verdict == "unresolved" for rung in report.rungs for each in rung.findings) - 1
    more = f" (and {count(others, 'other comparison')})" if others else ""
    return [
        ("Where", where(rung, finding) + more),
        ("Why", one_line(finding.detail)),
        ("What to do", _advice(report, rung, finding, hint)),
    ]


def _advice(report: Report, rung: str, finding: Finding, hint: str | None) -> str:
    """What would settle an unresolved finding: its own hint, and the sampling rungs where it is left to them."""
    if finding.deferred and not {"forward", "posterior"} <= {each.name for each in report.rungs}:
        return _ASK_FOR_SAMPLES + (f" Probably {hint}." if hint else "")
    if hint or rung not in SAMPLING:
        return hint or _ASK_FOR_COMPARABLE
    # What has no size was not judged, and for reasons that more draws do not change.
    return _ASK_FOR_A_CAUSE if finding.size is None else _ASK_FOR_DRAWS


def three_lines(report: Report) -> str:
    """The report in three lines of plain text, as ``assert_same_model`` raises them."""
    return "\n".join(f"{label + ':':<12}{text}" for label, text in labelled_lines(report))


def _same_lines(report: Report) -> list[tuple[str, str]]:
    compared = sum(_compared(rung.findings) for rung in report.rungs)
    exact = [rung for rung in report.rungs if rung.name not in SAMPLING]
    sampled = [rung for rung in report.rungs if rung.name in SAMPLING]
    sizes = _each(exact, "size")
    resolutions = _each(sampled, "resolution")
    if sizes:
        exactly = f"largest difference {sizes}."
    elif any(each.deferred for rung in exact if rung.name != "structure" for each in rung.findings):
        exactly = "only the structure: the latent sites differ, so that all else rests on samples."
    else:
        exactly = "every exact comparison agrees." if exact else "no exact rung was run."
        if any(each.detail.startswith(KNOWN) for rung in exact for each in rung.findings):
            exactly = f"{exactly[:-1]}, but for the known differences."
    if resolutions:
        by_samples = (
            f"{_excluded(report, sampled)}a difference of {resolutions}{_correlated(sampled)} would have been found, "
            f"{_CHANCE}."
        )
    elif sampled:
        by_samples = "no difference found; the sampling rungs state no resolution."
    else:
        by_samples = "no sampling rung was run: what only samples show is not excluded."
    checked = f"{count(len(report.rungs), 'rung')}, {count(compared, 'comparison')}, no difference found."
    return [("Compared", checked), ("Exactly", exactly), ("By samples", by_samples)]


def _excluded(report: Report, sampled: Sequence[RungResult]) -> str:
    """What the margin says where every sample was held to it: in two rungs, and where no difference was let pass."""
    held = [rung for rung in sampled if rung.name in ("forward", "posterior")]
    let_pass = any(each.notable and each.size is not None for rung in held for each in rung.findings)
    margin = report.settings.get("margin")
    if not held or let_pass or margin is None:
        return ""
    part = any(each.numbers.get("part") for rung in held for each in rung.findings)
    ratios = [each.numbers["ratio"] for rung in held for each in rung.findings if "ratio" in each.numbers]
    return (
        f"{'of what was compared one by one ' * part}no mean apart by {margin:g} sd or more"
        f"{_wider(max(ratios, default=math.inf))} (the margin); "
    )


def _correlated(sampled: Sequence[RungResult]) -> str:
    """Of the dependence of every two scalars, in the ranks' correlation."""
    seen = [
        each.numbers["correlation"]
        for rung in sampled
        for each in rung.findings
        if "correlation" in each.numbers
    ]
    return f", or of {max(seen):.2g} in a rank correlation of two," if seen else ""


def _wider(ratio: float) -> str:
    """What the margin excludes of every spread: the widest that it would let pass anywhere."""
    if not math.isfinite(ratio):
        return ""
    return (
        f", no spread by {100 * (ratio - 1):.0f} %"
        if ratio < 2
        else f", no spread by a factor of {ratio:.2g}"
    )


def _seen(rung: str, finding: Finding) -> str:
    """What the rung would have told apart; draws do so by chance, exact numbers always."""
    if finding.resolution is None:
        return ""
    least = amount(finding, "resolution")
    if rung in SAMPLING and rung != "assignments":
        return f" (A difference of {least} would be found, {_CHANCE}.)"
    return f" (Anything above {least} would be seen.)"


def _each(rungs: Sequence[RungResult], key: Literal["size", "resolution"]) -> str:
    """The widest of each rung: ``3e-14 (density), 2e-13 (gradient)``."""
    findings = {rung.name: [each for each in rung.findings if not each.notable] for rung in rungs}
    said = {name: amount(widest(each, key), key) for name, each in findings.items()}
    return ", ".join(f"{text} ({name})" for name, text in said.items() if text)


def _differing(findings: Sequence[Finding], compared: int) -> str:
    size = amount(widest(findings))
    by = f", by up to {size}" if size else ""
    # The size of a log prob is that of the site's sum, of which a row is the part that differs the most.
    apart = sorted(
        {place(replace(each, index=None) if each.quantity == "log prob" else each) for each in findings}
    )
    if len(apart) <= 2:
        return f"{' and '.join(apart)} {'differs' if len(apart) == 1 else 'differ'}{by}"
    return f"{len(findings)} of {count(compared, 'comparison')} differ{by}"


def _extents(findings: Sequence[Finding]) -> list[str]:
    sites = {finding.site for finding in findings if finding.site is not None}
    for finding in findings:
        if isinstance(together := finding.numbers.get("sites"), Mapping):  # one finding of many sites
            sites |= set(together)
    parts = [count(len(sites), "site")] if sites else []
    if (compared := _compared(findings)) > max(1, len(sites)):
        parts.append(count(compared, "comparison"))
    points = [each.numbers["points"] for each in findings if isinstance(each.numbers.get("points"), int)]
    return parts + ([count(max(points), "point")] if points else [])


def _compared(findings: Sequence[Finding]) -> int:
    return sum(not finding.remark for finding in findings)


def _subject(finding: Finding) -> str:
    return "the model" if finding.site is None else f"site {one_line(finding.site)}"


def _extent(value: float) -> float:
    """NaN counts as larger than anything."""
    return math.inf if math.isnan(value) else abs(value)
