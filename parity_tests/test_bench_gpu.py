"""The GPU benchmark's logic on a CPU, with few rows; what only a GPU can show is not tested here."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import child, doors, tables

TASK = {
    "library": "jax",
    "device": "cpu",
    "seconds": 60.0,
    "case_seconds": 0.01,
    "scale": 1 / 65536,
    "samplers": {},
}
SMALL = {"N": 300, "D": 3, "K": 4, "chains": 2}


def run(monkeypatch: pytest.MonkeyPatch, library: Any, **task: Any) -> list[dict[str, Any]]:
    """What a child would write, with ``library`` in place of the real one."""
    monkeypatch.setattr(child, "importlib", SimpleNamespace(import_module=lambda _: library))
    records: list[dict[str, Any]] = []
    child.run({**TASK, **task}, records.append)
    return [json.loads(json.dumps(record)) for record in records]


class Numbers:
    """A library whose formulations are the right answer, a wrong one, and none."""

    def __init__(self, device: str) -> None:
        if device == "gpu":
            raise LookupError("a library sees no GPU")

    settle = staticmethod(lambda: None)
    Library = classmethod(lambda cls, device: cls(device))

    def describe(self) -> dict[str, Any]:
        return {"versions": {}}

    def free_bytes(self) -> float:
        return 1e9

    def limits(self, scale: float) -> dict[str, Any]:
        return {"copy": (lambda: None, 8.0)}

    def problem(self, centres: np.ndarray, points: Any, N: int) -> Any:
        return (*points, np.ones((N, centres.shape[1])))

    def reference(self, given: Any, rows: int) -> Any:
        return np.full(2, float(rows)), np.ones((2, 4)), np.ones((2, 4, 3))

    def evaluate(self, formulation: str, given: Any) -> Any:
        if formulation == "expanded":
            raise MemoryError("too much")
        value, n, slope = self.reference(given, len(given[2]))
        return value, n, slope * (1.01 if formulation == "matmul" else 1)

    def timed(self, formulation: str, given: Any) -> Any:
        return lambda: None, lambda count: None


def test_what_is_not_the_same_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [{**SMALL, "formulation": f} for f in ("kernel", "matmul", "expanded")]
    cases.append({**SMALL, "N": 10**9, "formulation": "kernel"})
    records = run(monkeypatch, Numbers, cases=cases)
    gradients = [r for r in records if r["kind"] == "gradient"]
    assert [r["status"] for r in gradients] == ["ok", "not the same", "failed", "does not fit"]
    assert ["loop" in r for r in gradients] == [True, False, False, False]
    assert gradients[2]["why"] == "MemoryError: too much"


def test_what_there_was_no_time_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    records = run(monkeypatch, Numbers, cases=[{**SMALL, "formulation": "kernel"}], seconds=-1.0)
    assert records[-1]["status"] == "no time left"


def test_a_library_without_the_device_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, Numbers, cases=[], device="gpu") == [
        {"kind": "left out", "why": "a library sees no GPU"}
    ]


def test_a_nan_is_no_agreement() -> None:
    assert child.relative([np.array([np.nan])], [np.ones(1)]) == [1e300]
    assert child.relative([np.array([1.0, 2.0])], [np.array([1.0, 4.0])]) == [0.5]


def test_every_case_names_a_formulation_and_both_devices_share_sizes() -> None:
    gpu, cpu = (command.cases(device, tiny=False) for device in ("gpu", "cpu"))
    assert {case["formulation"] for case in gpu} == {"kernel", "array", "matmul", "expanded"}
    assert cpu
    assert all(case in gpu for case in cpu)
    assert max(case["N"] for case in gpu) == 200_000_000
    assert max(case["N"] for case in command.cases("gpu", tiny=True)) == command.TINY["N"]


def test_the_crossover_is_between_the_rows_that_were_measured() -> None:
    gpu = {1000: 1e-4, 10_000: 1e-4, 100_000: 2e-4}
    cpu = {1000: 1e-5, 10_000: 1e-4, 100_000: 1e-3, 10**6: 1e-2}
    assert tables.crossover(gpu, cpu) == pytest.approx(10_000)
    assert tables.crossover({1000: 1.0}, {1000: 0.5}) is None
    assert tables.crossover({1000: 0.5}, {1000: 1.0}) == 0.0
    assert tables.crossover({100: 1e-4, 10_000: 1e-4}, {100: 1e-5, 10_000: 1e-3}) == pytest.approx(1000)


def test_tables_tell_the_bandwidth_and_what_was_left_out() -> None:
    head = {"library": "jax", "device": "gpu"}
    case = {**SMALL, "kind": "gradient", "formulation": "kernel"}
    records = [
        {"kind": "limit", "name": "copy", "rate": 4.8e3, **head},
        {"kind": "limit", "name": "matmul", "rate": 57_600.0, **head},
        {**case, **head, "status": "ok", "loop": [2.0, 1.0], "single": [3.0]},
        {**case, **head, "N": 7, "status": "failed", "why": "a reason\nand more"},
        {"kind": "left out", "library": "torch", "device": "gpu", "why": "no torch"},
    ]
    text = tables.text(records)
    assert "1 s" in text
    assert "1.33" in text  # 3,600 bytes of x at 4.8 kB/s are 0.75 s
    assert "50 %" in text  # 28,800 operations in 1 s
    assert "Left out: torch on gpu: no torch" in text
    assert "a reason" in text
    assert "and more" not in text


def test_an_absent_gpu_is_an_error_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import jax

    if any(device.platform != "cpu" for device in jax.devices()):
        pytest.skip("There is a GPU here.")
    assert command.main(["--out", str(tmp_path), "--tiny", "--no-samplers"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("The device 'gpu' must be there; jax: ")
    assert (tmp_path / "results.jsonl").read_text().count("left out") == 2


def test_the_front_door_stays_shut() -> None:
    import sys

    import numpyro_impl

    assert doors.kernels("numpyro_impl") is sys.modules["numpyro_impl.kernels"]
    assert sys.modules["numpyro_impl"] is numpyro_impl


@pytest.mark.parametrize("library", ["jax", pytest.param("torch", marks=pytest.mark.pyro)])
def test_all_formulations_are_the_same_function_on_a_cpu(library: str) -> None:
    module = importlib.import_module(f"benchmarks.gpu.on_{library}")
    with precision(library):
        made = module.Library("cpu")
        for formulation in ("kernel", "array", "matmul", "expanded"):
            result = child.measure(made, {**SMALL, "formulation": formulation}, 0.01)
            assert result["status"] == "ok", result
            assert len(result["loop"]) >= 1


def precision(library: str) -> Any:
    """Float64 beside float32, for a block."""
    from contextlib import nullcontext

    import jax

    return jax.enable_x64(True) if library == "jax" else nullcontext()
