"""What explains the speed of a sampler: the rates whose product it is.

ESS a second = (ESS a leapfrog) / (seconds a leapfrog),    ESS: the smallest bulk ESS of theta and beta
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def rates(runs: Sequence[Mapping[str, Any]], times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What explains the speed of a run: means of ESS and leapfrogs, the median of the seconds a leapfrog.

    Args:
        runs: with one seed each and draws alike in number: theta (C, S, K), beta (C, S, K, D), n_steps (C, S),
            diverging (C, S).
        times: seconds of each run as a whole, ``full``, and of one like it with a single draw, ``one``.
    """
    found = [smallest_ess(run) for run in runs]
    flat, sizes = found[0][1:]
    num_chains, num_draws = flat.shape[:2]
    every = [int(np.sum(run["n_steps"])) for run in runs]
    smallest, steps = float(np.mean([one[0] for one in found])), float(np.mean(every))
    gaps = np.subtract(times["full"], times["one"]) * num_draws / max(1, num_draws - 1)
    taken = gaps * num_chains / np.asarray(every)
    each = float(np.median(taken)) if np.all(gaps > 0) else None  # not resolved, however many draws
    return {
        "num_seeds": len(runs),
        "num_draws": num_draws,
        "draw_seconds": None if each is None else float(np.median(gaps)),
        "seconds_per_leapfrog": each,
        "seconds_per_leapfrog_of_seeds": taken.tolist(),
        "leapfrogs_per_draw": steps / (num_chains * num_draws),
        "ess": smallest,
        "ess_per_leapfrog": smallest / steps,
        "ess_per_leapfrog_of_seeds": [one[0] / n for one, n in zip(found, every, strict=True)],
        "ess_per_second": None if each is None else num_chains * smallest / steps / each,
        "divergences": int(sum(np.sum(run["diverging"]) for run in runs)),
        "posterior": {
            "mean": flat.mean(axis=(0, 1)),
            "mcse": flat.std(axis=(0, 1)) / np.sqrt(sizes),
        },
    }


def smallest_ess(draws: Mapping[str, Any]) -> tuple[float, np.ndarray, np.ndarray]:
    """The smallest bulk ESS of theta and beta, components relabelled; the draws (C, S, Q); every ESS (Q,)."""
    from ppl_parity.statistics.diagnostics import ess
    from ppl_parity.statistics.labels import apply, relabel

    theta, beta = np.asarray(draws["theta"]), np.asarray(draws["beta"])
    named = relabel(theta, beta)
    flat = np.concatenate(
        [apply(named, theta), apply(named, beta).reshape(*beta.shape[:2], -1)], axis=-1, dtype=np.float64
    )
    sizes = ess(flat)
    return float(np.min(sizes)), flat, sizes
