"""JAX and torch under the GPU benchmark, on a CPU; what only a GPU can show is not tested here."""

from __future__ import annotations

import importlib
import re
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import doors
from benchmarks.gpu.measuring import Bench
from benchmarks.gpu.problem import problem
from parity_tests.gpu_doors import lowered_for_cuda

SMALL = {"N": 300, "D": 3, "K": 4, "chains": 2}


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


@pytest.mark.long
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


@pytest.mark.long
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
        text = lowered_for_cuda(program, *arguments).as_text()
    assert "mixture_lanes" in text
    assert (
        "ppl_parity_mixture" not in text
    )  # the native kernel, which a GPU's process would compile for nothing
    assert len(text) < 4 * x.size  # nor is x written into it
