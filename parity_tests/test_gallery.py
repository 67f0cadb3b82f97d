"""Published wrong ports are caught on the right rung, at the right site; a constant is not called wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.mutation.mutants import constant_of
from ppl_parity.checking import check_file
from ppl_parity.findings import DETERMINISTIC, OF_GUIDES
from ppl_parity.ladder.context import CheckSettings
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro

GALLERY = Path(__file__).resolve().parent.parent / "gallery"
FILES = sorted(GALLERY.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_verdict_rung_and_site(path: Path, sides: dict[str, Side]) -> None:
    expected: Any = constant_of(path, "EXPECTED")
    rungs = tuple(name for name in DETERMINISTIC if name not in OF_GUIDES)
    if expected["verdict"] == "different":
        rungs = rungs[: rungs.index(expected["rung"]) + 1]
    report = check_file(str(path), rungs=rungs, sides=sides)
    assert report.verdict == expected["verdict"]
    if report.verdict == "different":
        first = report.first_difference
        assert first is not None
        assert (first["rung"], first["site"]) == (expected["rung"], expected["site"])
        return
    said = [f for rung in report.rungs for f in rung.findings if f.notable and f.site == expected["site"]]
    assert any(expected["constant"] in finding.detail for finding in said)


def test_a_support_too_wide_is_also_seen_by_the_maps(sides: dict[str, Side]) -> None:
    """Structure names it first; who climbs on hears it from the transforms, which ask no declaration."""
    settings = CheckSettings(keep_going=True)
    path = GALLERY / "posteriordb_eight_schools.py"
    report = check_file(str(path), rungs=["structure", "transform"], settings=settings, sides=sides)
    found = {rung.name: [f for f in rung.findings if f.verdict == "different"] for rung in report.rungs}
    assert [f.site for f in found["structure"]] == ["tau"]
    assert "numpyro samples 'tau' at -" in found["transform"][0].detail


def test_every_file_is_listed_in_the_readme() -> None:
    text = (GALLERY / "README.md").read_text()
    assert [path.name for path in FILES if path.name not in text] == []
    assert len(FILES) >= 8
