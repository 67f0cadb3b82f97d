"""One side of a pair in a process of its own, as it is timed: its gradient, and its runs of NUTS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.child import Child
from benchmarks.identity import Identity, same_gradients
from ppl_parity.backend.contract import Arrays
from ppl_parity.ladder.context import Context
from ppl_parity.pair.holding import released
from ppl_parity.pair.stacking import merge, split
from ppl_parity.pair.views import own, shown
from ppl_parity.process.references import Reference
from ppl_parity.spec import SamplerSettings

EAGER = {"PPL_PARITY_RECORD": "0"}
NUM_POINTS = 12  # at which the timed function is held to the checked one


@dataclass(frozen=True)
class Plan:
    """How a pair is timed.

    Attributes:
        num_chains, num_warmup, num_draws: of a run of NUTS.
        seeds: a run each.
        budget: seconds of timing each side's gradient.
        patience: seconds after which a step is given up.
        precision, device: of both sides.
        samplers: whether NUTS is timed, or gradients alone.
        eager: whether Pyro is timed as it comes too, the model's Python run for each gradient.
    """

    num_chains: int = 1
    num_warmup: int = 300
    num_draws: int = 300
    seeds: tuple[int, ...] = (1, 2, 3)
    budget: float = 2.0
    patience: float = 600.0
    precision: str = "float64"
    device: str = "cpu"
    samplers: bool = True
    eager: bool = False

    def settings(self, num_draws: int, seed: int) -> SamplerSettings:
        """Of one run."""
        return SamplerSettings(
            num_draws=num_draws,
            num_warmup=self.num_warmup,
            num_chains=self.num_chains,
            seed=seed,
            init="uniform",
            precision=self.precision,
            device=self.device,
        )


class System:
    """A side of the pair, built in ``child``; sites have the names that the check compares them by.

    Args:
        name: what it is called in tables.
        side: ``pyro`` or ``numpyro``.
        starts: where chains begin, under Pyro's names; None leaves it to the side.
    """

    def __init__(
        self, name: str, side: str, child: Child, context: Context, plan: Plan, starts: Arrays | None
    ) -> None:
        self.name, self.side = name, side
        self._child, self._context, self._plan = child, context, plan
        self._stacks = tuple(context.stacks.get(side, ()))
        self._views = dict(context.views.get(side, {}))
        self._starts = None if starts is None else self._own(starts)
        pair = context.pair
        self.about: dict[str, Any] = self._call(
            "build",
            backend=side,
            model=pair.models[side],
            data=pair.data[side],
            max_plate_nesting=pair.max_plate_nesting,
            precision=plan.precision,
            device=plan.device,
        )

    def cold(self) -> dict[str, Any]:
        """A first run: ``whole_seconds`` are from the start of the process to its draws."""
        run = self.sample(self._plan.num_draws, self._plan.seeds[0])
        return run | {"whole_seconds": time.perf_counter() - self._child.began}

    def sample(self, num_draws: int, seed: int) -> dict[str, Any]:
        """A run of NUTS; see ``benchmarks.pair.child.sample``."""
        run = self._call("sample", settings=self._plan.settings(num_draws, seed), starts=self._starts)
        merged = shown(merge(run["posterior"], self._stacks, axis=2), self._views, 2)
        return run | {"posterior": self._context.pair.from_side(self.side, merged)}

    def hold(self, points: list[Arrays]) -> Identity:
        """Whether the function that will be timed is the one that was checked, at unconstrained points."""
        program = self._context.programs[self.side]
        named = [self._context.pair.to_side(self.side, point) for point in points]
        checked = [program.potential_and_gradient(point) for point in named]
        rows = [split(own(point, self._views), self._stacks) for point in named]
        stacked = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
        typical = {name: value[:1] for name, value in stacked.items()}
        timed = self._call("begin", points=stacked, typical=typical)
        self.about |= {name: timed[name] for name in ("first_seconds", "potential", "compiled_loop")}
        values = np.array([value for value, _ in checked])
        slopes = {name: np.stack([slope[name] for _, slope in checked]) for name in checked[0][1]}
        got = shown(merge(timed["gradients"], self._stacks, axis=1), self._views, 1)
        score = float(np.median([_largest(slope) for _, slope in checked]))
        return same_gradients(
            (values, slopes), (np.asarray(timed["values"]), got), self._plan.precision, score
        )

    def measure(self, budget: float) -> dict[str, Any]:
        """See ``benchmarks.gradients.measure``."""
        return self._call("measure", budget=budget)

    def begin_learning(self, guide: Reference) -> dict[str, Any]:
        """See ``benchmarks.pair.child.begin_learning``; of the model as it was handed over, with nothing held."""
        model = self._context.pair.models[self.side]
        return self._call("begin_learning", model=released(model), guide=released(guide))

    def learn(self, budget: float) -> dict[str, Any]:
        """See ``benchmarks.pair.child.learn``."""
        return self._call("learn", budget=budget)

    def _own(self, values: Arrays) -> Mapping[str, Any]:
        """Starts (C, ...) under the side's own names."""
        named = self._context.pair.to_side(self.side, values)
        return split(own(named, self._views, 1), self._stacks, axis=1)

    def _call(self, name: str, **arguments: Any) -> Any:
        return self._child.call(f"benchmarks.pair.child:{name}", self._plan.patience, **arguments)


def _largest(slope: Arrays) -> float:
    return max((float(np.max(np.abs(value), initial=0.0)) for value in slope.values()), default=0.0)
