"""Symmetric random moves inside a support: from y to y' as often as from y' to y.

Each moves every batch element by itself, in one event at a time, and says which of them it could move: the
others stay where they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Move = Callable[[np.random.Generator, np.ndarray, float], tuple[np.ndarray, np.ndarray]]
"""y (B, E), and how far in standard deviations -> y' (B, E), and which elements moved (B,)."""

LARGEST = 2.0**62  # of a whole step
CONTINUOUS = ("real", "positive", "interval", "greater_than", "less_than", "circular")
INTEGERS = ("boolean", "nonnegative_integer", "positive_integer", "integer_interval", "integer_greater_than")


def move_within(support: str, draws: np.ndarray) -> Move | None:
    """A move within ``support``; None if this module knows none.

    Args:
        support: as in ``contract.Site``. A bound that moves with other sites is named as it was at one point;
            what lies outside of it stays where it is, so that a move and its reverse are still as likely.
        draws: (num_draws, B, E), for their spread alone.
    """
    low, high = bounds(support)
    scale, kind = _spread(draws), support.partition("(")[0]
    if kind in CONTINUOUS:
        return _additive(scale, lambda y: np.all((y > low) & (y < high), axis=-1))
    if support in ("ordered_vector", "positive_ordered_vector"):
        least = 0.0 if support.startswith("positive") else -np.inf
        return _additive(scale, lambda y: np.all(np.diff(y, axis=-1) > 0, axis=-1) & (y[..., 0] > least))
    if kind in INTEGERS:
        return _one_entry(scale, lambda y: np.all((y >= low) & (y <= high), axis=-1))
    if support in ("simplex", "multinomial", "onehot"):
        return _transfer(scale, whole=support != "simplex")
    return None


def anywhere(draws: np.ndarray) -> Move:
    """A move of coordinates that may take any value."""
    return _additive(_spread(draws), lambda y: np.ones(len(y), dtype=bool))


def bounds(support: str) -> tuple[float, float]:
    """The least and the largest value that a support's name speaks of."""
    named = {"positive": (0.0, np.inf), "nonnegative_integer": (0, np.inf), "positive_integer": (1, np.inf)}
    named |= {"boolean": (0, 1)}
    if support in named:
        return named[support]
    kind, _, inside = support.partition("(")
    numbers = [_number(text) for text in inside.rstrip(")").split(",")]
    if kind.endswith("greater_than"):
        low = numbers[0]
        return (-np.inf if np.isnan(low) else low), np.inf
    if kind.endswith("less_than"):
        high = numbers[0]
        return -np.inf, (np.inf if np.isnan(high) else high)
    if len(numbers) == 2:
        low, high = numbers
        return (-np.inf if np.isnan(low) else low), (np.inf if np.isnan(high) else high)
    return -np.inf, np.inf


def _spread(draws: np.ndarray) -> np.ndarray:
    flat = draws.reshape(-1, draws.shape[-1])
    inner = np.subtract(*np.nanquantile(flat, (0.84, 0.16), axis=0)) / 2
    return np.where(inner > 0, inner, np.nanstd(flat, axis=0))


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\s*[-+]?[\d.]+(e[-+]?\d+)?\s*", text) else np.nan


def _kept(y: np.ndarray, proposed: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(moved[:, None], proposed, y), moved


def _additive(scale: np.ndarray, inside: Callable[[np.ndarray], np.ndarray]) -> Move:
    def move(rng: np.random.Generator, y: np.ndarray, far: float) -> tuple[np.ndarray, np.ndarray]:
        step = far * scale / np.sqrt(y.shape[-1])
        proposed = y + step * rng.normal(size=y.shape)
        return _kept(y, proposed, inside(y) & inside(proposed))

    return move


def _one_entry(scale: np.ndarray, inside: Callable[[np.ndarray], np.ndarray]) -> Move:
    def move(rng: np.random.Generator, y: np.ndarray, far: float) -> tuple[np.ndarray, np.ndarray]:
        most = _whole(far * scale)
        rows, entry = np.arange(len(y)), rng.integers(0, y.shape[-1], size=len(y))
        proposed = y.copy()
        sign = rng.choice([-1, 1], size=len(y))
        proposed[rows, entry] += (sign * rng.integers(1, most[entry] + 1)).astype(y.dtype)
        return _kept(y, proposed, inside(y) & inside(proposed))

    return move


def _whole(length: np.ndarray) -> np.ndarray:
    """At least one, and no more than an integer holds: counts of 1e30 are drawn from wide priors."""
    return np.clip(np.round(length), 1, LARGEST).astype(int)


def _transfer(scale: np.ndarray, *, whole: bool) -> Move:
    """From one entry to another, so that their sum stays."""

    def move(rng: np.random.Generator, y: np.ndarray, far: float) -> tuple[np.ndarray, np.ndarray]:
        rows, size = np.arange(len(y)), y.shape[-1]
        source = rng.integers(0, size, size=len(y))
        target = (source + rng.integers(1, max(2, size), size=len(y))) % size
        both = np.minimum(scale[source], scale[target])
        if whole:
            amount = rng.integers(1, _whole(far * both) + 1)
        else:
            amount = np.abs(far * both * rng.normal(size=len(y)))
        proposed = y.copy()
        proposed[rows, source] -= amount.astype(y.dtype)
        proposed[rows, target] += amount.astype(y.dtype)
        return _kept(y, proposed, (proposed[rows, source] >= 0) & (source != target))

    return move
