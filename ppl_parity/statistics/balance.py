"""Do draws follow a density that is known up to a constant? One Metropolis step must leave them as they are.

If draws y come from p, and proposals y' are symmetric, then for any function f

    E[ min(1, p(y') / p(y)) (f(y') - f(y)) ] = 0,

whatever the shape and the support of y. The functions are the place of each entry, its square, and log p. At 1,000
draws of a standard normal's log prob, a standard deviation 1.25 times too large or a mean 0.25 off gives 4 standard
errors; a test that could draw from p itself would see 7.
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
    seconds: float = np.inf,
) -> float:
    """The p value of moves as one-sided as these, if each draw follows ``log_prob``; 0 where it allows no draw.

    Args:
        draws: (num_draws, B, E), B elements of an event of E numbers.
        log_prob: of one draw (by its number) at another value (B, E): (B,); outside the support -inf, or an
            InputError.
        moves: symmetric proposals.
        seed: of the proposals; seconds: after which the draws so far are judged.
    """
    rng, until = np.random.default_rng(seed), time.monotonic() + seconds
    entries = np.unique(np.linspace(0, draws.shape[-1] - 1, MOST_ENTRIES).astype(int))
    middle, spread = np.median(draws, axis=0), np.std(draws, axis=0)
    spread = np.where(spread > 0, spread, 1.0)

    def functions(y: np.ndarray, p: np.ndarray) -> np.ndarray:
        place = np.arcsinh((y - middle) / spread)[:, entries]  # tame in the tails
        return np.column_stack([place, place**2, p])

    def step(number: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
        """The chance that each element moves, and what its functions would gain; a draw of no density is nan."""
        y = draws[number]
        proposed, moved = moves(rng, y, distance)
        before = log_prob(number, y)
        before = np.where(np.isfinite(before), before, np.nan)
        try:
            after = log_prob(number, proposed)
        except InputError:  # outside the support one library answers with an error, the other with -inf
            after = np.full_like(before, -np.inf)
        accepted = moved * np.exp(np.minimum(0.0, after - before))
        after = np.where(np.isfinite(after), after, before)
        return accepted, functions(proposed, after) - functions(y, before)

    pilot = np.linspace(0, len(draws) - 1, min(PILOT, len(draws))).astype(int)
    reach = [distance * np.mean([np.mean(step(i, distance)[0]) for i in pilot]) for distance in DISTANCES]
    distance = DISTANCES[int(np.argmax(reach))]
    seen = []
    for number in range(len(draws)):
        accepted, gained = step(number, distance)
        seen.append(np.mean(accepted[:, None] * gained, axis=0))
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
