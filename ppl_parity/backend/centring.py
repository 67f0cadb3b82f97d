"""Rows and means as seen from the middle of the rows, so that no expanded square is a difference of large numbers."""

from __future__ import annotations

import numpy as np

from ppl_parity.errors import one_of
from ppl_parity.spec import PRECISIONS

LOSS = 1e-3  # nats of a row's log density: float32 that would lose more than this gives way to float64


def centred(
    x: np.ndarray, beta: np.ndarray, noise_scale: float, precision: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """(x - c, beta - c) for the mean c of x, and the precision that holds what is computed of them.

    |x - beta|^2 is written as |x|^2 - 2 x . beta + |beta|^2, in which a row that lies M noise scales from the origin
    loses 2^-24 M^2 in float32: all of it where years or times since an epoch are clustered.

    Args:
        x: (N, D). beta: (..., K, D). noise_scale: s. precision: that was asked for.
    """
    one_of("precision", precision, PRECISIONS)
    x, beta = (np.asarray(values, dtype=np.float64) for values in (x, beta))
    if not x.size:
        return x, beta, precision
    centre = x.mean(axis=0)
    x, beta = x - centre, beta - centre
    farthest = max(float(np.abs(values).max(initial=0.0)) for values in (x, beta)) / noise_scale
    lost = float(np.finfo(np.float32).eps) / 2 * farthest**2
    return x, beta, precision if lost <= LOSS else "float64"
