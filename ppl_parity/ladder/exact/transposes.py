"""A square param that starts as zeros, or as the identity, hides a transpose: it is asked for at a matrix that is none.

Of a covariance, which is moved to symmetric matrices alone (``backend.learned``), each library reads what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.log_probs import SiteLogProbs, names_of, sums_of
from ppl_parity.ladder.exact.moved import Offsets, at_moved, compare_moved, movable, where_moved
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point

NUM_POINTS = 3
MOVE = 0.3  # of the numbers above the diagonal
READ = 1e-9  # relative: of two log densities, one of them of what a library reads of the other's matrix


def transposed(context: Context, offsets: Offsets) -> Iterator[Finding]:
    """The params whose transposes the sides take for one another."""
    points = where_moved(context.points)[:NUM_POINTS]
    for name, start in _symmetric(context).items() if points else ():
        rng = np.random.default_rng([context.settings.seed, len(name)])
        matrix = (
            start
            + np.triu(MOVE * rng.standard_normal(start.shape), 1)
            + MOVE * rng.standard_normal(start.shape)
        )
        try:
            values = at_moved(context, points, [{name: matrix}] * len(points))
            joint = compare_moved(context, values, None, offsets)
            if joint.relation != "different" or _read_as_symmetric(context, points[0], name, matrix, values):
                continue
        except InputError:  # a matrix that the model does not take
            continue
        apart = [
            n for n in names_of(values) if compare_moved(context, values, n, offsets).relation == "different"
        ]
        site = apart[0] if apart else None
        a, b = (sums_of(values, side, site)[joint.worst] for side in SIDES)
        yield Finding(
            "different",
            "log prob",
            f"With the param {name!r} at a matrix that is not its own transpose, the log prob"
            f"{'' if site is None else f' of {site!r}'} is {a:.10g} in pyro and {b:.10g} in numpyro at "
            f"{points[joint.worst].name}; at symmetric ones, as the initial one is, both agree.",
            site=site or name,
            size=joint.size if np.isfinite(joint.size) else None,
            point=points[joint.worst].name,
            hint=f"a transpose of {name!r} on one side",
        )


def _symmetric(context: Context) -> dict[str, np.ndarray]:
    """The params that can be moved, are free, and start as a symmetric matrix."""
    if context.frozen:
        return {}
    names, anchor = movable(context), context.anchor
    found = context.pair.from_side(anchor, {site.name: site for site in context.programs[anchor].params()})
    kept = {}
    for name in names:
        value = np.asarray(found[name].value)
        square = value.ndim > 1 and 1 < value.shape[-1] == value.shape[-2]
        if (
            square
            and found[name].support.startswith("real")
            and np.array_equal(value, np.swapaxes(value, -1, -2))
        ):
            kept[name] = value
    return kept


def _read_as_symmetric(
    context: Context, point: Point, name: str, matrix: np.ndarray, values: SiteLogProbs
) -> bool:
    """Whether each side makes a symmetric matrix of it, by one of its triangles or by their mean."""
    lower, upper = np.tril(matrix), np.triu(matrix)
    read: Sequence[Arrays] = [
        {name: lower + np.swapaxes(np.tril(matrix, -1), -1, -2)},
        {name: upper + np.swapaxes(np.triu(matrix, 1), -1, -2)},
        {name: (matrix + np.swapaxes(matrix, -1, -2)) / 2},
    ]
    found = at_moved(context, [point] * len(read), read)
    for side in SIDES:
        own = sums_of(values, side, None)[0]
        as_read = np.asarray(sums_of(found, side, None))
        if not np.any(np.abs(as_read - own) <= READ * max(1.0, abs(own))):
            return False
    return True
