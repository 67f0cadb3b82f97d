"""Sites whose axes lie otherwise on the two sides: transposed, which a user says, or with axes of length one.

A layer's weight is (out, in) in torch and (in, out) in flax, a scale is (1,) here and () there: the same numbers. The
site of one side is presented with the other's axes, so that values cross and everything is compared; that the shapes
differ is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ppl_parity.backend.contract import DISCRETE_SUPPORTS, Arrays, Plate, Site, SiteKind
from ppl_parity.errors import InputError
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.stacking import fitting

TURNED = re.compile(r"(.+)\.(m?T|transpose\((-?\d+(?:, *-?\d+)*)\))")  # a name of rename


@dataclass(frozen=True)
class View:
    """How a site's numbers are presented.

    Attributes:
        order: of its axes, as of ``numpy.transpose``.
        dropped: which of them, so ordered, are left out; all of length one.
    """

    order: tuple[int, ...]
    dropped: tuple[int, ...] = ()

    def shown(self, value: Any, lead: int = 0) -> np.ndarray:
        """A value, or what has its axes after ``lead`` others; more may follow.

        Of what has fewer those of the batch: a matrix's unconstrained coordinates are a vector.
        """
        value = np.asarray(value)
        if value.ndim < lead + len(self.order):
            part = self.of_batch(value.ndim - lead)
            return value if part is None else part.shown(value, lead)
        return np.squeeze(_transposed(value, self.order, lead), tuple(lead + axis for axis in self.dropped))

    def own(self, value: Any, lead: int = 0) -> np.ndarray:
        """The inverse of ``shown``."""
        value = np.asarray(value)
        if value.ndim + len(self.dropped) < lead + len(self.order):
            parts = (self.of_batch(count) for count in reversed(range(len(self.order))))
            sizes = [part for part in parts if part and part.num_shown == value.ndim - lead]
            return sizes[0].own(value, lead) if sizes else value
        whole = np.expand_dims(value, tuple(lead + axis for axis in self.dropped))
        return _transposed(whole, tuple(map(int, np.argsort(self.order))), lead)

    @property
    def num_shown(self) -> int:
        """Axes that are left."""
        return len(self.order) - len(self.dropped)

    def of_batch(self, count: int) -> View | None:
        """Of the first ``count`` axes alone; None where the view mixes them with the others."""
        if set(self.order[:count]) != set(range(count)):
            return None
        return View(self.order[:count], tuple(axis for axis in self.dropped if axis < count))


def _transposed(value: np.ndarray, order: tuple[int, ...], lead: int) -> np.ndarray:
    end = lead + len(order)
    return value.transpose(*range(lead), *(lead + axis for axis in order), *range(end, value.ndim))


Views = Mapping[str, View]
"""site (the side's own name) -> how it is presented."""

Turned = Mapping[str, tuple[int, ...] | None]
"""numpyro's site, or a pattern of them -> the order of its axes; None exchanges the last two."""


def find_turned(pair: Pair, own: Mapping[str, Mapping[str, Site]]) -> tuple[Pair, Turned]:
    """What ``rename`` says of axes, ``{"fc.weight": "kernel.T"}``, and the pair without it.

    Args:
        own: side -> site, under the side's own names -> description; a site that is called so has its name.
    """
    rename, turned = {}, {}
    for name, other in pair.rename.items():
        order, said = None, False
        if (found := _suffix(other, own["numpyro"])) is not None:
            other, order = found
            said = True
        elif (found := _suffix(name, own["pyro"])) is not None and found[1] is None:
            name, said = (
                found[0],
                True,
            )  # exchanged twice, they are as they were: whose it is makes no difference
        if said:
            turned[other] = order
        rename[name] = other
    return replace(pair, rename=rename), turned


def _suffix(name: str, sites: Mapping[str, Site]) -> tuple[str, tuple[int, ...] | None] | None:
    """The name without what it says of axes, and that; None if it says nothing."""
    found = TURNED.fullmatch(name)
    if found is None or name in sites or ("*" in name and fitting(name, sites)):
        return None
    return found[1], None if found[3] is None else tuple(map(int, found[3].split(",")))


@dataclass(frozen=True)
class Seen:
    """The views of both sides, and the shapes of these sites, or params, as the models have them (Pyro's names)."""

    views: dict[str, dict[str, View]] = field(default_factory=lambda: {side: {} for side in SIDES})
    shapes: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)


