"""One sampler in a process of its own, and its runs.

Nothing needs a clock inside a sampler: a run of S draws and a run of one draw have the same warmup (the same
seed), so their difference is what S - 1 draws took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import problems
from benchmarks.cases import Case
from benchmarks.child import Child
from benchmarks.identity import Identity, same_values
from benchmarks.session import Session
from ppl_parity import reference

NUM_WARMUP, NUM_DRAWS = 300, 300
# Of one chain an ESS is known to a tenth or so; so is one time, on a machine with neighbours.
SEEDS = (1, 2, 3, 4)
# The smallest share of a run that its draws may be, or a difference of two runs does not resolve them: the draws
# are then made LONGER times as many, up to MOST.
RESOLVED, LONGER, MOST = 0.7, 4, 20_000

Pair = tuple[dict[str, Any], dict[str, Any]]
"""A run of some draws, and one like it with a single draw."""


class Sampler:
    """One system at one size in a process of its own, loaded and built."""

    def __init__(self, session: Session, case: Case, child: Child) -> None:
        size = (case.N, case.D, case.K)
        options = {"num_warmup": NUM_WARMUP, "num_draws": NUM_DRAWS} | dict(case.options)
        self.num_warmup, self.num_draws = options["num_warmup"], options["num_draws"]
        self._case, self._child, self._patience = case, child, session.patience
        self._spec, truth = problems.data(*size)
        self._x, self._start = truth["x"], problems.start(*size, case.chains)
        loaded = self._call("load", system=case.backend)
        named = {name: getattr(case, name) for name in ("formulation", "dtype", "device")}
        settings = self._call("build", system=case.backend, spec=self._spec, x=self._x, **named)
        self.about: dict[str, Any] = {
            "versions": loaded["versions"],
            "flags": child.flags,
            "settings": settings,
            "import_seconds": loaded["seconds"],
        }

    def _call(self, name: str, **arguments: Any) -> Any:
        return self._child.call(f"benchmarks.sampling:{name}", self._patience, **arguments)

    def sample(self, num_draws: int, seed: int = SEEDS[0]) -> dict[str, Any]:
        """See ``benchmarks.sampling.sample``."""
        return self._call("sample", **self._start, num_warmup=self.num_warmup, num_draws=num_draws, seed=seed)

    def pair(self, num_draws: int, seed: int) -> Pair:
        """A run of ``num_draws``, and one of a single draw."""
        return self.sample(num_draws, seed), self.sample(1, seed)

    def identity(self) -> Identity:
        """Whether its density is the reference's."""
        size, spec = (self._case.N, self._case.D, self._case.K), self._spec
        rows = problems.rows_of(problems.points(*size, problems.num_points(*size)))
        points = [reference.constrain(spec, u) for u in rows]
        theta, beta = (np.stack([point[name] for point in points]) for name in ("theta", "beta"))
        got = self._call("log_density", theta=theta, beta=beta)
        pairs = zip(theta, beta, strict=True)
        expected = np.array([reference.log_density(spec, t, b, self._x) for t, b in pairs])
        return same_values(expected, got, self._case.dtype)


def resolved(
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


def length(draws: Mapping[str, Any]) -> int:
    """How many draws a run has."""
    return int(np.shape(draws["n_steps"])[1])


def seconds_of(runs: Sequence[Pair]) -> dict[str, list[float]]:
    """Seconds of the runs as a whole, and of those with a single draw."""
    return {name: [run[i]["seconds"] for run in runs] for i, name in enumerate(("full", "one"))}
