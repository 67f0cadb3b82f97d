"""The GPU benchmark's plan, tables and verdicts, from records made up."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.gpu import plan, tables, verdicts

SMALL = {"N": 300, "D": 3, "K": 4, "chains": 2}
HEAD = {"library": "jax", "device": "gpu", "stage": "kernel"}


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
