"""Samplers of one posterior: cold, warm, and the rates whose product explains every ratio between them.

    ESS a second = (ESS a leapfrog) / (seconds a leapfrog),    ESS: the smallest bulk ESS of theta and beta

Nothing needs a clock inside a sampler: a run of S draws and a run of one draw have the same warmup (the same
seed), so their difference is what S - 1 draws took.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks import problems
from benchmarks.cases import Case
from benchmarks.identity import same_values
from benchmarks.session import Session
from benchmarks.systems import PEERS
from ppl_parity import reference

NUM_WARMUP, NUM_DRAWS = 300, 300
# Of one chain an ESS is known to a tenth or so; so is one time, on a machine with neighbours.
SEEDS = (1, 2, 3, 4)
# The smallest share of a run that its draws may be, or a difference of two runs does not resolve them: the draws
# are then made LONGER times as many, up to MOST.
RESOLVED, LONGER, MOST = 0.7, 4, 20_000
SLOW = 120.0  # seconds of a run beyond which compiling is little of it: one process tells all, and no run is repeated
FEW_SEEDS = 40.0  # seconds of a run beyond which there is one seed
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
    options = {"num_warmup": NUM_WARMUP, "num_draws": NUM_DRAWS} | dict(case.options)
    size = (case.N, case.D, case.K)
    spec, truth = problems.data(*size)
    start = problems.start(*size, case.chains)
    count = problems.num_points(*size)
    if whole:
        problems.expected(*size, count)
    with session.fresh(case.backend, environment, python) as child:
        loaded = child.call("benchmarks.sampling:load", session.patience, system=case.backend)
        settings = child.call(
            "benchmarks.sampling:build",
            session.patience,
            system=case.backend,
            formulation=case.formulation,
            spec=spec,
            x=truth["x"],
            dtype=case.dtype,
            device=case.device,
        )

        def sample(num_draws: int, seed: int = SEEDS[0]) -> dict[str, Any]:
            run = {"num_warmup": options["num_warmup"], "num_draws": num_draws, "seed": seed}
            return child.call("benchmarks.sampling:sample", session.patience, **start, **run)

        first = sample(options["num_draws"])
        cold = time.perf_counter() - child.began
        slow = first["seconds"] > SLOW
        if not whole and not slow:
            return cold, {}
        about: dict[str, Any] = {
            "versions": loaded["versions"],
            "flags": child.flags,
            "settings": settings,
            "import_seconds": loaded["seconds"],
        }
        points = [reference.constrain(spec, u) for u in problems.rows_of(problems.points(*size, count))]
        theta, beta = (np.stack([point[name] for point in points]) for name in ("theta", "beta"))
        got = child.call("benchmarks.sampling:log_density", session.patience, theta=theta, beta=beta)
        expected = np.array(
            [reference.log_density(spec, t, b, truth["x"]) for t, b in zip(theta, beta, strict=True)]
        )
        identity = same_values(expected, got, case.dtype)
        about["identity"] = [identity.as_dict()]
        if not identity.same:
            return cold, about | {"status": "not the same", "why": identity.why}
        if slow:
            warm = full = first
            one = sample(1)
        else:
            warm = sample(options["num_draws"])
            full, one = _resolved(sample, warm, options["num_draws"])
        about |= {"warm_seconds": warm["seconds"], "warm_ess": smallest_ess(warm)[0]}
        seeds = SEEDS[1:] if full["seconds"] <= FEW_SEEDS else ()
        runs = [(full, one), *((sample(_length(full), seed), sample(1, seed)) for seed in seeds)]
        times: dict[str, Any] = {"first": first["seconds"], "warm": warm["seconds"]}
        times |= {name: [run[i]["seconds"] for run in runs] for i, name in enumerate(("full", "one"))}
        return cold, about | {"status": "ok", "raw": times} | rates([run for run, _ in runs], times)


def _resolved(
    sample: Callable[[int], dict[str, Any]], full: dict[str, Any], num_draws: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run long enough that its draws are most of it, ``full`` or a longer one; and one of a single draw."""
    sample(1)  # a run of another length may be another program
    one = sample(1)
    while full["seconds"] - one["seconds"] < RESOLVED * full["seconds"] and num_draws * LONGER <= MOST:
        num_draws *= LONGER
        sample(num_draws)
        full = sample(num_draws)
    return full, one


def rates(runs: Sequence[Mapping[str, Any]], times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What explains the speed of a run: means of ESS and leapfrogs, the median of the seconds a leapfrog.

    Args:
        runs: with one seed each and draws alike in number: theta (C, S, K), beta (C, S, K, D), n_steps (C, S),
            diverging (C, S).
        times: seconds of each run as a whole, ``full``, and of one like it with a single draw, ``one``.
    """
    found = [smallest_ess(run) for run in runs]
    flat, sizes = found[0][1:]
    num_chains, num_draws = flat.shape[:2]
    every = [int(np.sum(run["n_steps"])) for run in runs]
    smallest, steps = float(np.mean([one[0] for one in found])), float(np.mean(every))
    gaps = np.subtract(times["full"], times["one"]) * num_draws / max(1, num_draws - 1)
    taken = gaps * num_chains / np.asarray(every)
    each = float(np.median(taken)) if np.all(gaps > 0) else None  # not resolved, however many draws
    return {
        "num_seeds": len(runs),
        "num_draws": num_draws,
        "draw_seconds": None if each is None else float(np.median(gaps)),
        "seconds_per_leapfrog": each,
        "seconds_per_leapfrog_of_seeds": taken.tolist(),
        "leapfrogs_per_draw": steps / (num_chains * num_draws),
        "ess": smallest,
        "ess_per_leapfrog": smallest / steps,
        "ess_per_leapfrog_of_seeds": [one[0] / n for one, n in zip(found, every, strict=True)],
        "ess_per_second": None if each is None else num_chains * smallest / steps / each,
        "divergences": int(sum(np.sum(run["diverging"]) for run in runs)),
        "posterior": {
            "mean": flat.mean(axis=(0, 1)),
            "mcse": flat.std(axis=(0, 1)) / np.sqrt(sizes),
        },
    }


def _length(draws: Mapping[str, Any]) -> int:
    return int(np.shape(draws["n_steps"])[1])


def smallest_ess(draws: Mapping[str, Any]) -> tuple[float, np.ndarray, np.ndarray]:
    """The smallest bulk ESS of theta and beta, components relabelled; the draws (C, S, Q); every ESS (Q,)."""
    from ppl_parity.statistics.diagnostics import ess
    from ppl_parity.statistics.labels import apply, relabel

    theta, beta = np.asarray(draws["theta"]), np.asarray(draws["beta"])
    named = relabel(theta, beta)
    flat = np.concatenate(
        [apply(named, theta), apply(named, beta).reshape(*beta.shape[:2], -1)], axis=-1, dtype=np.float64
    )
    sizes = ess(flat)
    return float(np.min(sizes)), flat, sizes


def _empty_caches(folder: str, peer: bool) -> dict[str, str]:
    """Compiled programs go to a folder of this case's own: the first process finds none, the second some.

    PyTensor's and Numba's stay where they are: most of what they hold is the library's own, compiled once on a
    machine, as our kernel is; what they remember of a model is to the peer's advantage.
    """
    found = {"JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "jax")}
    return found | ({"XDG_CACHE_HOME": folder} if peer else {})  # where Stan keeps its models
