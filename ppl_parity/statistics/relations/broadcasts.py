"""A vector that scales or shifts the rows of a square matrix on one side, and its columns on the other."""

from __future__ import annotations

import numpy as np

from ppl_parity.statistics.relations.pairs import Pairs, near


def other_axis(pairs: Pairs) -> str | None:
    """A[i, j] v[i] beside A[i, j] v[j], or A[i, j] + v[i] beside A[i, j] + v[j], for any matrix A and a site v."""
    shape = pairs.left.shape[1:]
    if len(shape) < 2 or not 1 < shape[-1] == shape[-2]:
        return None
    for name, values in pairs.sites.items():
        v = values.reshape(len(values), *[1] * (len(shape) - 2), -1)
        if v.shape[-1] != shape[-1] or values.ndim > 2 or not np.ptp(v):
            continue
        rows, columns = v[..., :, None], v[..., None, :]
        for one, other, left, right in (
            (rows, columns, "rows", "columns"),
            (columns, rows, "columns", "rows"),
        ):
            scaled = np.all(v) and near(pairs.left * other / one, pairs.right)
            if scaled or near(pairs.left - one + other, pairs.right):
                return (
                    f"numpyro's is {'scaled' if scaled else 'shifted'} by {name!r} along its {right} where pyro's is "
                    f"along its {left}: a transpose, or [None, :] for [:, None]?"
                )
    return None
