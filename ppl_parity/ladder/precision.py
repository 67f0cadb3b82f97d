"""Is a difference that of float32 and no more? Parity is judged in float64; what float32 costs is measured beside it.

A site that one side stores in float32 has a log prob of seven digits. Where a pair's densities part by no more
than that, and only at such sites, the models are the same; how far they drift is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from ppl_parity.findings import Finding
from ppl_parity.ladder.context import SIDES, Context, is_discrete

NARROW = "float32"


def narrow_sites(context: Context) -> dict[str, list[str]]:
    """site -> the sides that store it in float32."""
    found: dict[str, list[str]] = {}
    for side in SIDES:
        for name, site in context.sites[side].items():
            if site.dtype == NARROW and not is_discrete(site):
                found.setdefault(name, []).append(side)
    return found


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
            f"{name!r} is float32 in {sides}: its log prob drifts by up to {size:.2g} at {len(context.points)} points "
            f"(of {magnitude:.4g} there), which is float32's rounding. The models are judged within that.",
            site=name,
            size=size,
            notable=True,
            numbers={"points": len(context.points)},
            hint="make the constant or the data float64, or let the framework's default precision choose",
        )
