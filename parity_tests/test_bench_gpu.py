"""The GPU benchmark's own logic on a CPU: what is shown before it is timed, and what is said of the rest."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import child, measuring, tables
from benchmarks.gpu.measuring import Bench, Timed

TASK = {
    "stage": "kernel",
    "library": "jax",
    "device": "cpu",
    "seconds": 60.0,
    "case_seconds": 0.01,
    "scale": 1 / 65536,
}


SMALL = {"N": 300, "D": 3, "K": 4, "chains": 2}
HEAD = {"library": "jax", "device": "gpu", "stage": "kernel"}


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
        self.made: list[int] = []
        self.judged: list[tuple[int, int]] = []

    settle = staticmethod(lambda: None)
    Library = classmethod(lambda cls, device: cls(device))

    def describe(self) -> dict[str, Any]:
        return {"versions": {}, "kernel": "array program: no compiler"}

    def free_bytes(self) -> float:
        return 1e9

    def limits(self, scale: float) -> dict[str, Any]:
        def refused() -> Any:
            raise RuntimeError("no room")

        return {"copy": refused, "matmul": lambda: (lambda: None, 8.0)}

    def rows(self, centres: np.ndarray, N: int) -> Any:
        self.made.append(N)
        return np.ones((N, centres.shape[1]))

    def points(self, points: Any) -> Any:
        return points

    def judge(self, given: Any, start: int, rows: int) -> Any:
        self.judged.append((start, rows))
        C, K, D = given[1].shape
        return np.full(C, float(rows)), np.full((C, K), float(rows)), np.full((C, K, D), float(rows))

    def evaluate(self, formulation: str, given: Any) -> Any:
        if formulation == "expanded":
            raise MemoryError("too much")
        if formulation == "array":
            raise ValueError("a refusal")
        C, K, D = given[1].shape
        N = float(len(given[2]))
        return (
            np.full(C, N),
            np.full((C, K), N),
            np.full((C, K, D), N * (2 if formulation == "matmul" else 1)),
        )

    def timed(self, formulation: str, given: Any) -> Any:
        return Timed(lambda: None, lambda count: count, "calls")


def test_what_is_not_the_same_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [{**SMALL, "formulation": f} for f in ("kernel", "matmul", "expanded", "array")]
    cases.append({**SMALL, "N": 10**9, "formulation": "kernel"})
    records = run(monkeypatch, Numbers, cases=cases)
    gradients = [r for r in records if r["kind"] == "gradient"]
    expected = ["ok", "not the same", "does not fit", "failed", "does not fit"]
    assert [r["status"] for r in gradients] == expected
    assert ["loop" in r for r in gradients] == [True, False, False, False, False]
    assert gradients[2]["why"] == "MemoryError: too much"


@pytest.mark.parametrize(("formulation", "status"), [("kernel", "not the same"), ("array", "ok")])
def test_only_a_librarys_sums_may_be_rough(
    formulation: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rough(self: Any, formulation: str, given: Any) -> Any:
        value, n, slope = self.judge(given, 0, len(given[2]))
        return value, n, 1.008 * slope

    monkeypatch.setattr(Numbers, "evaluate", rough)
    result = Bench(Numbers("cpu")).measure({**SMALL, "formulation": formulation}, 0.01)
    assert result["status"] == status
    assert result.get("note") == ("its float32 sums leave the slope off by 0.008" if status == "ok" else None)


@pytest.mark.parametrize(
    ("N", "chunks"),
    [(300, [300]), (2_000_000, [1_000_000] * 2), (3 << 20, [1 << 20] * 3), (1_500_000, [1 << 20, 451_424])],
)
def test_all_rows_are_judged_in_chunks(N: int, chunks: list[int]) -> None:
    library = Numbers("cpu")
    case = {"N": N, "D": 2, "K": 3, "chains": 1, "formulation": "kernel"}
    assert Bench(library).measure(case, 0.01)["errors"] == [0.0, 0.0, 0.0]
    assert [rows for _, rows in library.judged] == chunks
    assert [start for start, _ in library.judged] == [sum(chunks[:i]) for i in range(len(chunks))]


def test_cases_share_their_data_and_their_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Numbers("cpu")
    bench = Bench(library)
    for chains, formulation in ((2, "kernel"), (1, "kernel"), (2, "matmul")):
        bench.measure({**SMALL, "chains": chains, "formulation": formulation}, 0.01)
    assert library.made == [300]
    assert library.judged == [(0, 300)] * 2
    monkeypatch.setattr(measuring, "KEPT_BYTES", 1.0)
    for N in (301, 300):
        bench.measure({**SMALL, "N": N, "formulation": "kernel"}, 0.01)
    assert library.made == [300, 301, 300]


def test_a_limit_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    records = run(monkeypatch, Numbers, stage="limits", cases=[])
    assert records[1] == {"kind": "left out", "why": "copy: RuntimeError: no room"}
    assert (records[2]["kind"], records[2]["name"]) == ("limit", "matmul")


def test_nuts_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.gpu import nuts

    def refuse(library: Any, sizes: Any, seconds: float) -> Any:
        raise TypeError("another numpyro")

    monkeypatch.setattr(nuts, "measure", refuse)
    record = run(monkeypatch, Numbers, stage="samplers", samplers={"chains": 2}, cases=[])[-1]
    kernel, why = "array program: no compiler", "TypeError: another numpyro"
    assert record == {"kind": "nuts", "kernel": kernel, "chains": 2, "status": "failed", "why": why}
    assert "NUTS on gpu: TypeError" in tables.text([{**record, **HEAD}])


def test_what_there_was_no_time_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    records = run(monkeypatch, Numbers, cases=[{**SMALL, "formulation": "kernel"}], seconds=-1.0)
    assert records[-1]["status"] == "no time left"


def test_a_library_without_the_device_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "LookupError: a library sees no GPU"
    assert run(monkeypatch, Numbers, cases=[], device="gpu") == [
        {"kind": "left out", "why": why, "absent": True}
    ]


def test_differences_are_relative_and_a_nan_is_none_to_speak_of() -> None:
    pairs = [np.array([np.nan]), np.array([1.0, 2.0]), np.array([0.5])]
    expected = [np.ones(1), np.array([1.0, 4.0]), np.array([0.1])]
    assert measuring.relative(pairs, expected, 4.0) == [1e300, 0.5, pytest.approx(0.1)]
