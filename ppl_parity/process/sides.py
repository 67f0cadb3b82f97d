"""A backend in a process of its own, as its parent sees it: the contract, called from afar.

Precision, threads, devices, a framework's global state, a crash or a hang on one side cannot touch the
other side or the parent. The process is spawned, never forked: JAX has threads.
"""

from __future__ import annotations

import selectors
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np

from ppl_parity.backend.contract import Arrays, Groups, Program, Values
from ppl_parity.errors import InputError, one_of
from ppl_parity.process import wire
from ppl_parity.process.carrying import newest_source
from ppl_parity.process.fullness import FULL, most_maps, num_maps
from ppl_parity.process.references import Reference
from ppl_parity.process.spawning import SIDES, kill, spawn
from ppl_parity.spec import MixtureSpec, SamplerSettings


class SideError(RuntimeError):
    """A side's process ended, hung, or raised what is not the user's to mend."""


class Side:
    """One backend in a child process; use it as a context manager, or call ``close``.

    Args:
        name: ``numpyro`` or ``pyro``.
        python: the Python to run it with; None is this one. It needs that backend's packages only.
        num_threads: cores it may use; None is all of them.
        process: what ``spawning.spawn`` has already started for the same name, Python and cores.

    Raises:
        InputError: no such side, or no such Python.
    """

    def __init__(
        self,
        name: str,
        *,
        python: str | None = None,
        num_threads: int | None = None,
        process: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.name = one_of("backend", name, SIDES)
        self.warnings: list[str] = []
        self.generation = 0
        self.lock = threading.RLock()
        self._dropped: list[int] = []
        self._python, self._num_threads, self._closed = python, num_threads, False
        self._since = time.time()
        self._process = process or self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        self._since = time.time()
        try:
            return spawn(self.name, self._python, self._num_threads)
        except OSError as error:
            raise InputError(
                f"The Python of the {self.name} side must be a program; got {self._python!r}: {error}."
            ) from None

    def another(self) -> Side:
        """One more process of the same kind."""
        return Side(self.name, python=self._python, num_threads=self._num_threads)

    def reopen(self) -> None:
        """Start another process where this one has ended; its programs are made anew when they are asked."""
        if self._process.poll() is None or self._closed:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process = self._started()
        self._dropped = []
        self.generation += 1

    def refresh(self) -> None:
        """End a process that many checks have filled, between two of them; the next call starts another one.

        One, too, that has imported a module which was written anew since: a notebook reloads its own, and no more.

        A compiled program takes some of the memory maps that a process may have, and XLA ends the process that has
        none left (about 200 checks of models that all differ).
        """
        with self.lock:  # not while another thread waits for an answer
            full = num_maps(self._process.pid) > FULL * most_maps()
            if full or newest_source() > self._since:
                self.kill()

    def drop(self, generation: int, target: int) -> None:
        """Let the process forget a program that nobody can ask any more, at the next call."""
        if generation == self.generation:
            self._dropped.append(target)

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Exception):  # Ctrl-C: nobody waits for an answer
            self.kill()
        self.close()

    def end(self) -> None:
        """Let the process end while the caller does something else; ``close`` waits for it."""
        self._closed = True
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass  # it has ended already

    def close(self) -> None:
        """End the process; a side that does not end by itself is killed."""
        self.end()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        """End the process now, and the processes that it started."""
        kill(self._process)

    def call(
        self, name: str, *args: Any, target: int | None = None, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Call ``name`` of the backend, or of its program ``target``; a process that has ended is replaced.

        Raises:
            InputError: the side refused the input.
            SideError: it raised something else, ended, or gave no answer within ``timeout`` seconds.
        """
        with self.lock:  # of two threads that ask at once, one would read the other's answer
            return self._call(name, args, kwargs, target, timeout)

    def _call(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        target: int | None,
        timeout: float | None,
    ) -> Any:
        if self._closed:
            raise SideError(f"{self.name}: the side was closed before {name} was asked of it.")
        self.reopen()
        dropped, self._dropped = self._dropped, []
        request = {"target": target, "name": name, "args": list(args), "kwargs": kwargs, "dropped": dropped}
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise SideError(f"{self.name}: the process has no pipes.")
        try:
            wire.send(stdin, request)  # type: ignore[arg-type]
            if timeout is not None:
                self._await(name, timeout)
            reply = wire.receive(stdout)  # type: ignore[arg-type]
        except (EOFError, BrokenPipeError):
            raise SideError(f"{self.name}: {self._ending()} during {in_words(name)}.") from None
        except (InputError, SideError):  # nothing was written, or nothing is waited for any more
            raise
        except BaseException:  # Ctrl-C: the answer would be taken for the next call's
            self.kill()
            raise
        self.warnings += [w for w in reply["warnings"] if w not in self.warnings]
        if "input_error" in reply:
            raise InputError(reply["input_error"]) from SideError(reply["traceback"])
        if "error" in reply:
            raise SideError(f"{self.name}: {in_words(name)} failed: {reply['error']}") from SideError(
                reply["traceback"]
            )
        return reply["result"]

    def versions(self) -> dict[str, str]:
        """See ``contract.Backend.versions``."""
        return self.call("versions")

    def devices(self) -> list[str]:
        """See ``contract.Backend.devices``."""
        return self.call("devices")

    def program(self, model: Reference, data: Mapping[str, Any], **options: Any) -> Program:
        """A program of this side, called from afar; see ``contract.Program``."""
        return cast(Program, RemoteProgram(self, model, dict(data), options))

    def sample_mixture(self, spec: MixtureSpec, num_data: int, **options: Any) -> Arrays:
        """See ``contract.Backend.sample_mixture``."""
        return self.call("sample_mixture", spec, num_data, **options)

    def responsibilities(
        self, spec: MixtureSpec, theta: np.ndarray, beta: np.ndarray, x: np.ndarray, **options: Any
    ) -> np.ndarray:
        """See ``contract.Backend.responsibilities``."""
        return self.call("responsibilities", spec, theta, beta, x, **options)

    def sample_assignments(
        self, spec: MixtureSpec, theta: np.ndarray, beta: np.ndarray, x: np.ndarray, **options: Any
    ) -> np.ndarray:
        """See ``contract.Backend.sample_assignments``."""
        return self.call("sample_assignments", spec, theta, beta, x, **options)

    def pointwise_log_likelihood(
        self, spec: MixtureSpec, theta: np.ndarray, beta: np.ndarray, x: np.ndarray, **options: Any
    ) -> np.ndarray:
        """See ``contract.Backend.pointwise_log_likelihood``."""
        return self.call("pointwise_log_likelihood", spec, theta, beta, x, **options)

    def render(self, model: Reference, data: Mapping[str, Any], path: str | Path) -> Path:
        """See ``contract.Backend.render``."""
        return Path(self.call("render", model, dict(data), str(path)))

    def sample_posterior(
        self,
        model: Reference,
        data: Mapping[str, Any],
        settings: SamplerSettings,
        *,
        initial_values: Values | None = None,
        inverse_mass: np.ndarray | None = None,
        max_plate_nesting: int | None = None,
        progress: bool = False,
        timeout: float | None = None,
    ) -> tuple[Groups, dict[str, Any]]:
        """See ``contract.Backend.sample_posterior``."""
        return self.call(
            "sample_posterior",
            model,
            dict(data),
            settings,
            initial_values=None if initial_values is None else dict(initial_values),
            inverse_mass=inverse_mass,
            max_plate_nesting=max_plate_nesting,
            progress=progress,
            timeout=timeout,
        )

    def automatic(self, guide: Reference, data: Mapping[str, Any]) -> dict[str, Any]:
        """See ``contract.Backend.automatic``."""
        return self.call("automatic", guide, dict(data))

    def elbo(
        self,
        model: Reference,
        guide: Reference,
        data: Mapping[str, Any],
        params: Sequence[Values],
        *,
        num_draws: int,
        seed: int,
        max_plate_nesting: int | None = None,
        timeout: float | None = None,
    ) -> tuple[np.ndarray, Arrays]:
        """See ``contract.Backend.elbo``."""
        return self.call(
            "elbo",
            model,
            guide,
            dict(data),
            [dict(values) for values in params],
            num_draws=num_draws,
            seed=seed,
            max_plate_nesting=max_plate_nesting,
            timeout=timeout,
        )

    def _await(self, name: str, timeout: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            if not selector.select(timeout):
                self.kill()
                raise SideError(
                    f"{self.name}: {in_words(name)} took more than {timeout:g} s; the process was ended."
                )

    def _ending(self) -> str:
        code = self._process.wait()
        return (
            f"its process was ended by {signal.Signals(-code).name}" if code < 0 else f"it exited with {code}"
        )


WORDS = {"evaluate": "data()", "Program": "the model's first run", "sites": "a run of the model"}


def in_words(name: str) -> str:
    """What a call asks for, as a user would say it."""
    return WORDS.get(name, name.replace("_", " "))


LONGEST = 1800.0  # seconds that a program may take over one answer: a sampler of a library may never end


class RemoteProgram:
    """A ``contract.Program`` that lives in a side's process."""

    def __init__(self, side: Side, model: Reference, data: dict[str, Any], options: dict[str, Any]) -> None:
        self._side, self._made_of = side, (model, data, options)
        self._make()

    def _make(self) -> None:
        model, data, options = self._made_of
        self._target = self._side.call("Program", model, data, **options)
        self._generation = self._side.generation
        weakref.finalize(self, self._side.drop, self._generation, self._target).atexit = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or not hasattr(Program, name):
            raise AttributeError(f"A program has no method {name!r}.")

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._side.lock:
                self._side.reopen()
                if self._generation != self._side.generation:
                    self._make()
                return self._side.call(name, *args, target=self._target, timeout=LONGEST, **kwargs)

        return call
