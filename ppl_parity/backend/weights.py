"""The factors on a site's log probability, as both backends describe them."""

from __future__ import annotations

from typing import Any

import numpy as np


def scale_and_weights(weights: Any) -> dict[str, Any]:
    """``scale`` and ``weights`` of a ``Site``: of an array the factor that says most surely that there are any."""
    weights = np.asarray(weights, dtype=float)
    flat = weights.ravel()
    if not flat.size:
        return {"scale": 1.0, "weights": None}
    return {
        "scale": float(flat[np.argmax(np.abs(flat - 1))]),
        "weights": None if np.all(flat == flat[0]) else weights,
    }
