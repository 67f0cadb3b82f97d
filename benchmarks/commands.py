"""``ppl-parity fit`` as its user meets it: the whole command, from its start to its end, file and table included.

The first finds JAX's cache empty, the second what the first has left there. The native kernel is not compiled in
either: it belongs to the installation.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import problems
from benchmarks.cases import Case
from benchmarks.child import flags
from benchmarks.session import Session
from ppl_parity.cores import usable
from ppl_parity.errors import InputError
from ppl_parity.process.sides import SideError
from ppl_parity.process.spawning import child_environment
from ppl_parity.spec import MixtureSpec

REPEATS = 9
BAD_INPUT = 2


def run_commands(session: Session, cases: Iterable[Case]) -> None:
    """Measure every case that is not in the results already, sizes in rising order."""
    session.each("command", cases, _measure)


def _measure(session: Session, case: Case) -> None:
    spec, truth = problems.data(case.N, case.D, case.K)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), truth["x"])
        arguments = _arguments(case, spec, session.pythons.get(case.backend))
        _seconds(session, case, arguments, folder, "before")  # files that are read for the first time
        first, second = [], []
        for repeat in range(REPEATS):
            for times in (first, second):
                times.append(_seconds(session, case, arguments, folder, f"caches{repeat}"))
    session.record(
        "command",
        case,
        status="ok",
        command=shlex.join(["ppl-parity", *arguments]),
        flags=flags(child_environment(usable()) | dict(case.environment)),
        raw={"first": first, "second": second},
        first_seconds=median(first),
        second_seconds=median(second),
    )


def _arguments(case: Case, spec: MixtureSpec, python: str | None) -> list[str]:
    asked: dict[str, Any] = {
        "backend": case.backend,
        "data": "x.npy",
        "components": case.K,
        "prior_cov": f"{spec.prior_cov[0, 0]:g}",
        "formulation": case.formulation,
        "precision": case.dtype,
        "device": case.device,
        "num_chains": case.chains,
        **dict(case.options),
        "out": "fit.nc",
    }
    if python is not None:
        asked[f"{case.backend}_python"] = python
    options = [word for name, value in asked.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return ["fit", *options, "--force"]


def _seconds(session: Session, case: Case, arguments: list[str], folder: str, caches: str) -> float:
    environment = os.environ | dict(case.environment)
    environment["JAX_COMPILATION_CACHE_DIR"] = os.path.join(folder, caches)
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "ppl_parity.cli", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=session.patience)
        except BaseException as stopped:
            _end(process)
            if isinstance(stopped, subprocess.TimeoutExpired):
                raise SideError(
                    f"{case.backend}: no end in {session.patience:g} s; the process was ended."
                ) from None
            raise
    seconds = time.perf_counter() - began
    if process.returncode != 0:
        said = (errors.strip().splitlines() or ["it ended without a word"])[-1]
        raise (InputError if process.returncode == BAD_INPUT else SideError)(f"{case.backend}: {said}")
    return seconds


def _end(process: subprocess.Popen[str]) -> None:
    """Let the command end its backend, which would go on beside what is measured next."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
