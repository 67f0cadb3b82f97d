"""Both implementations as fixtures. A test that needs Pyro carries the mark ``pyro``."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from ppl_parity.process.sides import Side

# Triton reads it when it is first imported, which in one process for all tests another test may do.
os.environ.setdefault("TRITON_INTERPRET", "1")

BACKENDS = ["numpyro", pytest.param("pyro", marks=pytest.mark.pyro)]


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Any:
    """Each backend in turn, in this process."""
    return load(request.param)


@pytest.fixture(scope="session", params=BACKENDS)
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """Each backend in turn, in a process of its own."""
    with Side(request.param) as opened:
        yield opened


@pytest.fixture(scope="session")
def sides() -> Iterator[dict[str, Side]]:
    """Both backends at once, each in a process of its own, for checks that open none themselves."""
    with Side("pyro", num_threads=1) as pyro, Side("numpyro", num_threads=1) as numpyro:
        yield {"pyro": pyro, "numpyro": numpyro}


def load(name: str) -> ModuleType:
    """A backend package by its short name."""
    return importlib.import_module(f"{name}_impl")


def hear_sigint() -> None:
    """For ``preexec_fn``: a shell starts what runs in its background deaf to SIGINT, tests among it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended, as far as ``ps`` can tell."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] not in ("", "Z")
