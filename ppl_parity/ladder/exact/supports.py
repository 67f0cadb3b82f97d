"""Do both models declare the same supports? Their bounds may be arrays, and may move with other sites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES

NUM_POINTS = 3
NEAR = {"rtol": 1e-6, "atol": 1e-9}  # each side computes a bound in its own order


def supports_differ(context: Context, name: str, a: Site, b: Site) -> tuple[str, str, bool] | None:
    """Both supports in words, and whether they move with other sites; None where they are the same.

    Args:
        name: of a site that both have, under Pyro's name.
        a, b: pyro's and numpyro's, each at a draw of its own: a support that moves is another one there.
    """
    if _alike(a, b):
        return None
    at = _described(context)
    if at:
        apart = [both for both in at if not _alike(both["pyro"][name], both["numpyro"][name])]
        known = [both for both in at if all(set(both[s][name].bounds) >= set(a.bounds) for s in SIDES)]
        if not apart and known:  # at values that both share they are the same
            return None
        a, b = (apart[0][side][name] for side in SIDES) if apart else (a, b)
    return *_in_words(a, b), not at and any(_moves(context, side, name) for side in context.live)


def _alike(a: Site, b: Site) -> bool:
    """By their bounds, where all are known: a name says more, as whether these are constant to the last digit."""
    compared = list(_bounds(a, b))
    kinds = [site.support.partition("(")[0] for site in (a, b)]
    known = kinds[0] == kinds[1] and 0 < len(compared) == len(set(a.bounds) | set(b.bounds))
    return (known or a.support == b.support) and not any(np.any(apart) for _, _, _, apart in compared)


def _bounds(a: Site, b: Site) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Each end that both have, its values for each number of the site on either side, and where they differ."""
    values = [site.value for site in (a, b) if site.value is not None]  # a file has none at its points
    for end in sorted(set(a.bounds) & set(b.bounds)):  # an older file has none
        try:
            shape = (
                values[0].shape if values else np.broadcast_shapes(a.bounds[end].shape, b.bounds[end].shape)
            )
            left, right = (np.broadcast_to(site.bounds[end], shape) for site in (a, b))
        except ValueError:  # of a support that is no set of numbers
            continue
        yield end, left, right, ~np.isclose(left, right, equal_nan=True, **NEAR)


def _described(context: Context) -> list[dict[str, Mapping[str, Site]]]:
    """Both sides' sites at some shared points; none where there is no such point."""
    known = context.results.get("described at points")
    if known is not None:
        return known
    found: list[dict[str, Mapping[str, Site]]] = []
    points = list(context.points)
    for point in points[:: max(1, len(points) // NUM_POINTS)][:NUM_POINTS]:
        try:
            described = context.both(
                lambda side, program, point=point: program.sites(context.values(side, point, discrete=True))
            )
        except InputError:
            continue
        named = {side: {site.name: site for site in described[side]} for side in SIDES}
        found.append({side: context.pair.from_side(side, named[side]) for side in SIDES})
    context.results["described at points"] = found
    return found


def _moves(context: Context, side: str, name: str) -> bool:
    """Whether a side declares another support in its next draw."""
    again = context.pair.from_side(side, {site.name: site for site in context.programs[side].sites(seed=1)})
    return name in again and not _alike(context.sites[side][name], again[name])


def _in_words(a: Site, b: Site) -> tuple[str, str]:
    """The supports; with the first bounds that differ, where the names do not say it."""
    if a.support == b.support:
        for end, left, right, apart in _bounds(a, b):
            if np.any(apart):
                index = tuple(int(i) for i in np.argwhere(apart)[0])
                place = f"[{', '.join(map(str, index))}]" if index else ""
                return (
                    f"{a.support} with {end}{place} {left[index]:.7g}",
                    f"{b.support} with {end}{place} {right[index]:.7g}",
                )
    return a.support, b.support
