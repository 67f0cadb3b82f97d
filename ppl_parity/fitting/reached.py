"""Whether chains that began elsewhere reached the mode that a search finds."""

from __future__ import annotations

import numpy as np

from ppl_parity.backend.contract import Groups
from ppl_parity.spec import MixtureSpec
from ppl_parity.starts import Point, one_pass, search

NUM_SEARCHES = 2
ALLOWED = 20.0  # nats, beside one for each number: a draw lies half of that many below its mode on average
# A mode may be higher than where the mass is by as much as its components' volume is smaller than the prior's
# (``starts.masses``), each on a row of its own.


def below_mode(spec: MixtureSpec, x: np.ndarray, groups: Groups, seed: int) -> float:
    """Nats by which the best draw of all chains lies below the best end of some searches; 0 if it is near enough.

    Args:
        spec: the hyperparameters. x: (N, D) data.
        groups: of a fit, with ``posterior`` and ``sample_stats``.
        seed: of the searches.
    """
    at = np.unravel_index(np.argmax(groups["sample_stats"]["lp"]), groups["sample_stats"]["lp"].shape)
    best = Point(*(np.asarray(groups["posterior"][name][at], dtype=np.float64) for name in ("theta", "beta")))
    reached = one_pass(spec, best, x).log_target
    rng = np.random.default_rng([seed, 17])
    found = max(one_pass(spec, search(spec, x, rng), x).log_target for _ in range(NUM_SEARCHES))
    below = found - reached
    _, volume = np.linalg.slogdet(np.eye(spec.dim) + spec.prior_cov * len(x) / spec.noise_scale**2)
    spikes = 0.5 * spec.num_components * volume
    return float(below) if below > ALLOWED + spec.num_components * (spec.dim + 1) + spikes else 0.0


def in_words(below: float) -> str:
    """What that means; empty if the mode was reached."""
    if not below > 0:
        return ""
    return (
        f"No chain has reached the posterior: a search by EM finds a mode whose log density is {below:,.0f} higher "
        "than that of any draw. Start there (init mode), or run a longer warmup."
    )
