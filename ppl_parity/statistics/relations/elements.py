"""The same numbers at other places: an index that is off by one, swapped, clamped or wrapped."""

from __future__ import annotations

import numpy as np

from ppl_parity.statistics.relations.pairs import Pairs, near

MOST_ELEMENTS = 20_000  # are looked for among each other


def other_elements(pairs: Pairs) -> str | None:
    """Each of numpyro's numbers is one of pyro's, or of one site's, at another place."""
    if pairs.apart.size > MOST_ELEMENTS:
        return None
    if pairs.apart.size < 2:
        return _of_one_site(pairs)
    left, right = pairs.flat
    for name, values in pairs.sites.items():
        if values.ndim > 1 and values[0].size > 1:
            columns = values.reshape(len(values), -1)
            here, there = (_places(side, columns) for side in (left, right))
            if here is not None and there is not None:
                return _index(name, here, there, values.shape[1:])
    shape = pairs.left.shape
    for axis in range(1, len(shape)):
        for shift in (-1, 1):
            if shape[axis] > 2 and near(np.roll(pairs.left, shift, axis=axis), pairs.right):
                return "shifted by one: an index that is off by one?"
    places = _places(right, left)
    if places is None:
        return _of_one_site(pairs)
    if len(np.unique(places)) == len(places):
        return "the same numbers in another order: a swapped index or a transpose?"
    return "numpyro's are some of pyro's, at other places: an index? (JAX clamps or wraps one beyond the end)"


def _of_one_site(pairs: Pairs) -> str | None:
    """Elements of one site on both sides, at places that change from point to point, as a state's do."""
    for name, values in pairs.sites.items():
        columns = values.reshape(len(values), -1)
        if columns.shape[1] < 2 or len(columns) < 3 or not np.ptp(columns, axis=0).all():
            continue
        if all(
            np.isclose(side[i][:, None], columns[i], rtol=1e-9, atol=1e-12).any(axis=1).all()
            for side in pairs.flat
            for i in range(len(columns))
        ):
            return f"both take elements of {name!r}, numpyro others than pyro: another index"
    return None


def _index(name: str, left: np.ndarray, right: np.ndarray, shape: tuple[int, ...]) -> str:
    """How the places of numpyro's numbers in a site of this shape follow from the places of pyro's."""
    here, there = np.unravel_index(left, shape), np.unravel_index(right, shape)
    moved = [axis for axis in range(len(shape)) if not np.array_equal(here[axis], there[axis])]
    if len(shape) == 2 and np.array_equal(here[0], there[1]) and np.array_equal(here[1], there[0]):
        return f"numpyro takes {name}[j, i] where pyro takes {name}[i, j]: a transpose"
    if len(moved) == 1:
        axis = moved[0]
        told = _step(here[axis], there[axis], shape[axis])
        if told is not None:
            step, how = told
            before, after = ":, " * axis, ", :" * (len(shape) - axis - 1)
            index = f"i {'+' if step > 0 else '-'} {abs(step)}"
            return (
                f"numpyro takes {name}[{before}{index}{after}] where pyro takes {name}[{before}i{after}]{how}"
            )
    return f"numpyro takes other elements of {name!r} than pyro: another index"


def _step(left: np.ndarray, right: np.ndarray, length: int) -> tuple[int, str] | None:
    """By how much an index is off, and what became of it at the end."""
    moved = (right - left)[right != left]
    step = int(np.bincount(moved - moved.min()).argmax() + moved.min())
    wanted = left + step
    if np.array_equal(right, wanted):
        return step, ""
    if np.array_equal(right, np.clip(wanted, 0, length - 1)):
        return step, ", clamped at the end as JAX does"
    if np.array_equal(right, wanted % length):
        return step, ", wrapped at the end as JAX does"
    return None


def _places(wanted: np.ndarray, among: np.ndarray) -> np.ndarray | None:
    """For each column of ``wanted`` the column of ``among`` that is equal at every point; None if one has none."""
    known: dict[bytes, int] = {}
    for number, key in enumerate(_keys(among)):
        known.setdefault(key, number)
    found = [known.get(key) for key in _keys(wanted)]
    if len(known) < 2 or any(place is None for place in found):
        return None
    return np.array(found)


def _keys(columns: np.ndarray) -> list[bytes]:
    """Each column's numbers to nine digits of the largest, as bytes."""
    largest = np.maximum(np.nanmax(np.abs(columns), initial=0.0), 1e-300)
    rounded = np.round(columns * 10.0 ** (9 - np.ceil(np.log10(largest)))) + 0.0  # minus zero is zero
    return [np.ascontiguousarray(column).tobytes() for column in rounded.T]
