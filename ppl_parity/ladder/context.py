"""What every rung is given: the two sides, their programs, what is shared, and what is left of the budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

import numpy as np

from ppl_parity.backend.contract import DISCRETE_SUPPORTS, Arrays, Plate, Program, Site
from ppl_parity.errors import InputError
from ppl_parity.findings import RungResult
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.points import Point, Walk
from ppl_parity.pair.stacking import Stack
from ppl_parity.pair.views import Views
from ppl_parity.process.at_once import at_once
from ppl_parity.process.sides import Side
from ppl_parity.spec import check_seed

BUDGET = 180.0
LONG_BUDGET = 900.0  # a calibration refits both models some hundred times


@dataclass(frozen=True)
class CheckSettings:
    """How a check is run.

    Args:
        seed: of everything random.
        false_alarm: the probability that a check of two models that are the same calls them different,
            over all sampling rungs together; it is split before anything runs.
        margin: what ``same`` excludes, with 95 % confidence: a difference of this, or more, in a mean, or in a spread
            (the mean of (x - mean)^2: of normal draws, 0.15 is a standard deviation 11 % larger), in
            standard deviations of the draws, of both sides pooled.
        budget: seconds that the sampling rungs may take together; None is ``BUDGET``, and ``LONG_BUDGET`` where
            calibration is among them.
        num_points: shared points of the deterministic rungs, at least 20.
        keep_going: climb on after a difference.
    """

    seed: int = 0
    false_alarm: float = 0.01
    margin: float = 0.15
    budget: float | None = None
    num_points: int = 24
    keep_going: bool = False

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for name, value in {
            "false_alarm": self.false_alarm,
            "margin": self.margin,
            "budget": self.budget,
        }.items():
            if value is not None and not value > 0:
                raise InputError(f"{name} must be positive; got {value}.")
        if self.false_alarm >= 1:
            raise InputError(f"false_alarm must be below 1; got {self.false_alarm}.")
        if self.num_points < 20:
            raise InputError(f"num_points must be at least 20; got {self.num_points}.")

    def seconds(self, rungs: Sequence[str]) -> float:
        """The budget of these rungs."""
        if self.budget is not None:
            return self.budget
        return LONG_BUDGET if "calibration" in rungs else BUDGET


class Points(Sequence[Point]):
    """Points that are found when they are first asked for: the sampling rungs seldom need them."""

    def __init__(self, find: Callable[[], Sequence[Point]]) -> None:
        self._find = find

    @cached_property
    def _found(self) -> Sequence[Point]:
        return self._find()

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Point]: ...
    def __getitem__(self, index: int | slice) -> Point | Sequence[Point]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)


@dataclass
class Context:
    """The state of one climb.

    Attributes:
        pair, settings: what is checked, and how.
        sides: side -> its process.
        programs: side -> the pair's program there, in float64.
        sites: side -> site (under Pyro's names) -> description, at seed 0.
        shared: latent sites that both sides have, in whatever shape (``misshapen``).
        points: where the deterministic rungs compare.
        alpha: rung -> its share of the false-alarm probability.
        results: what a rung leaves for later ones and for plots, such as ``posterior draws``.
        progress: told what is being done. finished: told each rung's result.
        frozen: the side that is a file, and answers only what was asked of it when it was frozen; or None.
        walks: the trajectories that it walked then.
        precision: float32 once a side was found to store a site in it, and to differ by no more than that.
        rungs: that are climbed; empty where that is not known.
        stacks: side -> those of its sites that are compared as one of the other's.
        views: side -> those of its sites (the side's own names) that are presented with other axes.
        shapes: site -> side -> its shape as the model has it, of these.
        guide: prepares the climb of the guides, where the pair has some and a rung of theirs is climbed.
    """

    pair: Pair
    settings: CheckSettings
    sides: dict[str, Side]
    programs: dict[str, Program]
    sites: dict[str, dict[str, Site]]
    shared: tuple[str, ...]
    points: Sequence[Point]
    alpha: dict[str, float]
    results: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[str], None] = lambda _: None
    finished: Callable[[RungResult], None] = lambda _: None
    deadline: float = field(default_factory=lambda: time.monotonic() + 180.0)
    frozen: str | None = None
    walks: tuple[Walk, ...] = ()
    precision: str = "float64"
    rungs: tuple[str, ...] = ()
    stacks: Mapping[str, Sequence[Stack]] = field(default_factory=dict)
    views: Mapping[str, Views] = field(default_factory=dict)
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    guide: Callable[[], Context] | None = None

    @property
    def live(self) -> tuple[str, ...]:
        """The sides that can be asked anything."""
        return tuple(side for side in SIDES if side != self.frozen)

    @property
    def asked(self) -> str:
        """The side whose program is asked at new points: numpyro, which answers faster, unless it is frozen."""
        return self.live[-1]

    @property
    def anchor(self) -> str:
        """The side in whose unconstrained coordinates both are compared."""
        return self.frozen or "pyro"

    @property
    def reparameterised(self) -> bool:
        """Whether the two sides have different latent sites, those that are summed out left aside."""
        kept = [
            {n for n, site in self.sites[side].items() if site.kind == "latent" and not site.enumerated}
            for side in SIDES
        ]
        return kept[0] != kept[1]

    @property
    def misshapen(self) -> tuple[str, ...]:
        """Latent sites that both sides have, in different shapes: no value of one is a value of the other."""
        values = {name: [self.sites[side][name].value for side in SIDES] for name in self.shared}
        return tuple(n for n, (a, b) in values.items() if np.shape(np.asarray(a)) != np.shape(np.asarray(b)))

    @property
    def enumerated_on_one_side(self) -> tuple[str, ...]:
        """Sites that one side sums out and the other does not have."""
        found = [{n for n, site in self.sites[side].items() if site.enumerated} for side in SIDES]
        return tuple(sorted(n for n in found[0] ^ found[1] if not all(n in self.sites[s] for s in SIDES)))

    @property
    def not_summed(self) -> tuple[str, ...]:
        """Discrete latent sites that neither side can sum out, such as a Poisson's: there is no potential then."""
        found = [
            {
                n
                for n, s in self.sites[side].items()
                if s.kind == "latent" and is_discrete(s) and not s.enumerated
            }
            for side in SIDES
        ]
        return tuple(sorted(found[0] & found[1]))

    def both(self, evaluate: Callable[[str, Program], Any]) -> dict[str, Any]:
        """Ask the same of both programs, at the same time: each is a process of its own."""
        asked = at_once(lambda side: evaluate(side, self.programs[side]), SIDES, self.sides.values())
        return {side: answer.result() for side, answer in asked.items()}

    def values(self, side: str, point: Point, *, discrete: bool) -> Arrays:
        """A point under ``side``'s names, for a call of its program; without discrete sites on request."""
        sites = self.sites[side]
        chosen = {
            name: value
            for name, value in point.values.items()
            if name in sites and sites[name].kind == "latent" and (discrete or not is_discrete(sites[name]))
        }
        return self.pair.to_side(side, chosen)

    def seconds_left(self) -> float:
        """What is left of the sampling rungs' budget."""
        return self.deadline - time.monotonic()


def subsampled(context: Context) -> tuple[Plate, ...]:
    """Plates that take some of their rows, the same ones on both sides; as Pyro has them."""
    plates = {plate.name: plate for site in context.sites["pyro"].values() for plate in site.plates}
    return tuple(plate for plate in plates.values() if plate.subsample_size < plate.size)


def is_discrete(site: Site) -> bool:
    """Whether a site's values are integers, whatever dtype a framework stores them in."""
    return site.support.startswith(DISCRETE_SUPPORTS)
