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
    left, right = (side.reshape(len(side), -1) for side in (pairs.left, pairs.right))
    for name, values in pairs.sites.items():
        if values.ndim > 1 and 1 < values[0].size <= MOST_ELEMENTS:
            columns = values.reshape(len(values), -1)
            here, there = (_places(side, columns) for side in (left, right))
            if here is not None and there is not None and np.array_equal(here != there, pairs.apart.ravel()):
                return _index(name, here, there, values.shape[1:])
    shape = pairs.left.shape
    for axis in range(1, len(shape)):
        for shift in (-1, 1):
            if shape[axis] > 2 and near(np.roll(pairs.left, shift, axis=axis), pairs.right):
                return "shifted by one: an index that is off by one?"
            if shape[axis] > 3 and _inner_is_moved(pairs.left, pairs.right, axis, shift):
                return f"numpyro's element i is pyro's i {_MOVED[shift]}"
    first_alone = np.flatnonzero(pairs.apart).tolist() == [0] and pairs.apart.size > 2
    if not first_alone and (told := _still(left, right)):
        return told
    places = _places(right, left)
    if places is None or np.any((places == np.arange(len(places))) & pairs.apart.ravel()):
        return _of_one_site(pairs)
    if first_alone:
        return "in the first element alone: what a chain begins with?"
    if len(np.unique(places)) == len(places):
        return "the same numbers in another order: a swapped index or a transpose?"
    return "numpyro's are some of pyro's, at other places: an index? (JAX clamps or wraps one beyond the end)"


_MOVED = {
    1: "- 1: an index, or a carry that is updated too late",
    -1: "+ 1: an index, or a carry that is updated too early",
}


def _inner_is_moved(left: np.ndarray, right: np.ndarray, axis: int, shift: int) -> bool:
    """Whether one is the other moved by one, but for the ends, where a chain begins with something else."""
    inner = [slice(None)] * left.ndim
    inner[axis] = slice(1, -1)
    moved = np.roll(left, shift, axis=axis)[tuple(inner)]
    return near(moved, right[tuple(inner)]) and not near(left[tuple(inner)], right[tuple(inner)])


def _still(left: np.ndarray, right: np.ndarray) -> str | None:
    """One number on one side where the other has several: a carry or an index that stays where it is."""
    still = [near(side, np.broadcast_to(side[:, :1], side.shape)) for side in (left, right)]
    if still == [False, True]:
        return "numpyro's is one number for all elements: a carry that is not updated, or an index that stays"
    if still == [True, False]:
        return "pyro's is one number for all elements, and numpyro's is not: an index or a carry on one side"
    return None


def _of_one_site(pairs: Pairs) -> str | None:
    """Elements of one site on both sides, at places that change from point to point, as a state's do."""
    for name, values in pairs.sites.items():
        columns = values.reshape(len(values), -1)
        if columns.shape[1] < 2 or len(columns) < 3 or not np.ptp(columns, axis=0).all():
            continue
        if all(_within(side[i], columns[i]) for side in pairs.differing for i in range(len(columns))):
            return f"both take elements of {name!r}, numpyro others than pyro: another index"
    return None


def _within(numbers: np.ndarray, among: np.ndarray) -> bool:
    """Whether each number is one of the others."""
    known = np.sort(among)
    at = np.clip(np.searchsorted(known, numbers), 1, len(known) - 1)
    nearest = np.minimum(np.abs(numbers - known[at - 1]), np.abs(numbers - known[at]))
    return bool(np.all(nearest <= 1e-9 * np.abs(numbers)))


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
    usual = int(np.bincount(moved - moved.min()).argmax() + moved.min())
    # Where few places are seen, two ahead of three may be one behind that was wrapped: the smaller step is told.
    for step in sorted({usual, usual - length, usual + length}, key=abs):
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
    """Each column's numbers to nine digits, as bytes."""
    mantissa, exponent = np.frexp(columns)
    digits = np.stack([np.round(mantissa * 2.0**31), exponent.astype(float)], axis=-1) + 0.0  # no minus zero
    return [np.ascontiguousarray(digits[:, i]).tobytes() for i in range(columns.shape[1])]
