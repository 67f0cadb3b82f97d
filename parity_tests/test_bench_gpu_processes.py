"""The GPU benchmark's processes: what hangs, dies or prints leaves the others, and what was measured."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import child, children
from parity_tests.test_bench_gpu import TASK
from parity_tests.test_bench_gpu_tables import gradient


def fake_child(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A package in place of the real one, whose ``child`` is ``text``."""
    package = folder / "benchmarks" / "gpu"
    package.mkdir(parents=True)
    for init in (package, package.parent):
        (init / "__init__.py").write_text("")
    (package / "child.py").write_text(text)
    monkeypatch.setattr(children, "ROOT", folder)


def test_stray_output_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = ["a library says hello", "[1]", json.dumps({"kind": "library"}), '{"kind": "gra']
    fake_child(tmp_path, monkeypatch, f"print({chr(10).join(printed)!r}); raise SystemExit(3)")
    records: list[dict[str, Any]] = []
    children.run({**TASK, "cases": []}, records.append, 60.0)
    assert [r["kind"] for r in records] == ["library", "left out"]
    assert records[0]["stage"] == "kernel"
    assert records[1]["why"] == "its process ended with 3"


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_child(
        tmp_path, monkeypatch, 'print(\'{"kind": "library"}\', flush=True)\nimport time; time.sleep(60)'
    )
    records: list[dict[str, Any]] = []
    children.run({**TASK, "cases": []}, records.append, 1.0)
    assert records[-1]["why"] == "its process was ended after 1 s"


def test_what_a_library_prints_is_no_result(capfd: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def loud(task: Any, emit: Any) -> None:
        print("in Python")
        os.write(1, b"in C\n")
        emit({"kind": "library"})

    monkeypatch.setattr(child, "run", loud)
    monkeypatch.setattr(child.sys, "stdout", child.sys.stdout)
    before = os.dup(1)
    try:
        child.main("{}")
    finally:
        os.dup2(before, 1)
        os.close(before)
    out, err = capfd.readouterr()
    assert out == '{"kind": "library"}\n'
    assert "in C" in err


def test_the_environment_of_a_child_is_the_users_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPL_PARITY_GPU_KERNEL", "array")
    task = {**TASK, "stage": "samplers"}
    assert children.environment(task)["PPL_PARITY_GPU_KERNEL"] == "array"
    monkeypatch.delenv("PPL_PARITY_GPU_KERNEL")
    assert children.environment(task)["PPL_PARITY_GPU_KERNEL"] == "kernel"
    assert "PPL_PARITY_GPU_KERNEL" not in children.environment(TASK)
    assert children.environment(task)["JAX_PLATFORMS"] == "cpu"


def test_tables_are_written_when_the_command_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(task: Any, keep: Any, most: float) -> None:
        keep(gradient("gpu", 10**7, 1e-4))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(children, "run", ended)
    with pytest.raises(SystemExit) as found:
        command.main(["--out", str(tmp_path)])
    assert found.value.code == 143
    assert "10,000,000" in (tmp_path / "tables.txt").read_text()


def test_one_end_cuts_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(
        command, "time", SimpleNamespace(monotonic=lambda: clock[0], strftime=str, gmtime=str)
    )
    monkeypatch.setattr(command, "_machine", dict)

    def slow(task: Any, keep: Any, most: float) -> None:
        assert task["seconds"] <= most
        clock[0] += most

    monkeypatch.setattr(children, "run", slow)
    assert command.main(["--out", str(tmp_path)]) == 0
    assert 450 < clock[0] <= command.SECONDS
    left = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert {r["why"] for r in left if r["kind"] == "left out"} == {"no time left"}


@pytest.mark.long
def test_an_absent_gpu_is_an_error_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import jax

    if any(device.platform != "cpu" for device in jax.devices()):
        pytest.skip("There is a GPU here.")
    assert command.main(["--out", str(tmp_path), "--tiny", "--no-samplers"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("The device 'gpu' must be there; jax: ")
    assert (tmp_path / "results.jsonl").read_text().count("left out") == 2
