"""Did the chains converge in what is not compared? One side's own latent sites, and the rest of a large site.

A posterior that is compared in part is compared as the chains left it in the whole: where a site that only one side
has is stuck in two modes, the shared ones are drawn from a mixture that is no posterior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.ladder.context import is_discrete
from ppl_parity.ladder.samples.convergence import STUCK_RHAT, Convergence, converged
from ppl_parity.ladder.samples.exchangeable import MOST_COMPONENTS
from ppl_parity.statistics.screening import least_mixed
from ppl_parity.statistics.selection import Selection, select

MOST_SCALARS = 40  # of one side's own sites
CANDIDATES = 3  # of the rest of a site: the least mixed
MOST_SORTED = 400  # scalars of a site whose order may be all that keeps its chains apart
MOST_NUMBERS = 50_000_000  # of a site's draws that are looked through; then evenly spread scalars

Names = list[tuple[str, tuple[int, ...]]]


def elsewhere(sites: Mapping[str, Site], draws: Arrays, compared: Selection) -> tuple[Convergence, Names]:
    """The diagnostics of one side's own latent scalars, and of those of the rest that are stuck.

    Args:
        sites: of the side.
        draws: of the side: site -> (C, S, ...).
        compared: the scalars of both sides, which have diagnostics of their own.

    Returns:
        The ``Convergence`` of some scalars, and which these are.
    """
    own = {
        name: draws[name].shape[2:]
        for name, site in sites.items()
        if site.kind == "latent" and not is_discrete(site) and name in draws and name not in compared.flat
    }
    chosen = select({name: shape for name, shape in own.items() if 0 not in shape}, MOST_SCALARS)
    columns, names = [chosen.columns(draws, 2)], chosen.names()
    for selection in (compared, chosen):
        for site in selection.flat:
            worst = _stuck_elsewhere(draws[site], selection, site)
            names += [(site, tuple(map(int, np.unravel_index(k, selection.shapes[site])))) for k in worst]
            columns.append(_flat(draws[site])[..., worst])
    found = converged(np.concatenate(columns, axis=-1))
    stuck = {site for (site, _), r_hat in zip(names, found.r_hat, strict=True) if r_hat > STUCK_RHAT}
    switching = {name for name in stuck & set(own) if _only_renamed(draws[name])}
    keep = np.array([site not in switching for site, _ in names], dtype=bool)
    return found.where(keep), [name for name, fine in zip(names, keep, strict=True) if fine]


def _flat(draws: np.ndarray) -> np.ndarray:
    return draws.reshape(*draws.shape[:2], -1)


def _stuck_elsewhere(draws: np.ndarray, selection: Selection, site: str) -> np.ndarray:
    """Indices of the few least mixed scalars that were not selected, as far as their chains are apart."""
    others = np.setdiff1d(
        np.arange(math.prod(selection.shapes[site])), selection.flat[site], assume_unique=True
    )
    most = MOST_NUMBERS // max(1, math.prod(draws.shape[:2]))
    others = others[np.unique(np.linspace(0, len(others) - 1, min(len(others), most)).astype(int))]
    if not len(others):
        return others
    found = others[least_mixed(_flat(draws)[..., others], CANDIDATES)]
    return found[converged(_flat(draws)[..., found]).r_hat > STUCK_RHAT]


def _only_renamed(draws: np.ndarray) -> bool:
    """Whether chains are apart in the order of a few components and in nothing else: one posterior, many names."""
    if (
        draws.ndim < 3
        or not 2 <= draws.shape[2] <= MOST_COMPONENTS
        or math.prod(draws.shape[2:]) > MOST_SORTED
    ):
        return False
    return not np.any(converged(_flat(np.sort(draws, axis=2))).r_hat > STUCK_RHAT)
