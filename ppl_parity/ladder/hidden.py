"""What a number of enormous size hides: differences of other rows and sites that are below its rounding.

A reference sensor of sd 1e-8 has a log prob of -1e16 at a prior draw, and a sum with that in it has no digit below 2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ppl_parity.contract import Arrays
from ppl_parity.ladder.comparison import Comparison, compare
from ppl_parity.ladder.context import SIDES, Context
from ppl_parity.tolerances import allowed

LARGE = 1e4  # nats of one element: a sum of smaller ones is held to 1e-6 of each


def hidden(
    context: Context, values: dict[str, list[Arrays]], limits: dict[str, float], ordinary: Sequence[bool]
) -> tuple[dict[str, list[Arrays]], dict[str, Comparison]]:
    """Compare again without what is larger than ``LARGE``, where the sums of everything have agreed.

    Sites that move alone must make up for each other, within the rounding of their own numbers. Far points are left
    out: what is small there may be what is left of large numbers.

    Args:
        values: side -> at each point, site -> its log probs.
        limits: site -> its library's own, absolute.
        ordinary: of each point, whether it is a prior draw or a user's, and no tail or edge.

    Returns:
        The values without the large elements, and the comparison of each site that differs; none is good.
    """
    small = {side: [dict(row) for row in values[side]] for side in SIDES}
    for name in {name for side in SIDES for name in values[side][0]}:
        for rows in zip(*(small[side] for side in SIDES), strict=True):
            a, b = (np.asarray(row.get(name, 0.0), dtype=float) for row in rows)
            if a.shape != b.shape:
                continue
            large = [np.abs(value) > LARGE for value in (a, b)]
            if not any(np.any(its) for its in large):
                continue
            with np.errstate(invalid="ignore"):
                near = np.abs(a - b) <= allowed("log prob", a, b)
            for row, value, its, others in zip(rows, (a, b), large, large[::-1], strict=True):
                if name in row:  # of two numbers that agree both are large, or neither is
                    row[name] = np.where(its | (others & near), 0.0, value)
    shown = np.flatnonzero(ordinary)

    def sums(names: Sequence[str]) -> Comparison:
        totals = [
            [
                float(sum(np.sum(small[side][i][name]) for name in names if name in small[side][i]))
                for i in shown
            ]
            for side in SIDES
        ]
        extra = sum(limits.get(name, 0.0) for name in names)
        return compare("log density", *totals, extra=extra, precision=context.precision)

    if not len(shown):
        return small, {}
    names = list(dict.fromkeys(name for side in SIDES for name in values[side][0]))
    moved = {name: found for name in names if (found := sums([name])).relation == "different"}
    if not moved or sums(list(moved)).relation != "different":
        return small, {}
    return small, {name: dataclasses.replace(one, worst=int(shown[one.worst])) for name, one in moved.items()}
