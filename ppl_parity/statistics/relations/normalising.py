"""Probabilities that sum to one along another axis."""

from __future__ import annotations

import numpy as np

from ppl_parity.statistics.relations.pairs import Pairs

MOST_ELEMENTS = 20_000
NEAR = 1e-6  # nats


def another_axis(pairs: Pairs) -> str | None:
    """Softmax of a matrix by its rows and by its columns: the log ratio is a number a row plus one a column.

    So it is where one side has an intercept for each column more; that is told as well.
    """
    left, right = (np.asarray(side, dtype=float) for side in (pairs.left, pairs.right))
    if left.ndim < 3 or min(left.shape[-2:]) < 2 or left.shape[-2] * left.shape[-1] < 6:
        return None
    if pairs.apart.size > MOST_ELEMENTS or np.any(left <= 0) or np.any(right <= 0):
        return None
    if not np.allclose(left.sum(axis=-1), 1.0, atol=NEAR):
        return None
    if not any(np.allclose(right.sum(axis=axis), 1.0, atol=NEAR) for axis in (-1, -2)):
        return None
    logs = np.log(left)
    if np.max(np.abs(_interaction(logs))) < 1e-3:  # then that holds of any two
        return None
    if np.max(np.abs(_interaction(np.log(right) - logs))) > NEAR:
        return None
    return "pyro's times a number for each row and one for each column: a softmax along another axis, or an intercept?"


def _interaction(x: np.ndarray) -> np.ndarray:
    """What is left of the last two axes when rows' and columns' means are taken out."""
    rows, columns = x.mean(axis=-1, keepdims=True), x.mean(axis=-2, keepdims=True)
    return x - rows - columns + x.mean(axis=(-2, -1), keepdims=True)
