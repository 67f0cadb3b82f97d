"""Benchmarks: nothing is compared that was not shown to be the same, and nothing measured is lost."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import cases, precision, problems, readme, tables, timer
from benchmarks.identity import same_gradients, same_values
from benchmarks.limits import Limits
from benchmarks.records import SCHEMA, Recorder, read
from benchmarks.targets import Target, target_rows
from parity_tests.conftest import hear_sigint
from ppl_parity.cli import console
from ppl_parity.cli.app import app
from ppl_parity.cli.bench import _teller
from ppl_parity.errors import InputError

# A backend whose noise scale is 1 % too large: NumPyro's own, given another mixture.
WRONG = """
import dataclasses
from numpyro_impl import NAME, devices, versions
"""
WRONG_TIMING = """
import dataclasses
from numpyro_impl import timing

def prepare(spec, *args, **options):
    return timing.prepare(dataclasses.replace(spec, noise_scale=1.01 * spec.noise_scale), *args, **options)
"""
TINY = """
[[case]]
kernel = "gradient"
backend = [BACKENDS]
formulation = ["fused", "matmul"]
N = 60
D = 2
K = 3
"""
RUN = "bench kernels --case-budget 0.05 --cases cases.toml --out out.jsonl"
ROOT = Path(__file__).resolve().parent.parent
LIMITS = Limits(40e9, 200e9, 0.2e-9, "float32", "cpu", {})
MEASURED = {
    "schema": SCHEMA,
    "kind": "limits",
    "key": "limits | float32 | cpu",
    "status": "ok",
    "limits": LIMITS.as_dict(),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with small cases of a right backend and of a wrong one, the limits measured."""
    (tmp_path / "wrong_impl").mkdir()
    (tmp_path / "wrong_impl" / "__init__.py").write_text(WRONG)
    (tmp_path / "wrong_impl" / "timing.py").write_text(WRONG_TIMING)
    (tmp_path / "cases.toml").write_text(TINY.replace("BACKENDS", '"numpyro", "wrong"'))
    (tmp_path / "out.jsonl").write_text(json.dumps(MEASURED) + "\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> Any:
    return CliRunner().invoke(app, command.split())


def refused(command: str) -> str:
    """Run a command that must end in one sentence and status 2."""
    result = run(command)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def gradient_record(
    system: str = "numpyro fused", *, same: bool = True, time: float = 2e-3, **case: Any
) -> Any:
    """A record as ``bench kernels`` writes it."""
    about = cases.Case("gradient", *system.split(), **{"N": 100, "D": 2, "K": 3} | case)
    loop = [time * 10] * 5
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "gradient",
        "key": about.key,
        "case": about.as_dict(),
        "size": about.size,
        "system": about.system,
        "identity": [{"same": same, "dtype": "float64"}],
        "first_seconds": 1.0,
    }
    if not same:
        return found | {"status": "not the same", "why": "the density is 1 where the reference has 2"}
    summary = {"single": timer.summary(loop, 10), "loop": timer.summary(loop, 10)}
    return found | {"status": "ok", "summary": summary, "raw": {"loop": loop}, "loop_count": 10}


def test_a_wrong_noise_scale_is_refused_a_ratio_and_resume_measures_nothing_twice(folder: Path) -> None:
    result = run(f"{RUN} --resume")
    assert result.exit_code == 0, result.output
    records = read(folder / "out.jsonl")
    found = {r["system"]: r for r in records if r["kind"] == "gradient"}
    assert {name: r["status"] for name, r in found.items()} == {
        "numpyro fused": "ok",
        "numpyro matmul": "ok",
        "wrong fused": "not the same",
        "wrong matmul": "not the same",
    }
    assert "raw" not in found["wrong fused"]
    assert "where the reference has" in found["wrong fused"]["why"]
    assert found["wrong fused"]["why"] in " ".join(result.stdout.split())

    right = found["numpyro fused"]
    assert [i["dtype"] for i in right["identity"]] == ["float64", "float32"]
    assert right["summary"]["single"]["median"] == pytest.approx(np.median(right["raw"]["single"]))
    per_loop = np.median(right["raw"]["loop"]) / right["loop_count"]
    assert right["summary"]["loop"]["median"] == pytest.approx(per_loop)
    assert right["summary"]["loop"]["repeats"] == len(right["raw"]["loop"]) >= timer.MIN_REPEATS
    assert right["versions"]["jax"]
    assert right["flags"]["OMP_NUM_THREADS"]
    headers, rows, _ = tables.gradient_rows(records)
    ratios = [row[headers.index("x floor") :] for row in rows if row[1].startswith("wrong")]
    assert all(cell == tables.NONE for row in ratios for cell in row)

    (folder / "out.jsonl").write_text((folder / "out.jsonl").read_text() + '{"kind": "gradi')  # a kill
    again = run(f"{RUN} --resume")
    assert again.exit_code == 0, again.output
    kept = [r for r in read(folder / "out.jsonl") if r["kind"] == "gradient"]
    assert len(kept) == 4
    assert "out.jsonl" in refused(RUN)


