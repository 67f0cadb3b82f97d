"""What a check says: findings, each with a verdict and a place; rungs of findings; one report.

same         shown to be the same, within a stated resolution
different    shown to differ, at a named place
unresolved   not shown either way, with the reason
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ppl_parity.writing import write

if TYPE_CHECKING:
    from ppl_parity.report.posteriors import Posteriors

Verdict = Literal["same", "different", "unresolved"]

SCHEMA = "ppl-parity/report/1"
KNOWN = "Known difference"  # how the detail of one begins that the user has declared
EXIT_STATUS: dict[str, int] = {"same": 0, "different": 1, "unresolved": 3}


DETERMINISTIC = ("structure", "density", "enumeration", "gradient", "transform", "dynamics", "guide")
OF_GUIDES = ("guide", "elbo")  # climbed where a pair has guides
SAMPLING = ("forward", "elbo", "posterior", "assignments", "calibration")
RUNGS = DETERMINISTIC + SAMPLING
LEVELS: dict[str, tuple[str, ...]] = {
    "quick": DETERMINISTIC,
    "standard": (*DETERMINISTIC, *SAMPLING[:-1]),
    "full": RUNGS,
}


@dataclass(frozen=True)
class Finding:
    """One thing that a rung looked at.

    Attributes:
        verdict: same, different or unresolved.
        quantity: what was compared: ``log prob``, ``support``, ``mean``...
        detail: a full sentence for a person: what was found, with the numbers.
        site: the site it concerns; None for the model as a whole.
        size: how large the difference is, in the unit that ``detail`` names; None where it has none.
        resolution: a difference that would have been called different, in the same unit: by an exact rung surely, by
            samples with a probability of 80 %.
        point: the name of the point at which the difference is largest.
        index: where in the site it is largest, such as the row of the data.
        hint: the probable cause, where the pattern is known.
        notable: worth a line in the report although it is no difference: a constant offset, another but
            equivalent way of writing, a library's own limit.
        deferred: decided by the sampling rungs: it counts as unresolved unless they find the pair the same.
        numbers: what a plot or a program wants: plain numbers, strings, lists and arrays; ``nothing`` where there was
            nothing to compare.
    """

    verdict: Verdict
    quantity: str
    detail: str
    site: str | None = None
    size: float | None = None
    resolution: float | None = None
    point: str | None = None
    index: tuple[int, ...] | None = None
    hint: str | None = None
    notable: bool = False
    deferred: bool = False
    numbers: dict[str, Any] = field(default_factory=dict)

    @property
    def remark(self) -> bool:
        """Whether it only says what is worth knowing of the whole model, and compares nothing."""
        if self.numbers.get("nothing"):
            return True
        without = self.site is None and self.size is None and self.resolution is None
        return self.notable and without and self.verdict == "same"


@dataclass(frozen=True)
class RungResult:
    """A rung's findings, and what they come to."""

    name: str
    verdict: Verdict
    seconds: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    """What a check of a pair came to.

    Attributes:
        pair: the pair's name.
        verdict: of the pair.
        rungs: in the order in which they ran.
        settings: what the check was asked for, defaults included.
        environment: versions and machine, by side.
        posteriors: both, scalar by scalar, where NUTS has run.
    """

    pair: str
    verdict: Verdict
    rungs: tuple[RungResult, ...]
    settings: dict[str, Any]
    environment: dict[str, Any]
    posteriors: Posteriors | None = None

    def __str__(self) -> str:
        """The three lines of ``check``, after the verdict."""
        from ppl_parity.report.wording import three_lines

        return f"{self.pair}: {self.verdict}\n{three_lines(self)}"

    def __repr__(self) -> str:
        """The same: all that a report holds would fill a prompt with arrays."""
        return str(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the page of ``to_html``."""
        from ppl_parity.report.html import framed  # plots are slow to import

        return framed(self)

    @property
    def first_difference(self) -> dict[str, Any] | None:
        """The first finding that says ``different``, with the rung it stands on; None if there is none."""
        for rung in self.rungs:
            for finding in rung.findings:
                if finding.verdict == "different":
                    return {"rung": rung.name} | _plain(asdict(finding))
        return None

    @property
    def exit_status(self) -> int:
        """0 same, 1 different, 3 unresolved."""
        return EXIT_STATUS[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        """Plain Python values, as ``report/schema.json`` describes them."""
        return {
            "schema": SCHEMA,
            "pair": self.pair,
            "verdict": self.verdict,
            "first_difference": self.first_difference,
            "rungs": [_plain(asdict(rung)) for rung in self.rungs],
            "posteriors": None if self.posteriors is None else _plain(self.posteriors.as_dict()),
            "settings": _plain(self.settings),
            "environment": _plain(self.environment),
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """The report as JSON text, also written to ``path`` if there is one."""
        text = json.dumps(self.as_dict(), indent=1, allow_nan=False)
        if path is not None:
            write(Path(path), lambda file: file.write_text(text + "\n"))
        return text

    def to_html(self, path: str | Path) -> Path:
        """The report as one self-contained HTML file."""
        from ppl_parity.report.html import write_html  # plots are slow to import

        return write_html(self, path)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """different before unresolved before same; of nothing, unresolved."""
    found = set(verdicts)
    for verdict in ("different", "unresolved", "same"):
        if verdict in found:
            return verdict
    return "unresolved"


def _plain(value: Any) -> Any:
    """JSON has neither NaN nor infinities: they become strings."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
