"""Do draws follow a density that is known up to a constant? Metropolis steps must leave them as they are.

If draws y come from p, and proposals y' are symmetric, then for any function f

    E[ min(1, p(y') / p(y)) (f(y') - f(y)) ] = 0,

whatever the shape and the support of y; and so after any number of steps that are taken. What is gained in a few of
them in a row adds up for draws that are drifting to where they belong. The functions are the place of each entry, its
square, and log p.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from ppl_parity.errors import InputError
from ppl_parity.statistics.moves import Move

# Of a move, in the draws' standard deviations: a site's parents may hold it closer.
DISTANCES = (2.4, 0.8, 0.25, 0.08)
PILOT = 12  # draws that find the best of them
MOST_ENTRIES = 20  # of an event


def imbalance(
    draws: np.ndarray,
    log_prob: Callable[[int, np.ndarray], np.ndarray],
    moves: Move,
    *,
    seed: int,
    steps: int = 1,
    seen_as: Callable[[int, np.ndarray], np.ndarray] = lambda _, y: y,
    seconds: float = np.inf,
) -> float:
    """The p value of moves as one-sided as these, if each draw follows ``log_prob``; 0 where it allows no draw.

    Args:
        draws: (num_draws, B, E), B elements of an event of E numbers.
        log_prob: of one draw (by its number) at another value (B, E): (B,); outside the support -inf, or an
            InputError.
        moves: symmetric proposals.
        seen_as: what the functions look at, of a position (B, E): (B, E'), where draws are moved in other coordinates.
        seed: of the proposals; steps: in a row from each draw; seconds: after which the draws so far are judged.
    """
    rng, until = np.random.default_rng(seed), time.monotonic() + seconds
    views = np.stack([seen_as(number, y) for number, y in enumerate(draws)])
    entries = np.unique(np.linspace(0, views.shape[-1] - 1, MOST_ENTRIES).astype(int))
    middle, spread = np.median(views, axis=0), np.std(views, axis=0)
    spread = np.where(spread > 0, spread, 1.0)

    def functions(number: int, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        place = np.arcsinh((seen_as(number, y) - middle) / spread)[:, entries]  # tame in the tails
        return np.column_stack([place, place**2, p])

    def density(number: int) -> np.ndarray:
        """Of a draw; where it has none, nan."""
        before = log_prob(number, draws[number])
        return np.where(np.isfinite(before), before, np.nan)

    def step(number: int, distance: float, y: np.ndarray, before: np.ndarray):
        """The chance that each element moves, what its functions would gain, and where it went."""
        proposed, moved = moves(rng, y, distance)
        try:
            after = log_prob(number, proposed)
        except InputError:  # outside the support one library answers with an error, the other with -inf
            after = np.full_like(before, -np.inf)
        accepted = moved * np.exp(np.minimum(0.0, after - before))
        fine = np.isfinite(after)
        after, proposed = np.where(fine, after, before), np.where(fine[:, None], proposed, y)
        gained = functions(number, proposed, after) - functions(number, y, before)
        goes = rng.uniform(size=accepted.shape) < accepted
        return accepted, gained, np.where(goes[:, None], proposed, y), np.where(goes, after, before)

    pilot = np.linspace(0, len(draws) - 1, min(PILOT, len(draws))).astype(int)
    began = {i: density(i) for i in pilot}
    reach = [d * np.mean([np.mean(step(i, d, draws[i], began[i])[0]) for i in pilot]) for d in DISTANCES]
    distance = DISTANCES[int(np.argmax(reach))]
    seen = []
    for number in range(len(draws)):
        y, before, total = draws[number], density(number), 0.0
        for _ in range(steps):
            accepted, gained, y, before = step(number, distance, y, before)
            total = total + np.mean(accepted[:, None] * gained, axis=0)
        seen.append(total)
        if time.monotonic() > until:
            break
    seen = np.array(seen)
    if np.any(np.isnan(seen)):
        return 0.0
    seen = seen[:, np.ptp(seen, axis=0) > 0]
    if not seen.size:
        return 1.0
    p = stats.ttest_1samp(seen, 0.0).pvalue  # type: ignore[attr-defined]
    return float(min(1.0, seen.shape[1] * np.min(p)))