@pytest.mark.long
def test_what_a_killed_run_has_measured_is_kept_and_gone_on_with(folder: Path) -> None:
    (folder / "cases.toml").write_text(TINY.replace("BACKENDS", '"numpyro"'))
    out = folder / "out.jsonl"
    command = [sys.executable, "-m", "ppl_parity.cli", *RUN.split(), "--resume"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet, preexec_fn=hear_sigint) as process:
        deadline = time.monotonic() + 60
        while '"kind": "gradient"' not in out.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    before = read(out)
    assert run(f"{RUN} --resume").exit_code == 0
    after = read(out)
    assert after[: len(before)] == before
    assert [r["system"] for r in before if r["kind"] == "gradient"] == ["numpyro fused"]
    assert sorted(r["system"] for r in after if r["kind"] == "gradient") == [
        "numpyro fused",
        "numpyro matmul",
    ]


def test_an_absent_device_is_an_error_and_nothing_is_measured(folder: Path) -> None:
    assert "gpu" in refused("bench kernels --cases cases.toml --systems numpyro --device gpu:7")
    assert "device" in refused("bench kernels --cases cases.toml --device tpu")


def test_a_missing_peer_and_a_missing_backend_are_named(folder: Path) -> None:
    case = '[[case]]\nkernel = "sampler"\nbackend = "stan"\nformulation = "vectorised"\nsize = "S"\n'
    (folder / "cases.toml").write_text(case + 'dtype = "float64"\n')
    result = run("bench peers --cases cases.toml --out out.jsonl --force")
    assert result.exit_code == 0, result.output
    record = read(folder / "out.jsonl")[-1]
    assert record["status"] == "missing"
    assert "'stan' is not installed" in record["why"]
    assert record["why"] in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("bench kernels --cases none.toml", "one of"),
        ("bench kernels --sizes Q", "leave none"),
        ("bench kernels --resume", "--out"),
        ("bench kernels --plots cases.toml", "folder"),
        ("bench show cases.toml", "JSON lines"),
        ("bench show cases.toml --plots cases.toml", "folder"),
        ("bench readme none.md --results cases.toml", "readable"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, command: str, words: str) -> None:
    assert words in refused(command)


def test_cases_multiply_their_lists_out_and_refuse_unknown_fields() -> None:
    table = {"kernel": "gradient", "backend": ["a", "b"], "formulation": "f", "size": ["S", "L"]}
    made = list(cases.expand(table))
    assert [(c.backend, c.N) for c in made] == [("a", 300), ("a", 100_000), ("b", 300), ("b", 100_000)]
    assert cases.Case.of_dict(made[0].as_dict()) == made[0]
    with pytest.raises(InputError, match="no field 'color'"):
        list(cases.expand(table | {"color": 1}))
    with pytest.raises(InputError, match="at least 1"):
        cases.Case("gradient", "a", "f", 0, 1, 1)


@pytest.mark.parametrize("name", sorted(path.stem for path in cases.FOLDER.glob("*.toml")))
def test_the_shipped_cases_load(name: str) -> None:
    loaded = cases.load(name)
    assert len(loaded) == len({case.key for case in loaded}) > 0


def test_the_timer_keeps_every_time_and_stops_at_its_budget() -> None:
    now = [0.0]
    lengths = iter([0.5, 0.25, 0.125, 0.5, 0.125, 0.25, 0.5, 1.0, 9.0, 9.0])

    def work() -> None:
        now[0] += next(lengths)

    times = timer.repeat(work, 2.0, clock=lambda: now[0], min_repeats=3)
    assert times == [0.25, 0.125, 0.5, 0.125, 0.25, 0.5]  # the first, 0.5, was the warm-up
    found = timer.summary([3.0, 1.0, 2.0, 10.0, 4.0], count=2)
    assert (found["median"], found["min"], found["repeats"]) == (1.5, 0.5, 5)
    assert found["q10"] == pytest.approx(0.7)


def test_the_floor_is_the_sum_of_its_three_parts() -> None:
    parts = 100_000 * 8 * 4 / 40e9 + 4 * 100_000 * 64 / 200e9 + 800_000 * 0.2e-9
    assert LIMITS.floor(100_000, 8, 8) == pytest.approx(parts)
    assert LIMITS.floor(100_000, 8, 8, chains=2) < 2 * parts  # x is read once for all


