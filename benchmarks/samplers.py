"""Samplers of one posterior: cold, warm, and the rates whose product explains every ratio between them."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from benchmarks import problems
from benchmarks.cases import Case
from benchmarks.explained import rates, smallest_ess
from benchmarks.sampler import SEEDS, Sampler, resolved, seconds_of
from benchmarks.session import Session
from benchmarks.systems import PEERS
from benchmarks.turns import alone, in_turn, ratio

SLOW = 120.0  # seconds of a run beyond which compiling is little of it: one process tells all, and no run is repeated
FEW_SEEDS = 90.0  # seconds of a run beyond which there is one seed
COLD, FEW_COLD = 5, 20.0  # cold processes, and seconds of one beyond which there is one


def run_samplers(session: Session, cases: Iterable[Case]) -> None:
    """Measure every case that is not in the results already, sizes in rising order."""
    session.each("sampler", cases, _measure)


def _measure(session: Session, case: Case) -> None:
    python = session.pythons.get("peers" if case.backend in PEERS else case.backend)
    colds: list[float] = []
    record: dict[str, Any] = {}
    second = None
    # One after the other, so that a slow minute of the machine is not all that is known; the last goes on.
    while not record:
        with tempfile.TemporaryDirectory() as caches:
            environment = dict(case.environment) | _empty_caches(caches, case.backend in PEERS)
            cold, record = _process(session, case, environment, python, whole=False)
            colds.append(cold)
            if not record and (len(colds) == COLD or cold > FEW_COLD):
                second, record = _process(session, case, environment, python, whole=True)
    status = record.pop("status")
    record["raw"] = {"cold": colds, **record.get("raw", {})}
    session.record(
        "sampler", case, status=status, cold_seconds=median(colds), second_seconds=second, **record
    )


def _process(
    session: Session, case: Case, environment: Mapping[str, str], python: str | None, *, whole: bool
) -> tuple[float, dict[str, Any]]:
    """A fresh process, from its start to its draws; if ``whole``, or if it is slow, all the rest is measured in it."""
    problems.data(case.N, case.D, case.K)  # remembered, and no part of what the process takes
    problems.start(case.N, case.D, case.K, case.chains)
    if whole:
        problems.expected(case.N, case.D, case.K, problems.num_points(case.N, case.D, case.K))
    with session.fresh(case.backend, environment, python) as child:
        sampler = Sampler(session, case, child)
        first = sampler.sample(sampler.num_draws)
        cold = time.perf_counter() - child.began
        slow = first["seconds"] > SLOW
        if not whole and not slow:
            return cold, {}
        identity = sampler.identity()
        about = sampler.about | {"identity": [identity.as_dict()]}
        if not identity.same:
            return cold, about | {"status": "not the same", "why": identity.why}
        if slow:
            warm = full = first
            one = sampler.sample(1)
        else:
            warm = sampler.sample(sampler.num_draws)
            full, one = resolved(sampler.sample, warm, sampler.num_draws)
        about |= {"warm_seconds": warm["seconds"], "warm_ess": smallest_ess(warm)[0]}
        seeds = SEEDS[: 1 if full["seconds"] > FEW_SEEDS else None]
        if case.backend in PEERS:
            runs, beside = in_turn(session, case, sampler, (full, one), seeds)
        else:
            runs, beside = alone(sampler, (full, one), seeds), None
        times: dict[str, Any] = {"first": first["seconds"], "warm": warm["seconds"], **seconds_of(runs)}
        found = rates([run for run, _ in runs], times)
        if beside is not None:
            about["beside"] = beside | {"ratio": ratio(beside, found)}
        return cold, about | {"status": "ok", "raw": times} | found


def _empty_caches(folder: str, peer: bool) -> dict[str, str]:
    """Compiled programs go to a folder of this case's own: the first process finds none, the second some.

    PyTensor's and Numba's stay where they are: most of what they hold is the library's own, compiled once on a
    machine, as our kernel is; what they remember of a model is to the peer's advantage.
    """
    found = {"JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "jax")}
    return found | ({"XDG_CACHE_HOME": folder} if peer else {})  # where Stan keeps its models
