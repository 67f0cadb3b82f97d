"""What each run of a model draws anew beside its sites is one value on both sides: an initial value, a plate's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ppl_parity.backend.contract import Arrays, Plate, Program, Site
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.views import Turned, View, by_value, find_views, own, shown
from ppl_parity.process.references import HeldReference, Reference


@dataclass(frozen=True)
class _Known:
    """What a side says of its params and plates, under Pyro's names and as they are presented.

    Attributes:
        anew: what each run draws, and its value in one.
        fixed: initial values of the other params; none where nobody asks.
    """

    anew: Arrays
    fixed: Arrays


def hold(
    pair: Pair,
    programs: Mapping[str, Program],
    turned: Turned = MappingProxyType({}),
    frozen: str | None = None,
) -> tuple[Pair, dict[str, str]]:
    """The pair, with the same random initial values of params, and the same random rows of plates, on both sides.

    Args:
        programs: of both sides.
        turned: numpyro's params whose axes lie otherwise.
        frozen: the side that is a file, and has the values that it was frozen with.

    Returns:
        the pair; and param -> the side whose runs draw it anew, where the other's is fixed, and both have that.
    """
    known, views = _known(pair, programs, turned)
    values: dict[str, Arrays] = {side: {} for side in SIDES}
    alone: dict[str, str] = {}
    for side, other in (SIDES, SIDES[::-1]):
        here, there = known[side], known[other]
        for name, value in here.anew.items():
            if name in there.anew and np.shape(there.anew[name]) == np.shape(value):
                values[side][name] = known[frozen or SIDES[0]].anew[name]
            elif name in there.fixed and np.shape(there.fixed[name]) == np.shape(value) and side != frozen:
                values[side][name], alone[name] = there.fixed[name], side
    models = {
        side: HeldReference.of(model, own(pair.to_side(side, values[side]), views[side]))
        if values[side]
        else model
        for side, model in pair.models.items()
    }
    return (replace(pair, models=models) if any(values.values()) else pair), alone


def _known(
    pair: Pair, programs: Mapping[str, Program], turned: Turned
) -> tuple[dict[str, _Known], dict[str, dict[str, View]]]:
    """Of both sides, and how what they draw anew, or learn, is presented."""
    drawn = {side: programs[side].drawn_anew() for side in SIDES}
    named = {side: set(pair.from_side(side, drawn[side])) for side in SIDES}
    fixed: dict[str, Arrays] = {side: {} for side in SIDES}
    for side, other in (SIDES, SIDES[::-1]):
        if named[other] - named[side]:
            fixed[side] = {
                param.name: param.value for param in programs[side].params() if param.value is not None
            }
    described = {
        side: {
            name: by_value(name, np.asarray(value), "param")
            for name, value in {**fixed[side], **drawn[side]}.items()
        }
        for side in SIDES
    }
    views = find_views({side: pair.from_side(side, described[side]) for side in SIDES}, turned).views

    def presented(side: str, found: Arrays) -> Arrays:
        return pair.from_side(side, shown(found, views[side]))

    return {side: _Known(presented(side, drawn[side]), presented(side, fixed[side])) for side in SIDES}, views


def plates_apart(sites: Mapping[str, Mapping[str, Site]]) -> tuple[tuple[Plate, Plate], ...]:
    """Plates of one name that take another number of rows on each side, or of another number: no rows are of both.

    Args:
        sites: side -> site -> description.
    """
    plates = {
        side: {plate.name: plate for site in sites[side].values() for plate in site.plates} for side in SIDES
    }
    pairs = [
        (plates["pyro"][name], plates["numpyro"][name])
        for name in plates["pyro"]
        if name in plates["numpyro"]
    ]
    return tuple(
        (a, b)
        for a, b in pairs
        if (a.size, a.subsample_size) != (b.size, b.subsample_size)
        and (a.subsample_size < a.size or b.subsample_size < b.size)
    )


def released(model: Reference) -> Reference:
    """The model as it was handed over, which draws what is held."""
    return model.model if isinstance(model, HeldReference) else model


def names_held(pair: Pair, side: str) -> tuple[str, ...]:
    """The params, and the plates, of a side that are held; under its own names."""
    model = pair.models[side]
    return tuple(model.values()) if isinstance(model, HeldReference) else ()
