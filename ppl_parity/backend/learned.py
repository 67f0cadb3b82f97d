"""Other values of params, which are learned: what one of zero is multiplied by does not show at zero."""

from __future__ import annotations

import zlib

import numpy as np

MOVE = 0.5  # unconstrained: the standard deviation of what is added to the initial value


def away(unconstrained: np.ndarray, name: str, seed: int) -> np.ndarray:
    """A param's unconstrained value moved by normal noise, the same for the same name, shape and seed."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return np.asarray(unconstrained + MOVE * rng.standard_normal(np.shape(unconstrained)))
