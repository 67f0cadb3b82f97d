"""A process of its own for what is measured, as its parent sees it: functions called by name, NumPy in and out."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from ppl_parity.cores import usable
from ppl_parity.errors import InputError
from ppl_parity.process import wire
from ppl_parity.process.sides import SideError
from ppl_parity.process.spawning import child_environment


class Child:
    """A process that runs ``module:function`` calls, one after the other; use it as a context manager.

    Args:
        name: whose process it is, for messages.
        python: the Python to run it with; None is this one.
        environment: variables that it has besides this process's own.
        num_threads: cores that it may use; None is all of them.

    Raises:
        InputError: there is no such Python.
    """

    def __init__(
        self,
        name: str,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        num_threads: int | None = None,
    ) -> None:
        self.name = name
        self.began = time.perf_counter()
        variables = child_environment(num_threads or usable(), python) | dict(environment or {})
        self.flags = flags(variables)
        try:
            self._process = subprocess.Popen(
                [python or sys.executable, "-m", "ppl_parity.process.begin", "benchmarks.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=variables,
                start_new_session=True,
            )
        except OSError as error:
            raise InputError(f"The Python of {name} must be a program; got {python!r}: {error}.") from None

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def call(self, function: str, timeout: float | None = None, **arguments: Any) -> Any:
        """What ``function`` ("module:function") returns there.

        Raises:
            InputError: it refused its input, or a package that it needs is not installed.
            SideError: it raised something else, its process ended, or no answer came within ``timeout`` s.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise SideError(f"{self.name}: the process has no pipes.")
        try:
            wire.send(stdin, {"function": function, "arguments": arguments})  # type: ignore[arg-type]
            with selectors.DefaultSelector() as selector:
                selector.register(stdout, selectors.EVENT_READ)
                if not selector.select(timeout):
                    self.kill()
                    raise SideError(f"{self.name}: no answer in {timeout:g} s; the process was ended.")
            reply = wire.receive(stdout)  # type: ignore[arg-type]
        except (EOFError, BrokenPipeError):
            code = self._process.wait()
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
            raise SideError(f"{self.name}: the process {how}.") from None
        if "input_error" in reply:
            raise InputError(reply["input_error"])
        if "error" in reply:
            raise SideError(f"{self.name}: {reply['error']}") from SideError(reply["traceback"])
        return reply["result"]

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process now, and those that it started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended already
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except BrokenPipeError:
                pass  # what was not read will not be


def flags(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that can change a time."""
    names = ("XLA_FLAGS", "PPL_PARITY_NATIVE", "PPL_PARITY_RECORD")
    ends = ("_NUM_THREADS", "_PLATFORMS")
    return {key: value for key, value in variables.items() if key in names or key.endswith(ends)}
