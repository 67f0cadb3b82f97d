"""What the command line begins before it has been read, and how its process ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parity_tests.conftest import hear_sigint, is_running
from ppl_parity.cli import ahead
from ppl_parity.process.sides import Side


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the backends that were started, none of which is."""
    names: list[str] = []
    waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]

    def spawn(name: str) -> subprocess.Popen[bytes]:
        names.append(name)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen(waiting, **pipes, start_new_session=True)

    monkeypatch.setattr(ahead, "spawn", spawn)
    return names


@pytest.mark.parametrize(
    ("line", "backend"),
    [
        ("fit --data a.npy", "numpyro"),
        ("sample --out s.npz --backend pyro", "pyro"),
        ("render --backend=pyro --out g.gv", "pyro"),
        ("fit --backend numpyro --backend pyro", "pyro"),  # as typer reads it: the last one
        ("", None),
        ("check --level quick", None),
        ("fit --help", None),
        ("fit --backend pyr", None),
        ("fit --backend", None),
        ("fit --numpyro-python python3.12", None),
        ("fit --pyro-python=python3.12 --backend pyro", None),
        ("--help", None),
    ],
)
def test_what_a_glance_tells(spawned: list[str], line: str, backend: str | None) -> None:
    ahead.start_backend(line.split())
    try:
        assert spawned == ([] if backend is None else [backend])
    finally:
        ahead.end_unused()


def test_a_process_is_handed_over_once(spawned: list[str]) -> None:
    ahead.start_backend(["fit"])
    assert ahead.started("pyro") is None
    process = ahead.started("numpyro")
    assert process is not None
    assert ahead.started("numpyro") is None
    ahead.end_unused()
    assert process.poll() is None  # it is another's to end
    Side("numpyro", process=process).close()
    assert process.wait(timeout=5) == 0


def test_what_nobody_asked_for_is_ended(spawned: list[str]) -> None:
    ahead.start_backend(["fit"])
    (process,) = ahead._started.values()
    ahead.end_unused()
    assert process.poll() is not None


LEAVE = """
import atexit, sys, threading, time
from ppl_parity.process.leaving import leave

class Slow:
    def __del__(self):
        print("taken apart")

slow = Slow()
atexit.register(print, "at the end")
threading.Thread(target=lambda: (time.sleep(0.3), print("the thread's work"))).start()
print("said")
leave(3)
"""


def test_leaving_waits_and_writes_and_takes_nothing_apart() -> None:
    ended = subprocess.run([sys.executable, "-c", LEAVE], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout.splitlines() == ["said", "the thread's work", "at the end"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("arguments", "status"), [("--help", 4), ("doctor --json -", 4), ("sample --out s.npz --json -", 4)]
)
def test_output_that_cannot_be_written_is_no_success(tmp_path: Path, arguments: str, status: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "ppl_parity.cli", *arguments.split()]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, cwd=tmp_path, stdout=full, env=environment, check=False)
    assert ended.returncode == status


@pytest.mark.skipif(os.name != "posix", reason="a shell that closes streams")
@pytest.mark.parametrize(
    ("closed", "arguments", "status"), [(">&-", "--help", 0), ("2>&-", "fit --data no.npy", 2)]
)
def test_a_stream_that_was_closed_is_let_be(closed: str, arguments: str, status: int) -> None:
    line = f"{sys.executable} -m ppl_parity.cli {arguments} {closed}"
    assert subprocess.run(line, shell=True, check=False, capture_output=True).returncode == status


WAITS = "import sys, time; print('here', flush=True); time.sleep(60)"
BEGINS = "import os; from ppl_parity.process.leaving import end_with_parent; end_with_parent()"
WORKS = f"{BEGINS}; print(os.getpid()); {WAITS}"


@pytest.mark.skipif(
    os.name != "posix", reason="a process elsewhere keeps the number of a parent that has gone"
)
@pytest.mark.parametrize("session", [True, False])
def test_what_works_for_a_killed_process_ends_with_it(session: bool) -> None:
    start = f"subprocess.Popen([sys.executable, '-c', {WORKS!r}], start_new_session={session})"
    code = f"import subprocess, sys; {start}; {WAITS}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        said = [parent.stdout.readline().strip() for _ in range(3)]  # "here" of both, and the child's number
        child = next(int(word) for word in said if word.isdecimal())
        assert is_running(child)
        parent.kill()
        parent.wait()
        for _ in range(50):
            if not is_running(child):
                return
            time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child went on")


def test_the_package_is_the_program() -> None:
    help_ = [sys.executable, "-m", "ppl_parity", "--help"]
    told = subprocess.run(help_, capture_output=True, text=True, check=True).stdout
    assert "python -m ppl_parity [OPTIONS]" in told


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("seconds", [0.15, 0.6])
def test_a_signal_leaves_no_process_behind(tmp_path: Path, number: int, status: int, seconds: float) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "ppl_parity.cli", "fit", "--data", "old-faithful", "--out", "o.nc"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=hear_sigint,
    )
    time.sleep(seconds)
    program.send_signal(number)
    output, _ = program.communicate(timeout=20)  # a process left behind would hold the pipe open
    assert program.returncode in (status, -number)  # before Python itself could hear it
    assert "Traceback" not in output or program.returncode == -number


WAIT = """
import importlib, threading
from pathlib import Path
from ppl_parity.process import leaving, spawning

leaving.end_on_signals()
print(spawning.spawn("numpyro").pid, flush=True)
Path("slow.py").write_text("import time; print('begun', flush=True); time.sleep(60)")
threading.Thread(target=importlib.import_module, args=["slow"], daemon=True).start()
while "slow" not in __import__("sys").modules:
    pass
import slow
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_heard_while_another_thread_imports(tmp_path: Path, number: int, status: int) -> None:
    """Raised there, it would leave the locks of the import system held: for ever, in one of twenty runs."""
    with subprocess.Popen(
        [sys.executable, "-c", WAIT],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_sigint,
    ) as program:
        assert program.stdout is not None
        backend = int(program.stdout.readline())
        assert program.stdout.readline() == "begun\n"
        time.sleep(0.2)  # until the main thread waits for it
        program.send_signal(number)
        _, errors = program.communicate(timeout=20)
    assert program.returncode == status
    assert errors == ("Interrupted.\n" if number == signal.SIGINT else "")
    time.sleep(0.5)
    assert shutil.which("ps") is None or not is_running(backend)


def test_a_profiler_sees_the_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cProfile", "-o", "profile", "-m", "ppl_parity.cli", "--help"]
    ended = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    assert ended.returncode == 0
    assert (tmp_path / "profile").exists()


def test_a_reader_that_has_gone_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ppl_parity.cli", "fit", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        program.stdout.close()
        assert program.stderr is not None
        assert "Exception ignored" not in program.stderr.read()