def test_identity_tells_rounding_a_constant_and_a_difference_apart() -> None:
    values, slopes = problems.expected(60, 2, 3, 8)
    assert same_values(values, values + 3.0, "float64").constant == pytest.approx(3.0)
    assert not same_values(values, values * (1 + 1e-8), "float64").same
    assert same_values(values, values * (1 + 1e-7), "float32").same
    bent = {name: slope * (1 + 1e-5) for name, slope in slopes.items()}
    assert not same_gradients((values, slopes), (values, bent), "float64", 4.0).same
    assert same_gradients((values, slopes), (values, bent), "float32", 4.0).same
    assert "gradient" in same_gradients((values, slopes), (values, bent), "float64", 4.0).why


def test_a_gradient_that_cancels_is_held_to_its_standard_deviation() -> None:
    values = np.array([-1e7, -1e7])
    expected = {"beta": np.array([[0.5, 1000.0], [0.0, 1000.0]])}  # of a million rows: a score of 350
    for gap, same in ((3e-7, True), (3e-5, True), (1e-4, False)):
        got = {"beta": expected["beta"] + np.array([[gap, 0.0], [0.0, 0.0]])}
        assert same_gradients((values, expected), (values, got), "float64", 350.0).same is same


def test_ratios_are_made_of_what_is_the_same_only() -> None:
    records = [
        gradient_record("numpyro enumerated", time=0.2),
        gradient_record("scikit-learn em", same=False),
        gradient_record("numpyro fused", time=0.002),
    ]
    headers, rows, notes = tables.gradient_rows(records)
    fused = rows[2]
    assert fused[headers.index("x faster than textbook")] == "100"
    assert fused[headers.index("x faster than EM")] == tables.NONE
    assert notes == [
        "100 x 2, K=3, scikit-learn em: not the same: the density is 1 where the reference has 2"
    ]


def test_the_readme_s_tables_are_a_function_of_the_records(tmp_path: Path) -> None:
    run_record = {
        "schema": SCHEMA,
        "kind": "run",
        "key": "r",
        "machine": {
            "name": "a named machine",
            "cores": 2,
            "instructions": ["avx2"],
            "versions": {"jax": "0.10.2"},
            "load_average": 0.1,
            "date": "2026-01-01 00:00 UTC",
        },
    }
    file, page, every = tmp_path / "machine.jsonl", tmp_path / "README.md", tmp_path / readme.MEASUREMENTS
    every.parent.mkdir()

    def written(time: float) -> str:
        file.write_text("".join(json.dumps(r) + "\n" for r in (run_record, gradient_record(time=time))))
        readme.update(page, [file])
        return every.read_text()

    for one in (page, every):
        one.write_text(f"before\n{readme.BEGIN}\ntyped by hand\n{readme.END}\nafter\n")
    first = written(0.002)
    for text in (first, page.read_text()):
        assert text.startswith("before\n")
        assert text.endswith("after\n")
        assert "typed" not in text
        assert "a named machine" in text
    assert "2 ms" in first
    assert "over the machine's floor" in page.read_text()
    assert written(0.002) == first
    assert "3 ms" in written(0.003)
    page.write_text("no markers")
    with pytest.raises(InputError, match="markers"):
        readme.update(page, [file])


def test_a_target_is_reached_or_not_or_not_measured() -> None:
    assert Target("a over b", "L", 50, 0.12, 0.002).cell == "60 (>= 50) yes"
    assert Target("a over b", "L", 50, 0.08, 0.002).cell == "40 (>= 50) **no**"
    assert Target("a over floor", "L", 2, 0.003, 0.002, at_most=True).cell == "1.5 (<= 2) yes"
    assert Target("a over floor", "L", 2, 0.005, 0.002, at_most=True).cell == "2.5 (<= 2) **no**"
    assert Target("a over b", "L", 50, None, 0.002).cell == "- (>= 50)"


def test_targets_compare_like_with_like() -> None:
    """At L in float32: EM 0.2 s, fused 0.002 s; another precision or size counts for nothing."""
    big = {"N": 100_000, "D": 8, "K": 8}
    records = [
        gradient_record("scikit-learn em", time=0.2, **big),
        gradient_record("numpyro fused", time=0.002, **big),
        gradient_record("numpyro fused", time=0.5, dtype="float64", **big),
    ]
    headers, rows, _ = target_rows(records)
    cells = {row[0]: row[headers.index("L")] for row in rows}
    assert cells["an EM iteration of scikit-learn over numpyro fused"] == "100 (>= 50) yes"
    assert cells["numpyro textbook over numpyro fused, a gradient"] == "- (>= 150)"


