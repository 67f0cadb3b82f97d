"""Whether chains with a mass that was kept from the mode went well; if not, they are drawn once more.

A Laplace approximation that holds where 64 draws of it fall can fail where NUTS goes: into the tail of a component of a
few rows, or where two components change places.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Groups
from ppl_parity.spec import SamplerSettings
from ppl_parity.statistics import diagnostics
from ppl_parity.statistics.labels import apply, relabel

MOST_DIVERGING = 0.005  # of all draws
MOST_RHAT = 0.01, 4.0  # above 1, of a relabelled scalar; and what few draws do to it, over their number
APART = 1.4  # R-hat of chains that stay in modes of their own, as they would again
MANY = 256  # numbers of a draw
TARGET_ACCEPT = 0.95  # of the second run, whose steps must be short where the first one's diverged


def trouble(groups: Groups, num_modes: int) -> str:
    """What went wrong that another mass might mend, in words; empty if nothing did.

    Args:
        groups: of the mixture, as ``Backend.sample_posterior`` returns them.
        num_modes: among which the chains were shared out.
    """
    diverging, r_hat = badness(groups)
    if num_modes > 1 and r_hat > APART:
        return ""
    said = []
    if diverging > MOST_DIVERGING:
        count = int(np.sum(groups["sample_stats"]["diverging"]))
        said.append(f"{count} of {np.size(groups['sample_stats']['diverging'])} draws diverged")
    if r_hat > 1 + MOST_RHAT[0] + MOST_RHAT[1] / groups["posterior"]["theta"].shape[1]:
        said.append(f"R-hat was {r_hat:.3f}")
    return " and ".join(said)


def badness(groups: Groups) -> tuple[float, float]:
    """The share of draws that diverged, and the largest R-hat of the relabelled parameters.

    Of many numbers the log density's alone: relabelling takes seconds there.
    """
    theta, beta, lp = groups["posterior"]["theta"], groups["posterior"]["beta"], groups["sample_stats"]["lp"]
    columns = [lp[..., None]]
    if theta.shape[-1] * (beta.shape[-1] + 1) <= MANY:
        named = relabel(theta, beta, lp=lp)
        columns += [apply(named, values).reshape(*theta.shape[:2], -1) for values in (theta, beta)]
    r_hat = diagnostics.rhat(np.concatenate(columns, axis=-1))
    return float(np.mean(groups["sample_stats"]["diverging"])), float(np.nanmax(r_hat, initial=1.0))


def is_better(new: Groups, old: Groups) -> bool:
    """Whether the second run has less of what the first had too much of."""
    (diverging, r_hat), (before, r_hat_before) = badness(new), badness(old)
    return (diverging - before) / MOST_DIVERGING + (r_hat - r_hat_before) / MOST_RHAT[0] < 0


def ordinary(settings: SamplerSettings, free: bool) -> SamplerSettings:
    """The settings of a second run: a mass of its own, found in a whole warmup.

    Args:
        settings: of the first, as they were asked for.
        free: whether the acceptance was left open.
    """
    target = max(settings.target_accept, TARGET_ACCEPT) if free else settings.target_accept
    return replace(settings, adapt_mass=True, orbit="any", target_accept=target)
