"""A report as one self-contained HTML file: no script, no network, light, dark and on paper.

What a finding's ``numbers`` may hold for a person to see (all optional, all other keys are listed as they are):

unit        of ``size`` and ``resolution``, such as ``posterior sd``
points      int: the number of points compared at
sites       mapping from each site that the finding covers to its size, where it covers several
summary     str: the words of the rung's one line, in place of those made here
plot        which picture to draw, with the keys that it needs:

posterior      ``pyro``, ``numpyro``: draws (n,) of one scalar, thinned until about independent, 2000 at most;
               ``ranks``: optional, side -> ranks (m,) among the draws of both together, if others than the
               draws' own are to be judged; ``name``: optional, of the scalar (default: the site and index)
energy         ``steps`` (T,); ``pyro``, ``numpyro``: (T,) energy minus the energy at the start;
               ``tolerance``: optional, a number or (T,), what rounding allows; ``parted``: optional, the first
               step beyond it (default: the index of a finding that says different)
rows           ``difference`` (N,): NumPyro's log density minus Pyro's, by row; ``rows``: optional, their row
               numbers, where not all rows are given
coclustering   ``pyro``, ``numpyro``: (n, n), P(z_i = z_j); of more than 120 rows, 120 are drawn
mixture        ``x`` (n, 2); ``beta_pyro``, ``beta_numpyro``: (K, 2) posterior means, or draws (S, K, 2) with
               components named alike; ``noise_scale``: a number, or one a column; ``columns``: two names
ranks          ``ranks``: quantity -> ranks (n,), as fractions in (0, 1), or, with ``num_ranks``: L, as integers
               from 0 to L, the number of draws that each was ranked in

Arrays may be NumPy arrays or lists, and may hold NaN and infinities. A picture that cannot be drawn is named on
the page, with the reason; it never costs the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup, escape

from ppl_parity.errors import InputError
from ppl_parity.findings import Finding, Report, RungResult
from ppl_parity.report import figures
from ppl_parity.report.posteriors import Posteriors
from ppl_parity.report.tables import comparison_cells
from ppl_parity.report.wording import (
    amount,
    conclusion,
    duration,
    labelled_lines,
    not_run,
    notes,
    number,
    one_line,
    place,
    summary,
)
from ppl_parity.writing import write

SYMBOLS = {"same": "\u2713", "different": "\u2717", "unresolved": "?", "not run": "\u00b7"}
QUESTIONS = {
    "structure": "Same sites, shapes, supports, plates, observed values and dtypes?",
    "density": "Same log probability, site by site and jointly?",
    "enumeration": "Same density with the discrete sites summed out?",
    "gradient": "Same gradient, and that of a numerical derivative?",
    "transform": "Same support, unconstraining map and Jacobian?",
    "dynamics": "Same leapfrog trajectory from the same start?",
    "guide": "Same guides, and of all that the models draw?",
    "forward": "Same prior and prior-predictive samples, in distribution?",
    "elbo": "Same evidence lower bound, and gradient of it?",
    "posterior": "Same posterior, by NUTS in both?",
    "assignments": "Same posterior of the discrete sites?",
    "calibration": "Do both pass simulation-based calibration, also crosswise?",
}
MAX_FIGURES = 12  # a rung; more are no longer looked at
MAX_ROWS = 200  # a rung
PLOTTED = frozenset(
    "plot pyro numpyro ranks steps tolerance difference rows x beta_pyro beta_numpyro".split()
)  # drawn, not listed
SAID = {"unit", "summary", "name", "columns", "points"}
MAX_VALUES = 6


@dataclass(frozen=True)
class Picture:
    """A drawn finding: its caption, and the picture or why there is none."""

    finding: Finding
    name: str
    svg: Markup
    wide: bool
    trouble: str


def write_html(report: Report, path: str | Path) -> Path:
    """Write a report as one HTML file.

    Args:
        report: of a finished check; whatever its names and values hold is escaped.
        path: replaced if it is there.

    Returns:
        The file.
    """
    text, target = page(report), Path(path)
    write(target, lambda file: file.write_text(text, encoding="utf-8", errors="backslashreplace"))
    return target


def framed(report: Report) -> str:
    """The page in a frame of its own, for a notebook, whose looks it then neither takes nor changes."""
    return (
        f'<iframe title="{escape(report.pair)}" srcdoc="{escape(page(report))}" '
        'style="width: 100%; height: 36em; border: 0; resize: vertical"></iframe>'
    )


def page(report: Report) -> str:
    """A report as the text of an HTML file."""
    here = resources.files("ppl_parity.report")
    template = Environment(
        autoescape=True, finalize=_clean, trim_blocks=True, lstrip_blocks=True
    ).from_string(here.joinpath("template.html").read_text(encoding="utf-8"))
    template.globals.update(
        place=place,
        amount=amount,
        extras=_extras,
        duration=duration,
        summary=summary,
        symbols=SYMBOLS,
        conclusion=conclusion,
        questions=QUESTIONS,
    )
    return template.render(
        report=report,
        style=Markup(here.joinpath("style.css").read_text(encoding="utf-8")),
        lines=labelled_lines(report),
        notes=notes(report),
        rungs=[(rung, *_ordered(rung), _pictures(rung)) for rung in report.rungs],
        not_run=not_run(report),
        settings=flat(report.settings),
        environment=flat(report.environment),
        seconds=duration(sum(rung.seconds for rung in report.rungs)),
        posteriors=report.posteriors,
        table=None if report.posteriors is None else _table(report.posteriors),
    )


def flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows: ``pyro.version``, ``1.9.1``."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{above}{key}.")
        else:
            rows.append((f"{above}{key}", _short(value)))
    return rows


def _table(both: Posteriors) -> tuple[list[str], list[list[tuple[str, bool]]], str]:
    """Headings, cells with whether they are trouble, and the caption."""
    cells = comparison_cells(both.pyro, both.numpyro)
    rows = [
        [(text.plain, "red" in (text.style, *(span.style for span in text.spans))) for text in row]
        for row in cells.rows
    ]
    return [heading.replace("\n", " ").strip() for heading in cells.headings], rows, cells.caption


def _ordered(rung: RungResult) -> tuple[list[Finding], int]:
    """What a person looks for first, first; and how many findings are left out."""
    weight = {"different": 0, "unresolved": 1, "same": 3}
    findings = sorted(rung.findings, key=lambda each: 2 if _only_notable(each) else weight[each.verdict])
    return findings[:MAX_ROWS], max(0, len(findings) - MAX_ROWS)


def _only_notable(finding: Finding) -> bool:
    return finding.notable and finding.verdict == "same"


def _pictures(rung: RungResult) -> tuple[list[Picture], int]:
    """The pictures of a rung, and how many are left out."""
    findings = [each for each in _ordered(rung)[0] if "plot" in each.numbers]
    drawn = [_picture(each, f"{rung.name}-{i}") for i, each in enumerate(findings[:MAX_FIGURES])]
    return drawn, max(0, len(findings) - MAX_FIGURES)


def _picture(finding: Finding, identity: str) -> Picture:
    name = str(finding.numbers.get("name", _subject(finding)))
    numbers = finding.numbers
    if numbers["plot"] == "energy" and finding.index and finding.verdict == "different":
        numbers = {"parted": finding.index[0]} | numbers
    try:
        svg, wide = figures.draw(numbers, name, identity)
    except InputError as error:
        return Picture(finding, name, Markup(""), False, f"No picture: {error}")
    return Picture(finding, name, Markup(svg), wide, "")


def _subject(finding: Finding) -> str:
    """A posterior is of one scalar; the other pictures are of the whole site."""
    return place(finding if finding.numbers.get("plot") == "posterior" else replace(finding, index=None))


def _extras(finding: Finding) -> list[tuple[str, str]]:
    """A finding's other numbers, as they are."""
    hidden = SAID | PLOTTED if "plot" in finding.numbers else SAID
    return flat({key: value for key, value in finding.numbers.items() if key not in hidden})


def _clean(value: Any) -> Any:
    """Text of a user's model without control characters; what this package wrote, as it is."""
    return one_line(value) if type(value) is str else value


def _short(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return number(float(value))
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            return "none"
        shown = ", ".join(
            f"[{_short(each)}]" if isinstance(each, list | tuple | np.ndarray) else _short(each)
            for each in value[:MAX_VALUES]
        )
        return shown if len(value) <= MAX_VALUES else f"{shown}, ... ({len(value)} values)"
    return str(value)
