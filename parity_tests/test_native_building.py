"""The native library: found, built, or gone without, and the reason said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests.native_cases import ROOT, needs_kernel, run_python
from ppl_parity import native
from ppl_parity.native import building

pytestmark = needs_kernel

DESCRIBE = "from ppl_parity import native; print(native.describe())"


def test_the_switch_turns_it_off() -> None:
    assert run_python(DESCRIBE, PPL_PARITY_NATIVE="0") == "array program: PPL_PARITY_NATIVE=0"


def test_without_a_compiler_the_reason_is_said(tmp_path: Path) -> None:
    said = run_python(DESCRIBE, PPL_PARITY_NATIVE="build", PATH="", CXX="", XDG_CACHE_HOME=str(tmp_path))
    assert said.startswith("array program: no C++ compiler was found")


def test_a_compiler_that_fails_and_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    said = run_python(DESCRIBE, PPL_PARITY_NATIVE="build", CXX="false", XDG_CACHE_HOME=str(tmp_path))
    assert "the compiler" in said
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    said = run_python(DESCRIBE, PPL_PARITY_NATIVE="build", XDG_CACHE_HOME=str(in_the_way))
    assert "could not be built in" in said


def test_two_processes_build_at_once(tmp_path: Path) -> None:
    compiler = tmp_path / "without-optimising"  # which takes most of the time, and writes no other files
    compiler.write_text('#!/bin/sh\nexec c++ "$@" -O0\n')
    compiler.chmod(0o755)
    environment = os.environ | {
        "CXX": str(compiler),
        "PYTHONPATH": str(ROOT),
        "PPL_PARITY_NATIVE": "build",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    started = [
        subprocess.Popen([sys.executable, "-c", DESCRIBE], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert all(line.startswith("native") for line in said)
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(left) == 1


def test_a_library_of_other_sources_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = building.cached("core")
    if not path.exists():
        path = building.installed("core")[0]
    assert native.library._opened(path, building.build_key("core")) is not None
    assert native.library._opened(path, "another key") is None
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    assert native.library._opened(broken, building.build_key("core")) is None
