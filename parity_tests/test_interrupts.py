"""Ctrl-C while a model runs: nobody waits for it, and its process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest

from parity_tests.conftest import hear_sigint
from ppl_parity.process import at_once

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

SOON = 5.0  # seconds; what hangs would go on for minutes, and a side that is asked to end is given five

PAIR = """
import os, time
from pathlib import Path
import numpy as np

HERE = Path(__file__).parent
RUNS = [0]

def pyro_model(y):
    import pyro, pyro.distributions as dist
    RUNS[0] += 1
    if RUNS[0] > BEFORE and not (HERE / "heal").exists():
        (HERE / "hangs").write_text(str(os.getpid()))
        time.sleep(120)
    m = pyro.sample("m", dist.Normal(0.0, 1.0))
    pyro.sample("y", dist.Normal(m, 1.0), obs=y)

def numpyro_model(y):
    import numpyro, numpyro.distributions as dist
    m = numpyro.sample("m", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(m, 1.0), obs=y)

def data():
    return {"y": np.array(0.3)}
"""

TEST = """
from ppl_parity import assert_same_model
from pair import data, numpyro_model, pyro_model
assert_same_model(pyro_model, numpyro_model, data, level="quick")
"""

SIDES_ARE_KEPT = """
from pathlib import Path
from ppl_parity.checking import check_file
from ppl_parity.process.sides import Side
with Side("pyro") as pyro, Side("numpyro") as numpyro:
    sides = {"pyro": pyro, "numpyro": numpyro}
    try:
        check_file("pair.py", level="quick", sides=sides)
    except KeyboardInterrupt:
        Path("heal").touch()
        print(check_file("pair.py", level="quick", sides=sides).verdict)
"""

COMMAND = [sys.executable, "-m", "ppl_parity.cli"]
PROGRAMS = {
    "in a test": ([sys.executable, "-c", TEST], 0),
    "in a test, later": ([sys.executable, "-c", TEST], 6),
    "check": ([*COMMAND, "check", "pair.py", "--level", "quick"], 0),
    "check, later": ([*COMMAND, "check", "pair.py", "--level", "quick"], 6),
    "bench pair": ([*COMMAND, "bench", "pair", "pair.py"], 0),
    "freeze": ([*COMMAND, "freeze", "pair.py", "--side", "pyro", "--out", "f.npz"], 0),
}


def _interrupted(command: list[str], folder: Path, before: int) -> tuple[subprocess.Popen[str], str, int]:
    """A program that was told to end while the model hangs: it, what it printed, and the model's process."""
    (folder / "pair.py").write_text(PAIR.replace("BEFORE", str(before)))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    program = subprocess.Popen(command, cwd=folder, preexec_fn=hear_sigint, **pipes)  # type: ignore[call-overload]
    marker = folder / "hangs"
    try:
        for _ in range(1200):
            if marker.exists() or program.poll() is not None:
                break
            time.sleep(0.05)
        assert marker.exists(), program.communicate(timeout=1)[0]
        time.sleep(0.3)
        model = int(marker.read_text())
        program.send_signal(signal.SIGINT)
        output, _ = program.communicate(timeout=60 if "check_file" in command[-1] else SOON)
    except BaseException:
        program.kill()
        raise
    return program, output, model


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.pyro
@pytest.mark.parametrize(
    "what",
    [pytest.param(n, marks=[] if n in ("in a test", "check, later") else pytest.mark.long) for n in PROGRAMS],
)
def test_a_model_that_hangs_is_not_waited_for(tmp_path: Path, what: str) -> None:
    command, before = PROGRAMS[what]
    program, output, model = _interrupted(command, tmp_path, before)
    if "ppl_parity.cli" in command:
        assert program.returncode == 130, output
        assert output.endswith("Interrupted.\n")
        assert "Traceback" not in output
    else:
        assert "KeyboardInterrupt" in output
    assert not _runs(model)


@pytest.mark.long
@pytest.mark.pyro
@pytest.mark.parametrize("before", [0, 6])
def test_sides_that_were_lent_serve_the_next_check(tmp_path: Path, before: int) -> None:
    program, output, model = _interrupted([sys.executable, "-c", SIDES_ARE_KEPT], tmp_path, before)
    assert (program.returncode, output) == (0, "same\n")
    assert not _runs(model)


class Reopened:
    """A side whose thread opens another process while the first one is being ended."""

    def __init__(self) -> None:
        self.kills, self.ended = 0, threading.Event()

    def kill(self) -> None:
        self.kills += 1
        if self.kills == 2:
            self.ended.set()


def test_a_side_is_ended_until_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    side, waits = Reopened(), []

    def wait(*given: Any) -> Any:
        waits.append(given)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return futures.wait(*given)

    monkeypatch.setattr(at_once, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        at_once.at_once(lambda name: side.ended.wait(20), ("pyro", "numpyro"), [side, object()])
    assert side.kills == 2
