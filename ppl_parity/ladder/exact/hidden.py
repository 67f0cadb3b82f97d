"""What a number of enormous size hides: differences of other rows and sites that are below its rounding.

A reference sensor of sd 1e-8 has a log prob of -1e16 at a prior draw, and a sum with that in it has no digit below 2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.comparison import Comparison, compare
from ppl_parity.pair.pairs import SIDES
from ppl_parity.tolerances import allowed

LARGE = 1e4  # nats of one element: a sum of smaller ones is held to 1e-6 of each


def hidden(
    context: Context,
    values: dict[str, list[Arrays]],
    limits: dict[str, float],
    ordinary: Sequence[bool],
    noise: Mapping[str | None, np.ndarray],
) -> tuple[dict[str, list[Arrays]], dict[str, Comparison]]:
    """Compare again without what is larger than ``LARGE``, where the sums of everything have agreed.

    Sites that move alone must make up for each other, within the rounding of their own numbers. Far points are left
    out: what is small there may be what is left of large numbers.

    Args:
        values: side -> at each point, site -> its log probs.
        limits: site -> its library's own, absolute.
        ordinary: of each point, whether it is a prior draw or a user's, and no tail or edge.
        noise: site -> at each point, what rounding leaves open (``conditioning``).

    Returns:
        The values without the large elements, and the comparison of each site that differs; none is good.
    """
    shown = [int(i) for i in np.flatnonzero(ordinary)]
    small = {side: [dict(row) for row in values[side]] for side in SIDES}
    names = list(dict.fromkeys(name for side in SIDES for name in values[side][0]))
    for name in names:
        both = [[np.asarray(row.get(name, 0.0), dtype=float) for row in small[side]] for side in SIDES]
        if not shown or len({value.shape for rows in both for value in rows}) > 1:
            continue
        # Large at one point is out at all of them, lest a constant be there at some and not at others.
        large = [np.any([np.abs(rows[i]) > LARGE for i in shown], axis=0) for rows in both]
        if not any(np.any(one) for one in large):
            continue
        with np.errstate(invalid="ignore"):  # two that agree are both large, or neither is
            near = np.all(
                [np.abs(a - b) <= allowed("log prob", a, b) for a, b in zip(*both, strict=True)], axis=0
            )
        for side, rows, own, other in zip(SIDES, both, large, large[::-1], strict=True):
            for row, value in zip(small[side], rows, strict=True):
                if name in row:
                    row[name] = np.where(own | (other & near), 0.0, value)

    def sums(names: Sequence[str]) -> Comparison:
        totals = [
            [
                float(sum(np.sum(small[side][i][name]) for name in names if name in small[side][i]))
                for i in shown
            ]
            for side in SIDES
        ]
        extra = sum(limits.get(name, 0.0) for name in names)
        extra = extra + sum(noise[name][shown] for name in names if name in noise)
        return compare("log density", *totals, extra=extra, precision=context.precision)

    if not shown:
        return small, {}
    moved = {name: found for name in names if (found := sums([name])).relation == "different"}
    if not moved or sums(list(moved)).relation != "different":
        return small, {}
    return small, {name: dataclasses.replace(one, worst=shown[one.worst]) for name, one in moved.items()}
