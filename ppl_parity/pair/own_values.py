"""A point that a user gave, in the terms of one side alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.errors import InputError, nearest
from ppl_parity.pair.pairs import Pair
from ppl_parity.pair.stacking import find_stacks, merge, merge_sites, split
from ppl_parity.pair.views import by_value, find_turned, find_views, own, shown


def own_values(
    pair: Pair, side: str, sites: Mapping[str, Site], values: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """A point that a user gave, under the names of one side, where the other's sites are not known.

    Raises:
        InputError: it names what is no site of the side.
    """
    strangers = {name: value for name, value in values.items() if side == "numpyro" or name not in sites}
    others = {n: by_value(n, np.asarray(value)) for n, value in strangers.items()}
    both = {side: sites, next(other for other in ("pyro", "numpyro") if other != side): others}
    found, turned = find_turned(replace(pair, points={}), both)
    found, stacks = find_stacks(found, both, partial=True)
    merged: Mapping[str, Any] = values
    views = {}
    if side == "numpyro":
        merged = merge(dict(values), stacks["pyro"])
        whole = {name: by_value(name, np.asarray(value)) for name, value in merged.items()}
        described = {site.name: site for site in merge_sites(sites.values(), stacks[side])}
        seen = find_views({"pyro": whole, "numpyro": found.from_side(side, described)}, turned)
        merged, views = shown(merged, seen.views["pyro"]), seen.views[side]
    point = split(own(found.to_side(side, merged), views), stacks[side])
    for name in point:
        if name not in sites:
            raise InputError(
                f"points must name sites of {side}'s model, of {', '.join(sites)}; got {name!r}."
                f"{nearest(name, [*sites])}"
            )
    return point