def find_views(sites: Mapping[str, Mapping[str, Site]], turned: Turned) -> Seen:
    """Which sites are presented otherwise: those that are turned, and those with more axes of length one.

    Args:
        sites: side -> site, or param, under Pyro's names -> description.
        turned: of numpyro's.

    Raises:
        InputError: a site has no such axes.
    """
    seen = Seen()
    for name, one in sites["pyro"].items():
        other = sites["numpyro"].get(name)
        if other is None or one.value is None or other.value is None:
            continue
        both = dict(zip(SIDES, (one, other), strict=True))
        shapes = {side: np.shape(np.asarray(site.value)) for side, site in both.items()}
        orders = {side: tuple(range(len(shape))) for side, shape in shapes.items()}
        orders["numpyro"] = _order(other.name, shapes["numpyro"], turned)
        laid = {side: tuple(shapes[side][axis] for axis in orders[side]) for side in SIDES}
        dropped = _dropped(laid) if _is_squeezed(one, other) else dict.fromkeys(SIDES, ())
        for side, site in both.items():
            view = View(orders[side], dropped[side])
            if view != View(tuple(range(len(shapes[side])))):
                seen.views[side][site.name] = view
                seen.shapes[name] = shapes
    return seen


def by_value(name: str, value: np.ndarray, kind: SiteKind = "latent") -> Site:
    """A site of which no more is known than a value."""
    return Site(name, kind, "", value.shape, (), "", str(value.dtype), value=value)


def _is_squeezed(one: Site, other: Site) -> bool:
    """Data whose distribution has another shape keep it: (N, 1) under (N,) is how a likelihood becomes N times N."""
    if one.kind == other.kind == "observed":
        return all(
            np.shape(np.asarray(site.value)) == site.batch_shape + site.event_shape for site in (one, other)
        )
    whole = any(site.support.startswith(DISCRETE_SUPPORTS) for site in (one, other))
    return {one.kind, other.kind} in ({"latent"}, {"latent", "deterministic"}) and not whole


def _order(name: str, shape: tuple[int, ...], turned: Turned) -> tuple[int, ...]:
    axes = tuple(range(len(shape)))
    asked = next((each for each in turned if each == name or ("*" in each and fitting(each, [name]))), None)
    if asked is None:
        return axes
    order = turned[asked]
    if order is None:
        if len(shape) < 2:
            raise InputError(f"rename can transpose a site of two axes or more; {name!r} has shape {shape}.")
        return (*axes[:-2], axes[-1], axes[-2])
    order = tuple(axis + len(axes) * (axis < 0) for axis in order)
    if tuple(sorted(order)) != axes:
        raise InputError(
            f"rename must give every axis of {name!r}, of shape {shape}, one place; got transpose{order}."
        )
    return order


def _dropped(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Axes of length one without which the two shapes are the same; none if no such axes make them so."""
    nothing: dict[str, tuple[int, ...]] = dict.fromkeys(SIDES, ())
    longer, shorter = sorted(SIDES, key=lambda side: -len(shapes[side]))
    if shapes[longer] == shapes[shorter]:
        return nothing
    if axes := extra(shapes[longer], shapes[shorter]):
        return nothing | {longer: axes}
    ones = {side: tuple(axis for axis, n in enumerate(shape) if n == 1) for side, shape in shapes.items()}
    others = {tuple(n for n in shape if n != 1) for shape in shapes.values()}
    return nothing if len(others) > 1 else ones


def extra(longer: tuple[int, ...], shorter: tuple[int, ...]) -> tuple[int, ...]:
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


def shown(values: Mapping[str, Any], views: Views, lead: int = 0) -> Arrays:
    """Values, or whatever has the axes of values after ``lead`` of their own, as they are presented."""
    return {name: views[name].shown(v, lead) if name in views else v for name, v in values.items()}


def own(values: Mapping[str, Any], views: Views, lead: int = 0) -> dict[str, Any]:
    """The inverse of ``shown``."""
    return {name: views[name].own(v, lead) if name in views else v for name, v in values.items()}


def shown_site(site: Site, views: Views) -> Site:
    """Its description; axes that mix those of the batch with an event's are one event's."""
    view = views.get(site.name)
    if view is None or site.value is None:
        return site
    cut = len(site.batch_shape)
    shape = site.batch_shape + site.event_shape
    value = view.shown(site.value)
    batch = view.of_batch(cut)
    kept = 0 if batch is None else cut - len(batch.dropped)
    plates = []
    for plate in site.plates if batch is not None else ():
        place = view.order.index(cut + plate.dim)
        if place not in view.dropped:
            place -= sum(axis < place for axis in view.dropped)
            plates.append(Plate(plate.name, place - kept, plate.size, plate.subsample_size))
    whole = view.shown(np.empty(shape)).shape
    return replace(
        site,
        batch_shape=whole[:kept],
        event_shape=whole[kept:],
        plates=tuple(plates),
        weights=None
        if site.weights is None or batch is None
        else _laid({"": site.weights}, site.batch_shape, batch)[""],
        value=value,
        params=_laid(site.params, shape, view),
        bounds=_laid(site.bounds, shape, view),
    )


def _laid(arrays: Arrays, shape: tuple[int, ...], view: View) -> Arrays:
    """What is one number for all, or has axes of its own, is left."""

    def laid(value: np.ndarray) -> np.ndarray:
        try:
            return view.shown(np.broadcast_to(value, shape)) if value.ndim else value
        except ValueError:
            return value

    return {name: laid(np.asarray(value)) for name, value in arrays.items()}
