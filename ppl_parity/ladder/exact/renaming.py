"""Which sites of one side alone may be one site of the other's under another name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES


def proposed_rename(context: Context, name: str) -> str | None:
    """The option to give where sites of each side alone may be one: by their names, or as the only two alike."""
    alone = {
        s: [
            site
            for other, site in context.sites[s].items()
            if site.kind == "latent" and other not in context.sites[SIDES[1 - SIDES.index(s)]]
        ]
        for s in SIDES
    }
    pairs = _matched(
        alone["pyro"], alone["numpyro"], lambda s: (_letters(s.name), np.shape(np.asarray(s.value)))
    )
    a, b = ([s for s in alone[side] if not any(s is one for both in pairs for one in both)] for side in SIDES)
    pairs += _matched(a, b, lambda s: (s.support, s.family, np.shape(np.asarray(s.value))))
    if not any(name in (site.name for site in both) for both in pairs):
        return None
    rename = ", ".join(f'"{a.name}": "{b.name}"' for a, b in pairs)
    if len(pairs) == 1:
        a, b = pairs[0]
        return f"a renamed site: are {a.name!r} and {b.name!r} one? Then give rename = {{{rename}}}"
    return f"renamed sites: are these the same? Then give rename = {{{rename}}}"


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _matched(
    left: Sequence[Site], right: Sequence[Site], key: Callable[[Site], object]
) -> list[tuple[Site, Site]]:
    """Those that no other on their side is like, and one on the other side is."""
    keys = [key(site) for site in left], [key(site) for site in right]
    return [
        (a, b)
        for a, own in zip(left, keys[0], strict=True)
        for b, other in zip(right, keys[1], strict=True)
        if own == other and keys[0].count(own) == keys[1].count(own) == 1
    ]
