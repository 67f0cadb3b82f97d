"""What is measured of the ladder itself is counted right, and written where the README keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpyro")

from parity_tests.false_alarms import read, table
from parity_tests.tables import between, main, of_alarms, of_mutants


def mutant(outcome: str, **more: Any) -> dict[str, Any]:
    row = {"pair": "a", "operator": "drop_obs", "outcome": outcome, "rung": None, "localised": None}
    return row | {"why": None, "equivalent": False, "named": None} | more


def check(verdict: str, least_p: float | None, **more: Any) -> dict[str, Any]:
    row = {"rung": "forward", "pair": "a", "seed": 0, "false_alarm": 0.01, "seconds": 1.0, "different": []}
    return row | {"verdict": verdict, "least_p": least_p} | more


def test_mutants_are_counted_by_rung_and_place() -> None:
    rows = [
        mutant("killed", rung="density", localised=True, named=True),
        mutant("killed", rung="density", localised=False, named=True),
        mutant("killed", rung="structure", pair="b", named=False),
        mutant("survived", why="only in samples"),
        mutant("survived", equivalent=True, why="a plate names it"),
        mutant("killed", equivalent=True, rung="density", localised=True),
        mutant("refused"),
    ]
    text = "\n".join(of_mutants(rows))
    said = " ".join(text.split())
    assert "| density | 2 | 1 of 2 | 2 |" in text
    assert "| structure | 1 | 0 of 0 | 0 |" in text
    assert "| **caught** | **3 of 4** | **1 of 2** | **2 of 3** |" in text
    assert (
        "7 mutants of 2 correct pairs. 2 change no density; of these 1 was called different. 1 cannot" in said
    )
    assert "- `a`, drop obs (survived): only in samples" in text


def test_alarms_are_counted_among_the_checks_that_could_raise_one() -> None:
    rows = [
        check("same", 0.3),
        check("different", 0.004),
        check("unresolved", 0.04),
        check("unresolved", None),
    ]
    text = table(rows)
    assert "called different: 1 of 3, 33.33% (95 % interval 0.84% to 90.57%); nominal at most 1.00%" in text
    assert "| forward | 1 | 1 | 3 | 1 (33.33%) | 0.84% to 90.57% | 1.00% |" in list(of_alarms(rows))
    assert "33.3% below 1%, 66.7% below 5%, 66.7% below 20%" in text


def test_a_row_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(check("same", 0.3)) + "\n" + json.dumps(check("same", 0.3))[:20])
    assert len(read(path)) == 1


def test_the_readme_is_written_between_its_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- mutation:begin -->\nold\n<!-- mutation:end -->\nb\n")
    rows = [mutant("killed", rung="density", localised=True, named=True)]
    (tmp_path / "mutation.json").write_text(json.dumps({"results": rows}))
    main(["--results", str(tmp_path), "--readme", str(readme)])
    text = readme.read_text()
    assert "old" not in text
    assert text.startswith("a\n<!-- mutation:begin -->\n| first difference")
    assert text.endswith("- none\n<!-- mutation:end -->\nb\n")
    with pytest.raises(ValueError, match="must have a line"):
        between("nothing", "mutation", "")
