"""``ppl-parity fit`` as its user meets it: the whole command, from its start to its end, file and table included.

The first finds JAX's cache empty, the second what the first has left there. The native kernel is not compiled in
either: it belongs to the installation.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import problems
from benchmarks.cases import Case, by_size
from benchmarks.child import flags
from benchmarks.session import Session
from ppl_parity.errors import InputError
from ppl_parity.sides import SideError

REPEATS = 5
BAD_INPUT = 2


def run_commands(session: Session, cases: Iterable[Case]) -> None:
    """Measure every case that is not in the results already, sizes in rising order."""
    for case in by_size(cases):
        if case.key not in session.recorder.done:
            with session.recording_failures("command", case):
                _measure(session, case)


def _measure(session: Session, case: Case) -> None:
    spec, truth = problems.data(case.N, case.D, case.K)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), truth["x"])
        asked = f"--components {case.K} --prior-cov {spec.prior_cov[0, 0]:g} --formulation {case.formulation}"
        options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in case.options)
        line = (
            f"fit --backend {case.backend} --data x.npy {asked} --precision {case.dtype} --device {case.device}"
            f" --num-chains {case.chains} {options} --out fit.nc --force"
        )
        _seconds(session, case, line, folder, "before")  # files that are read for the first time
        first, second = [], []
        for repeat in range(REPEATS):
            for times in (first, second):
                times.append(_seconds(session, case, line, folder, f"caches{repeat}"))
    session.record(
        "command",
        case,
        status="ok",
        command=f"ppl-parity {line}",
        flags=flags(os.environ | dict(case.environment)),
        raw={"first": first, "second": second},
        first_seconds=median(first),
        second_seconds=median(second),
    )


def _seconds(session: Session, case: Case, line: str, folder: str, caches: str) -> float:
    environment = os.environ | dict(case.environment)
    environment["JAX_COMPILATION_CACHE_DIR"] = os.path.join(folder, caches)
    began = time.perf_counter()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "ppl_parity.cli", *line.split()],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=session.patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SideError(f"{case.backend}: no end in {session.patience:g} s; the process was ended.") from None
    seconds = time.perf_counter() - began
    if ended.returncode != 0:
        said = (ended.stderr.strip().splitlines() or ["nothing"])[-1]
        raise (InputError if ended.returncode == BAD_INPUT else SideError)(f"{case.backend}: {said}")
    return seconds
