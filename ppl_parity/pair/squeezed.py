"""A latent site that has an axis of length one on one side alone, (1,) where the other's is (): the same numbers.

The side that has more axes is presented without them, so that values cross and everything is compared; that the shapes
differ is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ppl_parity.backend.contract import DISCRETE_SUPPORTS, Arrays, Groups, Plate, Program, Site, Values
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.stacked_side import StackedProgram, StackedSide
from ppl_parity.process.sides import Side

Dropped = Mapping[str, tuple[int, ...]]
"""site (the side's own name) -> the axes of its value, all of length one, that are not shown."""


@dataclass(frozen=True)
class Squeezing:
    """What is dropped on each side, and both shapes of each site as they were, under Pyro's name."""

    dropped: dict[str, dict[str, tuple[int, ...]]]
    shapes: dict[str, dict[str, tuple[int, ...]]]


def find_squeezing(sites: Mapping[str, Mapping[str, Site]]) -> Squeezing:
    """The axes of length one that one side alone has, of continuous latent sites.

    Args:
        sites: side -> site, under Pyro's names -> description.
    """
    found = Squeezing({side: {} for side in SIDES}, {})
    for name, one in sites["pyro"].items():
        other = sites["numpyro"].get(name)
        if other is None or {one.kind, other.kind} != {"latent"}:
            continue
        if any(site.support.startswith(DISCRETE_SUPPORTS) for site in (one, other)):
            continue
        both = dict(zip(SIDES, (one, other), strict=True))
        shapes = {side: np.shape(np.asarray(site.value)) for side, site in both.items()}
        longer, shorter = sorted(SIDES, key=lambda side: -len(shapes[side]))
        axes = _extra(shapes[longer], shapes[shorter])
        if axes:
            found.dropped[longer][both[longer].name] = axes
            found.shapes[name] = shapes
    return found


def _extra(longer: tuple[int, ...], shorter: tuple[int, ...]) -> tuple[int, ...]:
    """Which axes of length one make the one shape of the other, from the left; none if no such axes do."""
    axes, rest = [], list(shorter)
    for axis, length in enumerate(longer):
        left = len(longer) - axis
        if rest and length == rest[0] and (length != 1 or left == len(rest)):
            rest.pop(0)
        elif length == 1:
            axes.append(axis)
        else:
            return ()
    return () if rest else tuple(axes)


def squeeze(values: Mapping[str, Any], dropped: Dropped, lead: int = 0) -> Arrays:
    """Values, or whatever has the axes of values, without what is dropped; after ``lead`` axes of their own."""
    return {
        name: np.squeeze(np.asarray(value), tuple(lead + axis for axis in dropped[name]))
        if name in dropped
        else value
        for name, value in values.items()
    }


def expand(values: Mapping[str, Any], dropped: Dropped, lead: int = 0) -> dict[str, Any]:
    """The inverse of ``squeeze``."""
    return {
        name: np.expand_dims(np.asarray(value), tuple(lead + axis for axis in dropped[name]))
        if name in dropped
        else value
        for name, value in values.items()
    }


def squeeze_site(site: Site, dropped: Dropped) -> Site:
    """Its description without what is dropped, a plate of one element included."""
    axes = dropped.get(site.name)
    if axes is None or site.value is None:
        return site
    cut = len(site.batch_shape)
    batch = tuple(n for axis, n in enumerate(site.batch_shape) if axis not in axes)
    event = tuple(n for axis, n in enumerate(site.event_shape, cut) if axis not in axes)
    plates = []
    for plate in site.plates:
        if cut + plate.dim in axes:
            continue
        gone = sum(axis > cut + plate.dim for axis in axes if axis < cut)
        plates.append(Plate(plate.name, plate.dim + gone, plate.size, plate.subsample_size))
    value = np.squeeze(np.asarray(site.value), axes)
    return replace(site, batch_shape=batch, event_shape=event, plates=tuple(plates), value=value)


class SqueezedProgram(StackedProgram):
    """See ``contract.Program``."""

    def __init__(self, program: Program, dropped: Dropped) -> None:
        super().__init__(program, ())
        self._dropped = dropped
        described = {site.name: site for site in program.sites()}
        self._batch = {name: described[name].batch_shape for name in dropped}

    def _split(self, values: Values, axis: int = 0) -> dict[str, Any]:
        return expand(values, self._dropped, axis)

    def _merge(self, values: Values, axis: int = 0) -> Arrays:
        return squeeze(values, self._dropped, axis)

    def sites(self, values: Values | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        """The program's own, without the axes."""
        return tuple(squeeze_site(site, self._dropped) for site in super().sites(values, seed=seed))

    def collected(self) -> dict[str, bool]:
        """The program's own."""
        return self._program.collected() if isinstance(self._program, StackedProgram) else {}

    def site_log_probs(self, values: Values) -> Arrays:
        """Elementwise, without the axes of the batch."""
        found = self._program.site_log_probs(self._split(values))
        batch = {
            name: tuple(axis for axis in axes if axis < len(self._batch[name]))
            for name, axes in self._dropped.items()
            if name in found and np.shape(found[name]) == self._batch[name]
        }
        return squeeze(found, batch)

    def log_abs_det_jacobian(self, unconstrained: Values) -> Arrays:
        """The program's own: a number of each site."""
        return self._program.log_abs_det_jacobian(self._split(unconstrained))

    def _kept(self, names: Any) -> dict[str, Any]:
        return {"kept": tuple(names)} if names else {}


class SqueezedSide(StackedSide):
    """See ``sides.Side``: of anything but programs and draws it is the side itself."""

    def __init__(self, side: Any, dropped: Dropped) -> None:
        super().__init__(side, ())
        self._dropped = dropped

    def another(self) -> Side:
        """One more process of the same kind, whose sites are presented likewise."""
        return cast(Side, SqueezedSide(self._side.another(), self._dropped))

    def program(self, model: Any, data: Mapping[str, Any], **options: Any) -> Program:
        """A program of the side, without the axes."""
        return cast(Program, SqueezedProgram(self._side.program(model, data, **options), self._dropped))

    def sample_posterior(
        self, *args: Any, initial_values: Values | None = None, **options: Any
    ) -> tuple[Groups, dict[str, Any]]:
        """NUTS on the side's own sites."""
        own = None if initial_values is None else expand(initial_values, self._dropped, 1)
        groups, attributes = self._side.sample_posterior(*args, initial_values=own, **options)
        return groups | {"posterior": squeeze(groups["posterior"], self._dropped, 2)}, attributes
