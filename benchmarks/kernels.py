"""Value and gradient of one density, written in many ways: shown to be the same, then timed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks import problems, timer
from benchmarks.cases import Case, by_size
from benchmarks.identity import Identity, same_gradients
from benchmarks.limits import best
from benchmarks.rates import SOURCES
from benchmarks.records import Record
from benchmarks.session import Session
from ppl_parity.errors import InputError
from ppl_parity.process.sides import SideError

SOURCE_OWNERS = {"torch": "pyro", "jax": "numpyro"}  # whose Python may have the library


def run_limits(session: Session, dtypes: Iterable[str], device: str = "cpu") -> list[Record]:
    """Measure what the device can do, by each library that is here.

    Raises:
        InputError: no library sees the device.
    """
    records = []
    for dtype in dtypes:
        key = f"limits | {dtype} | {device}"
        if key in session.recorder.done:
            records.append(session.recorder.done[key])
            continue
        session.say(f"Limits: {dtype}, {device}")
        found: dict[str, Any] = {}
        left_out: dict[str, str] = {}
        for source in SOURCES if device == "cpu" else SOURCES[1:]:
            with session.fresh(SOURCE_OWNERS.get(source, source), {}) as child:
                options = {"source": source, "dtype": dtype, "device": device, "budget": session.budget}
                try:
                    found[source] = child.call("benchmarks.limits:measure", session.patience, **options)
                except (InputError, SideError) as error:
                    left_out[source] = str(error)
        if not found:
            reasons = "; ".join(f"{source}: {why.splitlines()[0]}" for source, why in left_out.items())
            raise InputError(f"The limits of device {device!r} cannot be measured: {reasons}.")
        record = {"kind": "limits", "key": key, "status": "ok", "run": session.run, "left_out": left_out}
        limits = best(found, dtype, device).as_dict()
        records.append(session.recorder.add({**record, "limits": limits, "sources": found}))
        session.say(records[-1])
    return records


def run_gradients(session: Session, cases: Iterable[Case]) -> None:
    """Measure every case that is not in the results already, sizes in rising order."""
    wanted = [case for case in by_size(cases) if case.key not in session.recorder.done]
    for case in wanted:
        with session.recording_failures("gradient", case):
            _measure(session, case)


def _measure(session: Session, case: Case) -> None:
    loaded = session.loaded(case)
    if case.device.partition(":")[0] not in loaded["devices"]:
        here = ", ".join(loaded["devices"])
        raise InputError(f"The device {case.device!r} is not here: {case.backend} sees {here}.")
    child = session.child(case)
    identities = []
    # The same code in float64 first: there the ladder's tolerances tell a wrong formula from rounding.
    for dtype in dict.fromkeys(("float64", case.dtype)):
        prepared, identity = _prepare(session, child, case, dtype)
        identities.append(identity)
        if not identity.same:
            break
    about = {
        "versions": loaded["versions"],
        "flags": child.flags,
        "potential": prepared["potential"],
        "identity": [identity.as_dict() for identity in identities],
        "import_seconds": loaded["seconds"],
        "build_seconds": prepared["build_seconds"],
        "first_seconds": prepared["first_seconds"],
    }
    if not identities[-1].same:
        session.record("gradient", case, status="not the same", why=identities[-1].why, **about)
        return
    times = child.call("benchmarks.gradients:measure", session.patience, budget=session.budget)
    summaries = {
        "single": timer.summary(times["single"]),
        "loop": timer.summary(times["loop"], times["loop_count"]),
    }
    about |= {name: times[name] for name in ("loop_count", "loop_first_seconds", "extra_bytes")}
    about |= {"compiled_loop": prepared["compiled_loop"], "summary": summaries}
    session.record(
        "gradient", case, status="ok", **about, raw={name: times[name] for name in ("single", "loop")}
    )


def _prepare(session: Session, child: Any, case: Case, dtype: str) -> tuple[dict[str, Any], Identity]:
    size = (case.N, case.D, case.K)
    count = problems.num_points(*size)
    spec, truth = problems.data(*size)
    prepared = child.call(
        "benchmarks.gradients:prepare",
        session.patience,
        backend=case.backend,
        formulation=case.formulation,
        spec=spec,
        x=truth["x"],
        dtype=dtype,
        device=case.device,
        chains=case.chains,
        points=problems.points(*size, count),
        typical=problems.typical(*size, case.chains),
    )
    score = math.sqrt(case.N / case.K)
    got = (np.asarray(prepared["values"], dtype=np.float64), prepared["gradients"])
    return prepared, same_gradients(problems.expected(*size, count), got, dtype, score)
