"""The doctor: each fault that it looks for is seen when it is there, and not when it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppl_parity import cores, native
from ppl_parity.cli.app import app
from ppl_parity.doctor import backends, machine, packages, probes, settings

GIB = 2**30
HEALTHY = {"devices": ["cpu"], "float64": "float64", "flushes": False, "tf32": "", "kernel": "native, AVX2"}


@pytest.mark.parametrize(
    ("check", "status", "words"),
    [
        (machine.cores(2, 2, None), "ok", "All 2 cores"),
        (machine.cores(16, 16, 2.0), "warning", "OMP_NUM_THREADS=2"),
        (machine.load(0.2, 2), "ok", "0.2"),
        (machine.load(4.6, 2), "warning", "other programs"),
        (machine.governor([]), "ok", "does not say"),
        (machine.governor(["performance"]), "ok", "performance"),
        (machine.governor(["powersave", "performance"]), "warning", "powersave"),
        (machine.turbo("0", ""), "ok", "Turbo is on"),
        (machine.turbo("1", ""), "ok", "Turbo is off"),
        (machine.clock("tsc", 1e-9), "ok", "tsc"),
        (machine.clock("hpet", 1e-9), "warning", "hpet"),
        (machine.clock("tsc", 1e-2), "problem", "too coarse"),
        (machine.memory({"MemAvailable": 8 * GIB}), "ok", "8.0 GiB"),
        (machine.memory({"MemAvailable": GIB}), "warning", "1.0 GiB"),
        (
            machine.memory({"MemAvailable": 8 * GIB, "SwapTotal": 4 * GIB, "SwapFree": GIB}),
            "warning",
            "3.0 GiB",
        ),
        (settings.threads({}, 4), "ok", "No variable"),
        (settings.threads({"OMP_NUM_THREADS": "64"}, 4), "warning", "more than"),
        (settings.threads({"MKL_NUM_THREADS": "1"}, 4), "warning", "idle"),
        (settings.xla_flags(""), "ok", "not set"),
        (settings.xla_flags("--xla_cpu_enable_fast_math=true"), "problem", "fast_math"),
        (settings.xla_flags("--xla_cpu_enable_fast_math=false"), "ok", "fast_math"),
        (settings.xla_flags("--xla_cpu_multi_thread_eigen=false"), "warning", "one thread"),
        (settings.x64("1"), "warning", "JAX_ENABLE_X64=1"),
        (settings.x64(None), "ok", "not set"),
        (settings.inexact({"NVIDIA_TF32_OVERRIDE": "1"}), "problem", "TF32"),
        (settings.inexact({"NVIDIA_TF32_OVERRIDE": "0"}), "ok", "No variable"),
        (settings.denormals(), "ok", "kept"),
        (packages.known({"numpyro": "0.21.0"}), "warning", "validate"),
        (packages.known({"numpyro": "0.22.0"}), "ok", "No installed version"),
        (packages.known({"pyro-ppl": "1.8.6"}), "problem", "current torch"),
        (backends.scatter({}), "ok", "not here"),
        (backends.scatter({"jaxlib": "0.10.2", "scatter_ratio": None}), "ok", "sees no GPU"),
        (backends.scatter({"jaxlib": "0.11.1", "scatter_ratio": None}), "ok", "is not one"),
        (backends.scatter({"jaxlib": "0.11.0", "scatter_ratio": 150.0}), "problem", "38806"),
        (backends.scatter({"jaxlib": "0.10.2", "scatter_ratio": 1.5}), "ok", "1.5 times"),
        (backends.gpus({"numpyro": HEALTHY, "pyro": HEALTHY}, []), "ok", "no GPU"),
        (backends.gpus({"numpyro": HEALTHY, "pyro": HEALTHY}, ["H200"]), "warning", "H200"),
    ],
)
def test_each_fault_is_seen(check: object, status: str, words: str) -> None:
    assert (check.status, words in check.sentence) == (status, True), check  # type: ignore[attr-defined]


def test_a_gpu_that_one_framework_sees_is_a_warning() -> None:
    seeing = HEALTHY | {"devices": ["cpu", "gpu"]}
    assert backends.gpus({"numpyro": HEALTHY, "pyro": seeing}, []).status == "warning"
    assert backends.gpus({"numpyro": {"missing": "x"}, "pyro": seeing}, []).status == "ok"
    assert backends.gpus({"numpyro": seeing, "pyro": seeing}, []).status == "ok"


def test_a_backend_s_own_faults() -> None:
    def statuses(**facts: object) -> list[str]:
        return [check.status for check in backends.of_backend("pyro", HEALTHY | facts)]

    assert statuses() == ["ok", "ok"]
    assert statuses(float64="float32") == ["problem", "ok"]
    assert statuses(flushes=True) == ["problem", "ok"]
    assert statuses(tf32="allow_tf32 is set") == ["ok", "ok", "problem"]
    assert statuses(kernel="array program: no compiler was found") == ["ok", "warning"]
    assert [c.status for c in backends.of_backend("pyro", {"missing": "no package 'torch'"})] == ["ok"]
    assert [c.status for c in backends.of_backend("pyro", {"error": "libfoo.so"})] == ["problem"]


@pytest.mark.long
def test_a_probe_says_which_kernel_its_backend_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    if native.available():
        assert backends.probe("numpyro")["kernel"].startswith("native")
    monkeypatch.setenv("PPL_PARITY_NATIVE", "0")
    assert backends.probe("numpyro")["kernel"].startswith("array program")


def test_flushing_to_zero_is_seen() -> None:
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormal numbers")
    try:
        assert settings.denormals().status == "problem"
    finally:
        torch.set_flush_denormal(False)


def test_a_quota_in_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cores.quota("150000 100000") == 1.5
    assert cores.quota("max 100000") is None
    assert cores.quota("") is None
    monkeypatch.setattr(cores, "allowed", lambda: 8)
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    assert cores.usable() == 8
    for text, expected in (
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("max 100000", 8),
        ("6400000 100000", 8),
    ):
        cores.QUOTA.write_text(text)
        assert cores.usable() == expected


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert settings.cache(str(tmp_path / "file")).status == "warning"
    assert settings.cache(str(tmp_path / "new")).status == "ok"


def test_a_version_that_another_package_does_not_take_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    real = packages.installed
    assert packages.requirements({"numpyro": real("numpyro") or ""}).status == "ok"
    monkeypatch.setattr(packages, "installed", lambda name: "0.1" if name == "jax" else real(name))
    found = packages.requirements({"numpyro": real("numpyro") or ""})
    assert found.status == "problem"
    assert "jax" in found.sentence


def test_the_canary_runs_on_any_device() -> None:
    assert 0 < probes.scatter_ratio(rows=1000) < 1000


def test_a_probe_of_a_python_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert "error" in backends.probe("pyro", str(tmp_path / "python"))


@pytest.mark.long
def test_the_command_reports_every_topic_and_exits_by_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "")
    result = CliRunner().invoke(app, ["doctor", "--json", str(tmp_path / "d.json")])
    found = json.loads((tmp_path / "d.json").read_text())
    statuses = [check["status"] for check in found["checks"]]
    topics = {check["topic"] for check in found["checks"]}
    assert {"cores", "clock", "memory", "cache", "versions", "kernel", "numpyro", "pyro", "GPU"} <= topics
    assert result.exit_code == (1 if "problem" in statuses else 0), result.output
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 1
