"""What each run of a model draws anew beside its sites is one value on both sides: an initial value, a plate's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ppl_parity.backend.contract import Plate, Program, Site
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.views import Turned, by_value, find_views, own, shown
from ppl_parity.process.references import HeldReference, Reference


def hold(
    pair: Pair,
    programs: Mapping[str, Program],
    turned: Turned = MappingProxyType({}),
    frozen: str | None = None,
) -> Pair:
    """The pair, with the same random initial values of params, and the same random rows of plates, on both sides.

    Args:
        programs: of both sides.
        turned: numpyro's params whose axes lie otherwise.
        frozen: the side that is a file, and has the values that it was frozen with.
    """
    drawn = {side: programs[side].drawn_anew() for side in SIDES}
    described = {
        side: {name: by_value(name, np.asarray(value), "param") for name, value in drawn[side].items()}
        for side in SIDES
    }
    views = find_views({side: pair.from_side(side, described[side]) for side in SIDES}, turned).views
    anew = {side: pair.from_side(side, shown(drawn[side], views[side])) for side in SIDES}
    values = {
        name: value
        for name, value in anew[frozen or SIDES[0]].items()
        if all(name in anew[side] and np.shape(anew[side][name]) == np.shape(value) for side in SIDES)
    }
    if not values:
        return pair
    models = {
        side: HeldReference.of(model, own(pair.to_side(side, values), views[side]))
        for side, model in pair.models.items()
    }
    return replace(pair, models=models)


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
