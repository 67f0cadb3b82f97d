"""The operators make mutants, a sample of mutants is caught, and the score counts what it says it counts."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.mutation.catalogue import OPERATORS, catalogue, operator_mutants
from parity_tests.mutation.causes import CAUSES
from parity_tests.mutation.mutants import Mutant, constant_of, pair_files
from parity_tests.mutation.runner import Result, judge, run
from parity_tests.mutation.syntax import blamed, calls, find_model, sources_of, walk
from parity_tests.mutation.table import report, summary, unexplained
from ppl_parity.findings import Finding, Report, RungResult

pytestmark = pytest.mark.pyro

SAMPLE = [
    ("custom_likelihood", "drop_factor"),
    ("eight_schools_centred", "whole_line"),
    ("weighted_data", "drop_scale"),
    ("weighted_data", "square_scale"),
    ("weighted_data", "detach"),
    ("linear_regression", "drop_to_event"),
]


@pytest.fixture(scope="module")
def everything() -> list[Mutant]:
    return catalogue(everything=True)


def test_there_are_enough_mutants_of_enough_pairs() -> None:
    chosen = catalogue()
    assert sum(m.equivalent is None for m in chosen) >= 40
    assert len({m.pair for m in chosen}) >= 12
    assert len({m.name for m in chosen}) == len(chosen)


def test_every_operator_applies_somewhere(everything: list[Mutant]) -> None:
    made = {mutant.operator for mutant in everything}
    assert {operator.__name__ for operator in OPERATORS} <= made


def test_a_mutant_differs_in_the_numpyro_model_or_guide_only(everything: list[Mutant]) -> None:
    originals = {pair: path.read_text() for pair, path in pair_files().items()}
    for mutant in everything:
        before, after = (_functions(source) for source in (originals[mutant.pair], mutant.source))
        changed = {name for name, text in before.items() if text != after[name]}
        assert changed in ({"numpyro_model"}, {"numpyro_guide"}), mutant.name


def test_a_mutant_can_be_imported(tmp_path: Path) -> None:
    for mutant in catalogue():
        path = tmp_path / f"{mutant.name}.py"
        path.write_text(mutant.source)
        spec = importlib.util.spec_from_file_location(mutant.name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert callable(module.numpyro_model)


def test_blame_follows_the_data() -> None:
    model = find_model(pair_files()["poisson_glm"].read_text())
    links = [(n, a) for n, a in walk(model) if isinstance(n, ast.Attribute) and ast.unparse(n) == "jnp.exp"]
    assert [blamed(model, node, ancestors) for node, ancestors in links] == [("y",)]
    observed = calls(model, ("sample",))[-1]
    assert sources_of(model, observed) == ("intercept", "slope")


def test_every_fault_has_a_cause_that_can_be_named(everything: list[Mutant]) -> None:
    faults = {m.operator for m in [*everything, *catalogue()] if m.equivalent is None and m.below is None}
    assert faults == set(CAUSES)


def test_a_cause_is_named_by_its_words_alone() -> None:
    fault = Mutant("pair", "square_scale", "a -> b", "source", ("y",))
    said = (
        "numpyro's is pyro's squared: a variance for a scale?",
        "numpyro's is minus pyro's: a sign",
        None,
    )
    results = [judge(fault, _report("different", "y", hint), 0.1) for hint in said]
    assert [result.named for result in results] == [True, False, False]
    assert summary(results)["cause named"] == 1


def test_an_operator_names_its_place() -> None:
    source = pair_files()["autoregression"].read_text()
    squared = [m for m in operator_mutants("autoregression", source) if m.operator == "square_scale"]
    assert {m.sites for m in squared} == {("y_0",), ("state_*",), ("y_*",)}
    assert all(m.blames("state_3") == (m.sites == ("state_*",)) for m in squared)


def test_the_sample_is_caught() -> None:
    by_key = {(m.pair, m.operator): m for m in reversed(catalogue(everything=True))}
    results = run([by_key[key] for key in SAMPLE])
    assert unexplained(results) == []
    assert summary(results)["killed"] == len(SAMPLE) - 1
    assert [r.rung for r in results] == ["density", "structure", "density", "density", "gradient", None]
    # A wrong derivative may be seen along a direction that belongs to no one site.
    elsewhere = summary(results)["blamed elsewhere"]
    assert [row["operator"] for row in elsewhere if row["operator"] != "detach"] == []


def test_a_survivor_is_not_a_kill() -> None:
    fault = Mutant("pair", "operator", "a -> b", "source", ("y",))
    missed = judge(fault, _report("same"), 0.1)
    assert (missed.outcome, unexplained([missed])) == ("survived", [missed])
    assert summary([missed])["killed"] == 0
    assert any(line.startswith("not killed: pair operator") for line in report([missed]))


def test_a_kill_has_a_place_or_the_wrong_one() -> None:
    fault = Mutant("pair", "operator", "a -> b", "source", ("y_*",))
    right, wrong = (judge(fault, _report("different", site), 0.1) for site in ("y_3", "x"))
    assert (right.localised, wrong.localised) == (True, False)
    assert summary([right, wrong])["localised"] == 1
    assert [row["site"] for row in summary([right, wrong])["blamed elsewhere"]] == ["x"]


def test_unresolved_is_not_a_kill() -> None:
    doubtful = judge(Mutant("pair", "operator", "a -> b", "source"), _report("unresolved"), 0.1)
    assert doubtful.outcome == "unresolved"
    assert unexplained([doubtful]) == [doubtful]


def test_an_equivalent_mutant_called_different_is_a_false_alarm() -> None:
    harmless = Mutant("pair", "operator", "a -> b", "source", ("y",), equivalent="no number changes")
    alarmed = judge(harmless, _report("different", "y"), 0.1)
    assert unexplained([alarmed]) == [alarmed]
    assert summary([alarmed])["faults"] == 0
    assert unexplained([judge(harmless, _report("same"), 0.1)]) == []


def test_a_mutant_that_cannot_run_is_not_counted() -> None:
    refused = Result(Mutant("pair", "operator", "a -> b", "source"), "refused", None, None, "no", None, 0.1)
    assert (summary([refused])["faults"], summary([refused])["refused"]) == (0, 1)


def test_every_pair_says_what_is_expected() -> None:
    files = [*pair_files().values(), *(pair_files()["linear_regression"].parent / "equivalent").glob("*.py")]
    assert len(pair_files()) >= 14
    assert [path.name for path in files if constant_of(path, "EXPECTED") != "same"] == []


def _functions(source: str) -> dict[str, str]:
    return {n.name: ast.unparse(n) for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}


def _report(verdict: str, site: str | None = None, hint: str | None = None) -> Report:
    finding = Finding(verdict, "log prob", "what was found", site=site, hint=hint)  # type: ignore[arg-type]
    rung = RungResult("density", verdict, 0.1, (finding,))  # type: ignore[arg-type]
    return Report("pair", verdict, (rung,), {}, {})  # type: ignore[arg-type]
