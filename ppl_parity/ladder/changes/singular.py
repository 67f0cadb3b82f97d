"""A map that does not use all that is drawn for it: in one direction nothing moves, and its values have no density."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.changes.jacobians import Computed, blocks_of
from ppl_parity.ladder.changes.program import computed_values

SINGULAR = 1e-13  # of the largest singular value, once each row and column is in units of its own
STEP, STILL = 1e-3, 1e-8  # of a numerical derivative along what should not move, and how far that may go

Lost = Literal["unused", "detached"]


def lost_direction(program: Program, values: Arrays, group: Computed) -> Lost | None:
    """What becomes of the direction that the derivative says does not count, at a point; None where all count.

    Returns:
        ``unused`` where the computed values stay when one goes along it, ``detached`` where they move all the same.
    """
    blocks = blocks_of(program, values, group)
    if blocks is None or not np.all(np.isfinite(blocks)):
        return None
    rows, D = blocks.shape[:-2], blocks.shape[-1]
    flat = blocks.reshape(-1, D, D)
    # An exponential's rows differ by orders of magnitude, and are none the less apart.
    of_rows = _size(flat, -1)
    of_columns = _size(flat / of_rows, -2)
    _, sizes, right = np.linalg.svd(flat / of_rows / of_columns)
    row = int(np.argmin(sizes[:, -1]))
    if sizes[row, -1] > SINGULAR * sizes[row, 0]:
        return None
    direction = np.zeros((len(flat), D))
    direction[row] = right[row, -1] / of_columns[row, 0]
    moved = _moved(program, values, group, direction.reshape(*rows, D).ravel())
    if moved is None:
        return None
    return "unused" if np.max(np.abs(moved) / of_rows.ravel()) <= STILL else "detached"


def _size(values: np.ndarray, axis: int) -> np.ndarray:
    """The largest along an axis; one where all are zero."""
    found = np.max(np.abs(values), axis=axis, keepdims=True)
    return np.where(found > 0, found, 1.0)


def _moved(program: Program, values: Arrays, group: Computed, direction: np.ndarray) -> np.ndarray | None:
    """How far each computed number goes, for a unit along this direction of what is drawn."""
    parts: Arrays = {}
    for name in group.by:
        size = int(np.prod(group.shapes[name]))
        parts[name], direction = direction[:size].reshape(group.shapes[name]), direction[size:]
    try:
        ahead, behind = (
            computed_values(program, {**values, **{n: values[n] + step * part for n, part in parts.items()}})
            for step in (STEP, -STEP)
        )
    except InputError:
        return None
    return np.concatenate([np.ravel(ahead[name] - behind[name]) for name in group.of]) / (2 * STEP)
