"""Which deterministic sites move with a discrete latent one: where that is summed out, they have no value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ppl_parity.backend.contract import Arrays

NUM_OTHERS = 6  # draws of all discrete sites: a total of a few coins is the same again in every third
FARTHER = 30  # of a count, which has no end


def moved_by(
    values: Arrays, supports: dict[str, np.ndarray | None], computed: Callable[[Arrays], Arrays]
) -> frozenset[str]:
    """The sites whose values are others when those of ``supports`` are.

    Args:
        values: of all latent sites.
        supports: discrete site -> its possible values; None of a site that has no end of them.
        computed: latent values -> those of the deterministic sites.
    """
    first, found = computed(values), set()
    rng = np.random.default_rng(0)
    for _ in range(NUM_OTHERS if first and supports else 0):
        moved = {name: _others(values[name], support, rng) for name, support in supports.items()}
        there = computed({**values, **moved})
        found |= {name for name, value in first.items() if not _same(value, there[name])}
    return frozenset(found)


def _others(value: np.ndarray, support: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Each element by itself, for what depends on one alone, or on which of two are alike."""
    if support is None:
        return (value + rng.integers(1, FARTHER, size=np.shape(value))).astype(value.dtype)
    return rng.choice(np.ravel(support), size=np.shape(value)).astype(value.dtype)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
