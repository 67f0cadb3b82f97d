"""A frozen side in the place of a live one: it answers what it was asked when it was frozen, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ppl_parity.backend.contract import Arrays, Groups, Program, Site, Values
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.frozen.file import Frozen, fingerprint, key_of
from ppl_parity.ladder.context import is_discrete
from ppl_parity.pair.pairs import Pair
from ppl_parity.pair.points import Point, PointKind, Walk

MOVED_DATA = "data of the frozen file"  # the quantity of a finding that they are others now


class FrozenProgram:
    """See ``contract.Program``; every call is looked up by the exact values of its arguments.

    Args:
        frozen: the file's content.

    Raises:
        InputError: from any method: that point was not frozen, or the side had refused it.
    """

    def __init__(self, frozen: Frozen) -> None:
        self._frozen = frozen
        self._taken: dict[int, int] = {}  # seed -> the first row of its batch of prior draws
        self._next = 0
        self._replicated: set[str] = set()

    def sites(self, values: Values | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        """The model's sites, at seed 0 or at a frozen point."""
        if seed:
            raise InputError(f"{self._frozen.side}: the answer of sites with another seed was not frozen.")
        return self._frozen.sites if values is None else tuple(self._look_up("sites", values))

    def foreign_statements(self) -> tuple[str, ...]:
        """Statements of the other framework."""
        return self._frozen.foreign

    def params(self, *, seed: int | None = None) -> tuple[Site, ...]:
        """The param statements; of an older file no more than their names, or their initial values."""
        if seed is not None:
            return tuple(self._look_up("params", seed=seed))
        nothing = {"family": "", "batch_shape": (), "event_shape": (), "support": "", "dtype": ""}
        return tuple(
            Site(each, "param", **nothing) if isinstance(each, str) else each for each in self._frozen.params
        )

    def drawn_anew(self) -> Arrays:
        """The initial values in the file, whether they were drawn or not, and the rows that plates took."""
        return {site.name: site.value for site in self.params() if site.value is not None} | self._frozen.held

    def prior_samples(self, *, num_draws: int, seed: int, kept: Collection[str] = ()) -> Arrays:
        """The next rows of the frozen prior draws; the same ones for the same seed."""
        frozen = self._frozen
        self._refuse_keeping(kept)
        if frozen.prior is None:
            raise InputError(frozen.prior_refused)
        total = len(next(iter(frozen.prior.values()))) if frozen.prior else 0
        start = self._taken.get(seed, self._next)
        if start + num_draws > total:
            raise InputError(f"{frozen.side}: {total:,} prior draws were frozen, and no more can be drawn.")
        self._taken[seed], self._next = start, max(self._next, start + num_draws)
        return {name: value[start : start + num_draws] for name, value in frozen.prior.items()}

    def predictive_samples(self, draws: Values, *, seed: int, kept: Collection[str] = ()) -> Arrays:
        """The replicates that were drawn at these values, whatever the seed; once."""
        self._refuse_keeping(kept)
        key = key_of("predictive_samples", draws)
        if key in self._replicated:
            raise InputError(f"{self._frozen.side}: no more replicates of the data were frozen.")
        found = self._look_up("predictive_samples", draws)
        self._replicated.add(key)
        return found

    def _refuse_keeping(self, kept: Collection[str]) -> None:
        if kept:
            names = ", ".join(map(repr, kept))
            raise InputError(f"{self._frozen.side}: the frozen draws were made with {names} drawn, too.")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or not hasattr(Program, name):
            raise AttributeError(f"A program has no method {name!r}.")
        return lambda *args, **kwargs: self._look_up(name, *args, **kwargs)

    def _look_up(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return look_up(self._frozen, name, *args, **kwargs)


class FrozenSide:
    """See ``sides.Side``: no process, and no framework, stands behind it."""

    def __init__(self, frozen: Frozen) -> None:
        self.frozen = frozen
        self.name = frozen.side
        self.warnings: list[str] = []
        self._sampled = False
        self._estimated = 0

    def versions(self) -> dict[str, str]:
        """Those that made the file."""
        return dict(self.frozen.versions)

    def devices(self) -> list[str]:
        """None is needed."""
        return ["cpu"]

    def program(self, model: Any, data: Mapping[str, Any], **options: Any) -> Program:
        """The frozen program, whatever the model: the file is what is checked."""
        return cast(Program, FrozenProgram(self.frozen))

    def sample_posterior(
        self, model: Any, data: Mapping[str, Any], settings: Any, **options: Any
    ) -> tuple[Groups, dict[str, Any]]:
        """All frozen draws at the first call, and none at later ones: the other side may go on alone."""
        frozen = self.frozen
        if frozen.posterior is None:
            raise InputError(frozen.posterior_refused)
        keep = slice(0, 0) if self._sampled else slice(None)
        self._sampled = True
        groups = {
            group: {name: np.asarray(value)[:, keep] for name, value in arrays.items()}
            for group, arrays in frozen.posterior.items()
        }
        return groups, {}

    def automatic(self, guide: Any, data: Mapping[str, Any]) -> dict[str, Any]:
        """What the guide is that was frozen, where the library made it."""
        return dict(self.frozen.automatic)

    def of_guide(self) -> FrozenSide | None:
        """The guide's own side, if one was frozen."""
        return None if self.frozen.guide is None else FrozenSide(self.frozen.guide)

    def elbo(
        self, model: Any, guide: Any, data: Mapping[str, Any], params: Sequence[Values], **options: Any
    ) -> tuple[np.ndarray, Arrays]:
        """The next of the frozen estimates, and none when they are used up: the other side may go on alone."""
        frozen = self.frozen if self.frozen.guide is None else self.frozen.guide
        found = look_up(frozen, "elbo", list(params))
        rows = slice(self._estimated, self._estimated + options["num_draws"])
        self._estimated = rows.stop
        return found["bounds"][:, rows], {name: value[:, rows] for name, value in found["gradients"].items()}

    def responsibilities(
        self, spec: Any, theta: np.ndarray, beta: np.ndarray, x: np.ndarray, **options: Any
    ) -> np.ndarray:
        """The mixture's, at the points where they were asked for."""
        return look_up(self.frozen, "responsibilities", theta, beta)

    def points(self, pair: Pair) -> list[Point]:
        """The frozen points, under Pyro's names."""
        kinds = self.frozen.kinds
        return [
            Point(name, pair.from_side(self.name, values), kinds[name] if name in kinds else _kind(name))
            for name, values in self.frozen.points.items()
        ]

    def walks(self, pair: Pair) -> tuple[Walk, ...]:
        """The frozen trajectories' starts, likewise."""
        return tuple(
            walk.presented(lambda values: pair.from_side(self.name, values)) for walk in self.frozen.walks
        )

    def moved_data(self, data: Mapping[str, Any]) -> list[str]:
        """Arguments whose values are not what they were, of those that both have."""
        now = fingerprint(data)
        return sorted(name for name, value in self.frozen.data.items() if now.get(name, value) != value)


def _kind(name: str) -> PointKind:
    """Of a point of an older file, which has no more than its name."""
    first = name.split()[0] if name else ""
    kinds: dict[str, PointKind] = {"prior": "prior", "near": "near", "tail": "tail", "edge": "edge"}
    return kinds.get(first, "given")


def answerable(
    side: FrozenSide, pair: Pair, rungs: Sequence[str], asked: bool
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """The rungs that can be climbed against a file, and what is said of the others and of the file.

    Args:
        side: the frozen one.
        pair: with the data of now.
        rungs: that were chosen.
        asked: whether they were asked for by name.

    Raises:
        InputError: a rung that was asked for by name, or every rung, is not in the file.
    """
    frozen, reasons = side.frozen, {}
    if "calibration" in rungs:
        reasons["calibration"] = "it fits simulated data in both frameworks"
    if "guide" in rungs and frozen.guide is None and not frozen.automatic:
        reasons["guide"] = "it holds no guide"
    if "elbo" in rungs and not _has_bounds(frozen):
        reasons["elbo"] = "it holds no estimates of the bound"
    if "posterior" in rungs and frozen.posterior is None and _is_sampled(frozen):
        reasons["posterior"] = frozen.posterior_refused
    kept = tuple(name for name in rungs if name not in reasons)
    if reasons and (asked or not kept):
        told = "; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in reasons.items())
        raise InputError(f"Every rung that is asked for must be in the frozen file; {told}.")
    told = [
        Finding(
            "same", "frozen file", f"Not checked, for it is not in the file: {name} ({reason.rstrip('.')})."
        )
        for name, reason in reasons.items()
    ]
    if (frozen.guide or frozen.automatic) and not pair.guides:
        detail = "The file holds a guide, too, which was not checked: the other side was given none."
        told.append(Finding("same", "frozen file", detail))
    moved = side.moved_data(pair.data[side.name])
    if moved:
        names = ", ".join(map(repr, moved))
        detail = f"The data {names} are not those that {side.name} was frozen with."
        told.append(Finding("same", MOVED_DATA, detail, hint="freeze it again, or check with the same data"))
    return kept, tuple(replace(finding, notable=True) for finding in told)


def _has_bounds(frozen: Frozen) -> bool:
    """Not where a library made the guide, nor in a file of before there were any."""
    return frozen.guide is not None and any(key.startswith("elbo ") for key in frozen.guide.answers)


def _is_sampled(frozen: Frozen) -> bool:
    return any(site.kind == "latent" and not is_discrete(site) for site in frozen.sites)


def look_up(frozen: Frozen, name: str, *args: Any, **kwargs: Any) -> Any:
    """The answer to a call.

    Raises:
        InputError: there is none, or the side had refused it.
    """
    key = key_of(name, *args, **kwargs)
    if key not in frozen.answers:
        raise InputError(f"{frozen.side}: the answer of {name} at these values was not frozen.")
    answer = frozen.answers[key]
    if isinstance(answer, dict) and set(answer) == {"refused"} and isinstance(answer["refused"], str):
        raise InputError(answer["refused"])
    return answer
