"""Values of params, which are learned: what one of zero is multiplied by does not show at zero."""

from __future__ import annotations

import zlib

import numpy as np

from ppl_parity.backend.contract import Arrays

# Unconstrained: the standard deviation of what is added to the initial value, in turn; a small one leaves a scale, or a
# covariance, that nothing constrains what it is.
MOVES = 0.5, 0.05, 0.005


def changed(first: Arrays, second: Arrays) -> Arrays:
    """What two runs of other seeds have of their own, as in the first."""
    return {n: value for n, value in first.items() if n in second and not np.array_equal(value, second[n])}


def away(unconstrained: np.ndarray, name: str, seed: int, support: str) -> np.ndarray:
    """A param's unconstrained value moved by normal noise, the same for the same name, shape and seed.

    Args:
        support: the constraint, in the contract's words.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    noise = rng.standard_normal(np.shape(unconstrained))
    # Of a covariance libraries read one triangle, and not the same one.
    if _symmetric(unconstrained) and not each_by_itself(support):
        noise = (noise + np.swapaxes(noise, -1, -2)) / 2
    return np.asarray(unconstrained + MOVES[seed % len(MOVES)] * noise)


def each_by_itself(support: str) -> bool:
    """Whether a constraint is one of every number, none of which is of a matrix' making."""
    return support == "positive" or support.startswith(("greater_than(", "less_than(", "interval("))


def _symmetric(matrix: np.ndarray) -> bool:
    shape = np.shape(matrix)
    return (
        len(shape) > 1 and 1 < shape[-1] == shape[-2] and np.array_equal(matrix, np.swapaxes(matrix, -1, -2))
    )
