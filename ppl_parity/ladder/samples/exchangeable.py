"""Components whose names mean nothing: declared by the user, or detected by renaming them.

If the log density is the same with two components swapped, at every point tried, then no mean over draws of
"component 1" means anything. What is compared then: sums over components, which no renaming changes, and
the components as named by their nearest one among those of a pivot.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.labels import Relabelling, apply, relabel

MOST_COMPONENTS = 30
MOST_SITES = 4  # of one number of components: every subset of them is tried
NUM_POINTS = 3
TOLERANCE = 1e-8  # relative: the same sum in another order


@dataclass(frozen=True)
class Components:
    """A set of interchangeable components.

    Attributes:
        axes: site -> the axes of its value along which components stand; a transition matrix has two.
        count: K.
        declared: by the user; else detected.
    """

    axes: dict[str, tuple[int, ...]]
    count: int
    declared: bool


def find(context: Context) -> Components | None:
    """The pair's interchangeable components, if it has any."""
    shapes = {
        name: np.shape(np.asarray(context.sites["pyro"][name].value))
        for name in context.shared
        if not is_discrete(context.sites["pyro"][name])
    }
    named = {name: _shape_of_both(context, name) for name in context.pair.exchangeable}
    declared = [name for name, shape in named.items() if shape]
    if declared:
        count = named[declared[0]][0]
        if any(named[name][0] != count for name in declared):
            told = ", ".join(f"{name} {named[name]}" for name in declared)
            raise InputError(f"Exchangeable sites must have leading axes of one length; got {told}.")
        return Components(dict.fromkeys(declared, (0,)), count, True) if count > 1 else None
    if context.reparameterised or not context.points:
        return None
    counts = {shape[0] for shape in shapes.values() if shape and 2 <= shape[0] <= MOST_COMPONENTS}
    for count in sorted(counts):
        members = [name for name, shape in shapes.items() if shape and shape[0] == count]
        if len(members) <= MOST_SITES:
            found = _detect(context, count, members, shapes)
            if found is not None:
                return found
    return None


def _shape_of_both(context: Context, name: str) -> tuple[int, ...]:
    """Of a site that both sides have alike, what one samples and the other computes included; () of any other."""
    found = [context.sites[side].get(name) for side in SIDES]
    shapes = {
        np.shape(np.asarray(site.value)) for site in found if site is not None and not is_discrete(site)
    }
    return shapes.pop() if len(shapes) == 1 and all(found) else ()


def renamed(components: Components, draws: dict[str, Arrays], lp: np.ndarray | None) -> dict[str, Arrays]:
    """Both sides' draws with the components of each draw named by one common pivot.

    Args:
        components: which sites, along which axes.
        draws: side -> site -> (C, S, ...); pyro's draws make the pivot.
        lp: (C, S) log density of pyro's draws, or None.
    """
    first = _relabelling(components, draws["pyro"], None, lp)
    second = _relabelling(components, draws["numpyro"], first, None)
    result = {}
    for side, relabelling in zip(SIDES, (first, second), strict=True):
        result[side] = dict(draws[side])
        for name, axes in components.axes.items():
            for axis in axes:
                result[side][name] = apply(relabelling, result[side][name], 2 + axis)
    return result


def invariants(components: Components, draws: Arrays) -> Arrays:
    """Sums over components, (C, S, ...), that no renaming changes.

        sum_k y_k,    sum_k y_k^2,    and for weights w (a simplex):  sum_k w_k y_k

    Args:
        draws: site -> (C, S, K, ...).
    """
    result: Arrays = {}
    values = {
        name: np.asarray(draws[name], dtype=np.float64)
        for name, axes in components.axes.items()
        if axes == (0,) and name in draws
    }
    weights = {n: v for n, v in values.items() if v.ndim == 3 and np.allclose(v.sum(axis=2), 1.0)}
    for name, value in values.items():
        if name not in weights:
            result[f"sum of {name}"] = value.sum(axis=2)
        result[f"sum of squares of {name}"] = (value**2).sum(axis=2)
        for other, weight in weights.items():
            if other != name:
                result[f"sum of {other} times {name}"] = np.einsum("csk,csk...->cs...", weight, value)
    return result


def _detect(
    context: Context, count: int, members: list[str], shapes: dict[str, tuple[int, ...]]
) -> Components | None:
    """The largest set of sites whose components can be renamed together without changing the density."""
    options = [
        [(), (0,)]
        + (
            [tuple(i for i, size in enumerate(shapes[n]) if size == count)]
            if shapes[n].count(count) > 1
            else []
        )
        for n in members
    ]
    choices = sorted(itertools.product(*options), key=lambda choice: -sum(bool(axes) for axes in choice))
    for choice in choices:
        axes = {name: chosen for name, chosen in zip(members, choice, strict=True) if chosen}
        if axes and any(chosen == (0,) for chosen in axes.values()) and _invariant(context, axes, count):
            return Components(axes, count, False)
    return None


def _invariant(context: Context, axes: dict[str, tuple[int, ...]], count: int) -> bool:
    """Swapping two components and shifting all of them generate every renaming."""
    swap = np.arange(count)
    swap[:2] = 1, 0
    tried = 0
    for point in context.points[: 4 * NUM_POINTS]:
        values = context.values(context.asked, point, discrete=False)
        names = {name: next(iter(context.pair.to_side(context.asked, {name: None}))) for name in axes}
        before = _log_density(context, values)
        if not np.isfinite(before) or any(_alike(values[names[name]]) for name in axes):
            continue
        for permutation in (swap, np.roll(np.arange(count), 1)):
            moved = dict(values)
            for name, chosen in axes.items():
                for axis in chosen:
                    moved[names[name]] = np.take(moved[names[name]], permutation, axis=axis)
            after = _log_density(context, moved)
            if not abs(after - before) <= TOLERANCE * max(1.0, abs(before)):
                return False
        tried += 1
        if tried == NUM_POINTS:
            return True
    return False


def _alike(value: np.ndarray) -> bool:
    """Components that are equal can be swapped in any model."""
    return bool(np.allclose(value, value[:1]))


def _log_density(context: Context, values: Arrays) -> float:
    try:
        return context.programs[context.asked].log_density(values)
    except InputError:  # an ordered vector cannot be renamed
        return np.nan


def _relabelling(
    components: Components, draws: Arrays, pivot: Relabelling | None, lp: np.ndarray | None
) -> Relabelling:
    """By all sites with one component axis together, each in its own unit; weights count little."""
    own = {n: np.asarray(draws[n], dtype=np.float64) for n, axes in components.axes.items() if axes == (0,)}
    weights = [v for v in own.values() if v.ndim == 3 and np.allclose(v.sum(axis=2), 1.0)]
    places = [v for v in own.values() if not any(v is w for w in weights)] or weights
    beta = np.concatenate([v.reshape(*v.shape[:3], -1) for v in places], axis=-1)
    theta = weights[0] if weights and places is not weights else np.zeros(beta.shape[:3])
    return relabel(theta, beta, None if pivot is None else pivot.pivot, lp)