COMMAND = """
[[case]]
kernel = "command"
backend = "numpyro"
formulation = "fused"
N = 40
D = 2
K = 2
dtype = "float64"
options = { num_draws = 20, OPTION }
"""


@pytest.mark.long
def test_the_whole_command_is_timed_in_new_processes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.commands.REPEATS", 1)
    Path("cases.toml").write_text(COMMAND.replace(", OPTION", ""))
    result = run("bench samplers --cases cases.toml --out new.jsonl")
    assert result.exit_code == 0, result.output
    record = read(Path("new.jsonl"))[-1]
    assert record["command"].endswith("--num-chains 1 --num-draws 20 --out fit.nc --force")
    assert min(*record["raw"]["first"], *record["raw"]["second"]) > 0
    assert tables.command_rows([record])[1][0][1] == "numpyro fused, float64, 20 draws a chain"
    assert not Path("fit.nc").exists()  # it was in a folder of its own


def test_a_command_that_is_refused_is_a_record_that_says_why(folder: Path) -> None:
    Path("cases.toml").write_text(COMMAND.replace("OPTION", "max_tree_depth = 0"))
    result = run("bench samplers --cases cases.toml --out new.jsonl")
    assert result.exit_code == 0, result.output
    record = read(Path("new.jsonl"))[-1]
    assert record["status"] == "missing"
    assert "max_tree_depth" in record["why"]
    assert tables.command_rows([record])[1][0][2] == "missing"


def test_the_seconds_of_a_command_are_a_target() -> None:
    case = cases.Case(
        "command", "numpyro", "fused", *cases.SIZES["S"], "float64", options=(("num_draws", 300),)
    )
    record = {
        "kind": "command",
        "key": case.key,
        "case": case.as_dict(),
        "size": "S",
        "status": "ok",
        "first_seconds": 2.5,
        "second_seconds": 1.6,
    }
    headers, rows, _ = target_rows([record])
    cells = {row[0]: row[headers.index("S")] for row in rows}
    assert cells["seconds of the first command fit numpyro, whole"] == "2.5 (<= 3) yes"
    assert cells["seconds of the second command fit numpyro, whole"] == "1.6 (<= 1.5) **no**"


def test_records_of_another_schema_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"schema": "other"}\n')
    with pytest.raises(InputError, match="not a result"):
        read(tmp_path / "a.jsonl")
    recorder = Recorder(tmp_path / "b.jsonl")
    recorder.add({"kind": "run", "key": "r", "value": np.float64(np.nan), "array": np.arange(2)})
    assert read(tmp_path / "b.jsonl")[0]["array"] == [0, 1]
    assert read(tmp_path / "b.jsonl")[0]["value"] is None


@pytest.mark.parametrize(
    ("news", "said"),
    [
        ({"kind": "sampler", "cold_seconds": 3.21, "warm_seconds": 0.5}, "3.2 s cold, 0.50 s warm"),
        ({"kind": "gradient", "summary": {"loop": {"median": 2e-3}}}, "2 ms a gradient"),
        ({"kind": "command", "first_seconds": 2.31, "second_seconds": 1.37}, "2.3 s, then 1.4 s"),
        ({"kind": "sampler", "status": "missing", "why": "install a[b]"}, "missing: install a[b]"),
    ],
)
def test_each_record_is_told_in_a_line(news: dict[str, Any], said: str) -> None:
    screen, text = console.screen(), io.StringIO()
    screen.file = text
    _teller(screen)({"status": "ok", **news})
    assert text.getvalue() == said + "\n"


def test_help_keeps_the_name_of_an_extra() -> None:
    assert "'ppl-parity[peers]'" in run("bench peers --help").stdout


@pytest.mark.long
def test_the_picture_of_precisions_holds_its_markers_and_words(tmp_path: Path) -> None:
    lines = (readme.RESULTS / "precision" / "zen4-2-cores.jsonl").read_text().splitlines()
    precision.plot([json.loads(line) for line in lines], tmp_path / "precision.png")
    import matplotlib.pyplot as plt

    figure = plt.gcf()
    figure.draw_without_rendering()
    for axes in figure.axes:
        frame = axes.get_window_extent()
        for line in axes.get_lines()[: len(precision.NAMES)]:
            tops = axes.transData.transform(np.column_stack(line.get_data()))[:, 1]
            assert tops.max() + figure.dpi / 72 * line.get_markersize() / 2 < frame.y1
        assert all(text.get_window_extent().y1 < frame.y1 - 2 for text in axes.texts)
    plt.close(figure)
