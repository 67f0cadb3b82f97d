"""Do every two scalars hang together alike? Of all pairs, those that stand out are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from ppl_parity.findings import Finding
from ppl_parity.ladder.samples.judging import Block, Family, Name, in_words
from ppl_parity.statistics.dependence import even, number_of_pairs, pairs_most_apart, product, rank_scores
from ppl_parity.statistics.equivalence import DEGREES_OF_FREEDOM, POWER, compare_means

CANDIDATES = 3
HINT = "each may agree by itself: look at a correlation, a Cholesky factor, and what is drawn given what"


def dependence_blocks(
    label: str,
    names: Sequence[Name],
    a: np.ndarray,
    b: np.ndarray,
    usable: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    independent: bool = False,
) -> list[Block]:
    """A block of each of the few products of two scalars' ranks that are the furthest apart.

    Args:
        label: as a ``Block``'s.
        names: (Q,) of the scalars.
        a, b: (C, S, Q), finite.
        usable: of (C, S, 1) of both sides, whether it may be judged.
        independent: the draws are no chains.
    """
    scores = rank_scores(a, b)
    kept = even(*scores)
    scores = [{kind: score[..., kept] for kind, score in side.items()} for side in scores]
    names = [name for name, keep in zip(names, kept, strict=True) if keep]
    blocks = []
    for pair in pairs_most_apart(scores[0], scores[1], CANDIDATES):
        left, right = (product(side, pair) for side in scores)
        of = [
            f"{'the distance from its median of ' * (kind == 'distance')}{in_words(*names[q])}"
            for kind, q in zip(pair.kinds, (pair.first, pair.second), strict=True)
        ]
        sites = {names[q][0] for q in (pair.first, pair.second)}
        block = Block(
            label,
            [(sites.pop() if len(sites) == 1 else None, ())],
            left,
            right,
            usable(left, right),
            independent=independent,
            title=f"the product of the ranks of {of[0]} and {of[1]}",
            among=number_of_pairs(len(names)),
            hint=HINT,
        )
        blocks.append(block)
    return blocks


def dependence(label: str, blocks: Sequence[Block], family: Family) -> Finding | None:
    """What would have been found, where nothing stood out; None where there are no pairs, or something did."""
    mine = [block for block in blocks if block.among and np.all(block.usable)]
    if not mine or any(one.block is block for one in family.judged for block in mine):
        return None
    error = max(float(compare_means(m.a, m.b, independent=m.independent).error[0]) for m in mine)
    factor = stats.t.isf(family.alpha / 2 / mine[0].among, DEGREES_OF_FREEDOM) + stats.norm.ppf(POWER)
    seen = float(factor * error)
    return Finding(
        "same",
        f"{label} dependence",
        f"Of {mine[0].among:,} products of two scalars' ranks no mean stands out: a rank correlation of two that is "
        f"{seen:.2g} apart would have been found with a probability of {100 * POWER:.0f} %.",
        numbers={"correlation": seen, "pairs": mine[0].among},
    )
