"""Directions in which a posterior has no end, so that no sampler of it ever comes to rest."""

from __future__ import annotations

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context

NUM_POINTS = 8


def flat_sites(context: Context) -> dict[str, int]:
    """Site -> how many of its unconstrained numbers the density does not depend on at any point that was tried.

    A masked latent site is like that, and so is what ``obs_mask`` leaves of the rows that were observed. A prior
    would have a slope somewhere, and a bounded support one by its Jacobian.
    """
    program = context.programs[context.asked]
    found: list[Arrays] = []
    for point in context.points[:NUM_POINTS]:
        try:
            where = program.unconstrain(context.values(context.asked, point, discrete=False))
            value, gradient = program.potential_and_gradient(where)
        except InputError:  # NUTS will meet it, too, and say so
            return {}
        if np.isfinite(value):
            found.append(gradient)
    names = found[0] if found else ()
    counts = {n: int(np.count_nonzero(np.all([slope[n] == 0 for slope in found], axis=0))) for n in names}
    return {name: count for name, count in context.pair.from_side(context.asked, counts).items() if count}
