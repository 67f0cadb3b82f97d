"""Is a difference that of float32 and no more? Parity is judged in float64; what float32 costs is measured beside it.

A site that one side stores in float32 has a log prob of seven digits. Where a pair's densities part by no more
than that, and only at such sites, the models are the same; how far they drift is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.exact.conditioning import moved_by_rounding
from ppl_parity.ladder.exact.log_probs import SiteLogProbs, sums_of
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.tolerances import allowed

NARROW = "float32"
ROUNDED_POINTS = 16  # at which is asked what was cast
NARROW_NUDGE = 2.0**-24  # relative: half a spacing of float32


def narrow_sites(context: Context) -> dict[str, list[str]]:
    """site -> the sides that store it in float32, or have a parameter of it so, or may use a value that is."""
    found: dict[str, list[str]] = {}
    for side in SIDES:
        for name, site in context.sites[side].items():
            # Integers that are data count, too: of those in float32 torch makes a Bernoulli's log prob in float32.
            stored = site.dtype == NARROW and (site.kind == "observed" or not is_discrete(site))
            made = any(np.asarray(value).dtype == NARROW for value in site.params.values())
            if stored or made:
                found.setdefault(name, []).append(side)
    for side, name in _rounded(context):
        if side not in found.setdefault(name, []):
            found[name].append(side)
    # A value that is drawn in float32 is as wide wherever it is used.
    drawn = {
        side: None
        for name, sides in found.items()
        for side in sides
        if context.sites[side][name].kind == "latent"
    }
    for side in drawn:
        for name in context.sites[side]:
            if side not in found.setdefault(name, []):
                found[name].append(side)
    return found


def _rounded(context: Context) -> list[tuple[str, str]]:
    """(side, site) of which a parameter was cast to float32 on its way, as by ``mask.float() * p`` in torch.

    It is float64 in the end, and has numbers of float32, which the other side's are all but equal to. A constant says
    nothing: a half is a number of float32 wherever it comes from.
    """
    if "rounded" not in context.results:
        ordinary = [point for point in context.points if not point.far][:ROUNDED_POINTS]
        seen: dict[tuple[str, str, str], list[np.ndarray]] = {}
        for point in ordinary:
            for where, value in _cast_at(context, point).items():
                seen.setdefault(where, []).append(value)
        context.results["rounded"] = sorted(
            {
                (side, name)
                for (side, name, _), (first, *others) in seen.items()
                if any(not np.array_equal(first, other) for other in others)
            }
        )
    return context.results["rounded"]


def _cast_at(context: Context, point: Point) -> dict[tuple[str, str, str], np.ndarray]:
    """(side, site, parameter) -> its value, where it alone has numbers of float32, and the other side's are near."""
    described = {}
    for side in SIDES:
        try:
            sites = context.programs[side].sites(context.values(side, point, discrete=True))
        except InputError:
            return {}
        described[side] = context.pair.from_side(side, {site.name: site for site in sites})
    found = {}
    for name, site in described["pyro"].items():
        if name not in described["numpyro"]:
            continue
        other = described["numpyro"][name]
        for key in set(site.params) & set(other.params):
            both = [np.asarray(one.params[key]) for one in (site, other)]
            if both[0].shape != both[1].shape or any(value.dtype != np.float64 for value in both):
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                near = np.abs(both[0] - both[1]) <= 2 * NARROW_NUDGE * np.abs(both[0])
                cast = [np.array_equal(value, value.astype(np.float32)) for value in both]
            if np.all(near) and cast[0] != cast[1]:
                i = cast.index(True)
                found[SIDES[i], name, key] = both[i]
    return found


def too_sharp(context: Context, values: SiteLogProbs) -> list[Point]:
    """The points at which a rounding to float32 alone moves the log density by more than float32 is granted.

    Such as one near a mode where a standard deviation has gone to nothing: no digits of float32 are left there.
    """
    rng = np.random.default_rng(context.settings.seed)
    found = []
    for point, a, b in zip(context.points, *(sums_of(values, side, None) for side in SIDES), strict=True):
        granted = float(allowed("log density", np.asarray(a), np.asarray(b), NARROW))
        if any(change > granted for _, change in moved_by_rounding(context, point, rng, NARROW_NUDGE)):
            found.append(point)
    return found


def told_of_sharp(points: list[Point], name: str) -> Finding:
    """That these are not compared."""
    return Finding(
        "same",
        "precision",
        f"Not compared at {listed([point.name for point in points])}: a rounding to float32, in which {name!r} is "
        "kept, moves the log density there by more than float32 is granted.",
        site=name,
        point=points[0].name,
        notable=True,
        hint="make the constant or the data float64",
    )


def drift(context: Context, sizes: dict[str, tuple[float, float]]) -> Iterator[Finding]:
    """One finding for each site that drifts.

    Args:
        context: of the climb.
        sizes: site -> the largest difference over the points, and the size of the log prob there.
    """
    narrow = narrow_sites(context)
    for name, (size, magnitude) in sizes.items():
        sides = " and ".join(narrow[name])
        yield Finding(
            "same",
            "precision",
            f"{name!r} is float32 in {sides}, or made of what is: its log prob drifts by up to {size:.2g} at "
            f"{len(context.points)} points "
            f"(of {magnitude:.4g} there), which is float32's rounding. The models are judged within that.",
            site=name,
            size=size,
            notable=True,
            numbers={"points": len(context.points)},
            hint="make the constant or the data float64, or let the framework's default precision choose",
        )
