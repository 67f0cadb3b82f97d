"""The GPU benchmark's logic on a CPU, with few rows; what only a GPU can show is not tested here."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import child, children, doors, measuring, plan, tables, verdicts
from benchmarks.gpu.measuring import Bench, Timed
from benchmarks.gpu.problem import problem

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


def test_the_kernel_comes_first_and_both_devices_share_sizes() -> None:
    order = [(t["stage"], t["device"]) for t in plan.tasks("gpu", tiny=False, samplers=True)]
    stages = [stage for stage, _ in dict.fromkeys(order)]
    assert stages == ["limits", "kernel", "samplers", "samplers", "kernel", "others", "large"]
    first = next(t for t in plan.tasks("gpu", False, True) if t["stage"] == "kernel")
    gpu, cpu = first["cases"], plan.cases("cpu", "kernel", False) + plan.cases("cpu", "large", False)
    assert cpu
    assert all(case in gpu for case in cpu)
    assert {case["formulation"] for case in gpu} == {"kernel"}
    others = {case["formulation"] for case in plan.cases("gpu", "others", False)}
    assert others == {"array", "matmul", "expanded"}
    assert max(case["N"] for case in gpu) == 200_000_000
    assert max(case["N"] for case in plan.cases("gpu", "kernel", True)) == plan.TINY["N"]
    assert {t["device"] for t in plan.tasks("cpu", False, True)} == {"cpu"}
    assert "limits" in {t["stage"] for t in plan.tasks("cpu", True, False)}


def test_the_crossover_is_between_the_rows_that_were_measured() -> None:
    gpu = {1000: 1e-4, 10_000: 1e-4, 100_000: 2e-4}
    cpu = {1000: 1e-5, 10_000: 1e-4, 100_000: 1e-3, 10**6: 1e-2}
    assert tables.crossover(gpu, cpu) == pytest.approx(10_000)
    assert tables.crossover({1000: 1.0}, {1000: 0.5}) is None
    assert tables.crossover({1000: 0.5}, {1000: 1.0}) == 0.0
    assert tables.crossover({100: 1e-4, 10_000: 1e-4}, {100: 1e-5, 10_000: 1e-3}) == pytest.approx(1000)


def test_tables_tell_the_bandwidth_and_what_was_left_out() -> None:
    case = {**SMALL, **HEAD, "kind": "gradient", "formulation": "kernel"}
    records = [
        {"kind": "limit", "name": "copy", "rate": 4.8e3, **HEAD},
        {"kind": "limit", "name": "matmul", "rate": 57_600.0, **HEAD},
        {**case, "status": "ok", "way": "CUDA graph", "loop": [2.0, 1.0], "single": [3.0]},
        {**case, "N": 7, "status": "failed", "why": "a reason\nand more"},
        {**case, "N": 8, "status": "not the same", "errors": [0.5, 0.0, 0.0]},
        {"kind": "left out", "why": "no torch", **HEAD, "library": "torch"},
    ]
    text = tables.text(records)
    assert "1 s" in text
    assert "1.33" in text  # 3,600 bytes of x at 4.8 kB/s are 0.75 s
    assert "50%" in text  # 28,800 operations in 1 s
    assert "CUDA graph" in text
    assert "Left out: torch on gpu, kernel: no torch" in text
    assert "off by 0.5, 0, 0" in text
    assert "a reason" in text
    assert "and more" not in text


def gradient(device: str, N: int, seconds: float, D: int = 8, K: int = 8, chains: int = 1) -> dict[str, Any]:
    size = {"N": N, "D": D, "K": K, "chains": chains, "formulation": "kernel", "way": "calls"}
    times = {"status": "ok", "loop": [seconds], "single": [seconds]}
    return {"kind": "gradient", **HEAD, "device": device, **size, **times}


def test_the_crossover_names_the_kernel_of_the_cpu() -> None:
    kernel = {"kind": "library", **HEAD, "device": "cpu", "kernel": "array program: no compiler"}
    records = [kernel, gradient("gpu", 10**6, 1e-5), gradient("cpu", 10**6, 1e-3)]
    records += [gradient("gpu", 131_072, 1e-2, 64, 32), gradient("cpu", 131_072, 1e-3, 64, 32)]
    text = tables.text(records)
    assert "D = 8, K = 8, one chain: the GPU is faster than the CPU (array program) at every N" in text
    assert "D = 64, K = 32, one chain: the GPU is faster than the CPU (array program) at no N" in text
    assert "jax on the CPU: array program: no compiler" in text


def test_targets_are_reached_or_not_or_not_measured() -> None:
    limits = [
        {"kind": "limit", "name": "copy", "rate": 3.2e12, **HEAD},
        {"kind": "limit", "name": "matmul", "rate": 50e12, **HEAD},
    ]
    one = [gradient("gpu", 10**7, 1.4e-4), gradient("gpu", 10**8, 1.6e-3)]  # x is read in 1e-4 and 1e-3 s
    many = [gradient("gpu", 10**6, 16384e6 / 25e12, chains=64), gradient("gpu", 1 << 22, 1.0, 64, 32)]
    sampled = [
        {"kind": "nuts", **HEAD, "device": device, "status": "ok", "ess_per_second": found}
        for device, found in (("gpu", 100.0), ("cpu", 4.0))
    ]
    assert [row[-1] for row in verdicts.rows([*limits, *one, *many, *sampled])] == [
        *("yes", "no"),
        *("yes", "no"),
        "yes",
    ]
    failed = {**one[0], "status": "failed", "why": "x"}
    assert [row[-1] for row in verdicts.rows([*limits, failed])] == ["not measured"] * 2
    assert [row[-1] for row in verdicts.rows([])] == ["not measured"] * 2


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


LIBRARIES = pytest.mark.parametrize("library", ["jax", pytest.param("torch", marks=pytest.mark.pyro)])


@contextmanager
def made(library: str) -> Any:
    """A library on the CPU, with float64 beside float32."""
    import jax

    with jax.enable_x64(True) if library == "jax" else nullcontext():
        yield importlib.import_module(f"benchmarks.gpu.on_{library}").Library("cpu")


@LIBRARIES
def test_all_formulations_are_the_same_function_on_a_cpu(library: str) -> None:
    with made(library) as on:
        bench = Bench(on)
        for formulation in ("kernel", "array", "matmul", "expanded"):
            result = bench.measure({**SMALL, "formulation": formulation}, 0.01)
            assert result["status"] == "ok", result
            assert len(result["loop"]) >= 1


@LIBRARIES
def test_the_judge_adds_up_over_chunks(library: str) -> None:
    centres, points = problem(3, 4, 2)
    with made(library) as on:
        given = (*on.points(points), on.rows(centres, 300))
        parts = [on.judge(given, start, rows) for start, rows in ((0, 200), (200, 100))]
        for whole, *terms in zip(on.judge(given, 0, 300), *parts, strict=True):
            np.testing.assert_allclose(sum(terms), whole, rtol=1e-12, atol=1e-10)


def test_a_loop_of_known_length_lies_within_one_of_open_length() -> None:
    centres, points = problem(3, 4, 2)
    with made("jax") as on:
        on.device = "gpu"
        given = (*on.points(points), on.rows(centres, 300))
        timed = on.timed("array", given)
        assert [timed.many(count) for count in (1, 2, 17, 18)] == [1, 17, 17, 33]
        compiled = on._program("array", given)[0].lower(given, 0).compile().as_text()
        assert re.search(r'known_trip_count"?:\{"n":"16"\}', compiled)


def test_nuts_takes_as_many_chains_as_there_is_time_for() -> None:
    from benchmarks.gpu import nuts

    assert [nuts.affordable(16, seconds, 1.0) for seconds in (2.0, 1.0, 0.5, 1e-9)] == [16, 16, 8, 2]
    sizes = {"N": 2_000, "D": 2, "K": 3, "chains": 2, "num_warmup": 60, "num_draws": 20}
    with made("jax") as on:
        found = nuts.measure(on, sizes, 60.0)
    assert (found["status"], found["chains"]) == ("ok", 2)
    assert found["leapfrogs_per_draw"] >= 1
    assert 0.5 < found["acceptance"] <= 1


@pytest.mark.pyro
def test_without_a_graph_torch_is_timed_by_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.gpu import graphs

    centres, points = problem(3, 4, 2)
    stream = object()
    set_back: list[Any] = []

    def refused() -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    cuda = SimpleNamespace(current_stream=lambda: stream, set_stream=set_back.append, Stream=refused)
    monkeypatch.setattr(graphs, "cuda", cuda)
    with made("torch") as on:
        given = (*on.points(points), on.rows(centres, 300))
        on.device, on._wait = "gpu", lambda result: result
        timed = on.timed("array", given)
        assert (timed.way, timed.many(3)) == ("calls", 3)
        assert "not permitted" in timed.note
        assert set_back == [stream]


@pytest.mark.pyro
def test_a_graph_is_warmed_up_recorded_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.gpu import graphs

    centres, points = problem(3, 4, 2)
    said: list[str] = []
    cuda = SimpleNamespace(
        current_stream=lambda: SimpleNamespace(wait_stream=lambda other: said.append("back")),
        Stream=lambda: SimpleNamespace(wait_stream=lambda other: said.append("side")),
        stream=lambda side: nullcontext(),
        CUDAGraph=lambda: SimpleNamespace(replay=lambda: said.append("replay")),
        graph=lambda graph: nullcontext(said.append("record")),
        synchronize=lambda: None,
    )
    monkeypatch.setattr(graphs, "cuda", cuda)
    with made("torch") as on:
        given = (*on.points(points), on.rows(centres, 300))
        on.device, on._wait = "gpu", lambda result: result
        timed = on.timed("array", given)
        assert (timed.way, timed.note, timed.many(2)) == ("CUDA graph", "", 2)
    assert said == ["side", "back", "record", *["replay"] * 3]


@pytest.mark.filterwarnings("ignore:.*Pallas.*")
@pytest.mark.parametrize("kind", ["loop", "nuts"])
def test_programs_lower_for_a_gpu_with_x_as_an_argument(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    from benchmarks.gpu import nuts

    monkeypatch.setenv("PPL_PARITY_GPU_KERNEL", "kernel")
    centres, points = problem(8, 8, 2)
    with made("jax") as on:
        on.device = "gpu"
        x = on.rows(centres, 50_000)
        if kind == "loop":
            given = (*on.points(points), x)
            program, arguments = on._program("kernel", given)[0], (given, 0)
        else:
            program = nuts.programs(on, centres, {"N": 50_000, "num_warmup": 4, "num_draws": 4})[0]
            arguments = (jax.random.split(jax.random.key(1), 2), np.zeros((2, 72)), x)
        text = program.trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()
    assert "mixture_lanes" in text
    assert (
        "ppl_parity_mixture" not in text
    )  # the native kernel, which a GPU's process would compile for nothing
    assert len(text) < 4 * x.size  # nor is x written into it
