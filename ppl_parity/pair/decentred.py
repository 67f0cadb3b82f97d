"""What LocScaleReparam draws has one name in both libraries, and is another quantity where ``centered`` is another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Site
from ppl_parity.errors import InputError
from ppl_parity.pair.pairs import SIDES, Pair

DECENTRED = "_decentered"
SAME = 1e-6  # relative, of a parameter of its prior
SEED = 0


def kept_apart(pair: Pair, own: Mapping[str, Mapping[str, Site]], programs: Mapping[str, Program]) -> Pair:
    """The pair, with a name of its own for each side's such site, where the two have not one prior at one point.

    They are then compared in what both sides compute of them.

    Args:
        own: side -> site, under the side's own name -> description.
    """
    names = [
        name
        for name in own["pyro"]
        if name.endswith(DECENTRED) and name not in pair.rename and name not in pair.rename.values()
        if all(_draws(own[side], name) for side in SIDES)
    ]
    if not names:
        return pair
    try:
        drawn = programs["pyro"].prior_samples(num_draws=1, seed=SEED)
        there = {side: _described(pair, own[side], side, programs[side], drawn) for side in SIDES}
    except InputError:  # of which the rungs will tell
        return pair
    apart = [name for name in names if not _alike(there["pyro"][name], there["numpyro"][name])]
    more = {name: f"{name} (pyro's)" for name in apart} | {f"{name} (numpyro's)": name for name in apart}
    return replace(pair, rename={**pair.rename, **more})


def _draws(sites: Mapping[str, Site], name: str) -> bool:
    """Whether it is drawn, and what it stands for computed."""
    of = sites.get(name.removesuffix(DECENTRED))
    return name in sites and sites[name].kind == "latent" and of is not None and of.kind == "deterministic"


def _described(
    pair: Pair, own: Mapping[str, Site], side: str, program: Program, drawn: Arrays
) -> dict[str, Site]:
    latent = {name: value[0] for name, value in pair.to_side(side, drawn).items() if _is_latent(own, name)}
    return {site.name: site for site in program.sites(latent)}


def _is_latent(sites: Mapping[str, Site], name: str) -> bool:
    return name in sites and sites[name].kind == "latent"


def _alike(a: Site, b: Site) -> bool:
    if a.family != b.family or set(a.params) != set(b.params):
        return False
    try:
        return all(np.allclose(a.params[key], b.params[key], rtol=SAME, atol=0.0) for key in a.params)
    except ValueError:  # of shapes that do not fit
        return False
