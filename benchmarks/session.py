"""What one run of the benchmarks shares: where results go, the processes, and how patient it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import machine
from benchmarks.cases import Case, by_size
from benchmarks.child import Child
from benchmarks.records import Record, Recorder
from ppl_parity.errors import InputError
from ppl_parity.process.sides import SideError


@dataclass
class Session:
    """A run of the benchmarks.

    Attributes:
        recorder: where results go.
        pythons: the Python of a backend, or of ``peers``, where it is another than this one.
        budget: seconds of timing a case.
        patience: seconds after which a case is given up.
        say: told of each case as it starts, and of each record as it is written.
        machine_name: what to call this machine in results.
    """

    recorder: Recorder
    pythons: Mapping[str, str | None] = field(default_factory=dict)
    budget: float = 2.0
    patience: float = 600.0
    say: Callable[[str | Record], None] = lambda _: None
    machine_name: str | None = None

    def __post_init__(self) -> None:
        facts = machine.describe(self.machine_name)
        self.run = f"{facts['date']} {len(self.recorder.records)}"
        self.recorder.add({"kind": "run", "key": self.run, "status": "ok", "machine": facts})

    def __enter__(self) -> Session:
        self._children: dict[Any, Child] = {}
        self._loaded: dict[Any, dict[str, Any]] = {}
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.kill()

    def child(self, case: Case) -> Child:
        """The process of a case's backend and environment; a new one if the last one has ended."""
        key = (case.backend, case.environment)
        if key not in self._children or not self._children[key].alive:
            self._children[key] = self.fresh(case.backend, dict(case.environment))
            self._loaded.pop(key, None)
        return self._children[key]

    def fresh(self, name: str, environment: Mapping[str, str], python: str | None = None) -> Child:
        """A process that nothing has run in."""
        return Child(name, python=python or self.pythons.get(name), environment=environment)

    def loaded(self, case: Case) -> dict[str, Any]:
        """The versions and devices of a case's backend, and what importing it took.

        Raises:
            InputError: a package that it needs is not installed.
        """
        child, key = self.child(case), (case.backend, case.environment)
        if key not in self._loaded:
            self._loaded[key] = child.call("benchmarks.gradients:load", self.patience, backend=case.backend)
        return self._loaded[key]

    def record(self, kind: str, case: Case, **more: Any) -> Record:
        """Write a case's record down, and say so."""
        about = {"kind": kind, "key": case.key, "case": case.as_dict(), "size": case.size}
        load = {"run": self.run, "load_average": machine.load_average()}
        record = self.recorder.add({**about, "system": case.system, **load, **more})
        self.say(record)
        return record

    def each(self, kind: str, cases: Iterable[Case], measure: Callable[[Session, Case], None]) -> None:
        """``measure`` every case that is not in the results already, sizes in rising order."""
        for case in by_size(cases):
            if case.key not in self.recorder.done:
                with self.recording_failures(kind, case):
                    measure(self, case)

    @contextmanager
    def recording_failures(self, kind: str, case: Case) -> Iterator[None]:
        """A case that cannot be measured is a record that says why; an interrupt passes."""
        self.say(f"{case.size}: {case.system}, {case.dtype}, {case.device}")
        try:
            yield
        except InputError as error:
            self.record(kind, case, status="missing", why=str(error))
        except SideError as error:
            self.record(kind, case, status="failed", why=str(error))

    def check_devices(self, cases: list[Case]) -> None:
        """Refuse a device that no installed backend has: nothing falls back to the CPU in silence.

        Raises:
            InputError: it names the device, and what there is.
        """
        for device in sorted({case.device for case in cases} - {"cpu"}):
            seen: dict[str, list[str]] = {}
            for case in cases:
                if case.device == device and case.backend not in seen:
                    try:
                        seen[case.backend] = self.loaded(case)["devices"]
                    except InputError:
                        continue  # not installed: its rows will say so
            if seen and not any(device.partition(":")[0] in here for here in seen.values()):
                what = "; ".join(f"{name} sees {', '.join(here)}" for name, here in seen.items())
                raise InputError(f"The device {device!r} is not here: {what}.")
