"""Sites of a loop as the one site of a scan or a plate: ``h_0``, ``h_1``, ... on one side are ``h`` on the other.

In Pyro a chain over time is a Python loop with a site a step; NumPyro's ``scan`` has one site with a leading axis
of steps. Which sites belong together is told by ``rename`` (``{"h_*": "state"}``), or by their names; names with
several numbers, as of nested loops, are several leading axes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.errors import InputError, nearest
from ppl_parity.pair.pairs import SIDES, Pair

BOUNDED = re.compile(r"(\w+)\(([^,]+), ([^,]+)\)")
FEW = 3  # supports that are told one by one
SEPARATORS = "_-.,[]/ "
INNER = re.compile(rf"(.+?)[{re.escape(SEPARATORS)}]*(\d+)\]?([{re.escape(SEPARATORS)}]+[^\d]+)")
NUMBERS = re.compile(rf"\d+(?:[{re.escape(SEPARATORS)}]+\d+)*$")  # at the end of a name

Index = tuple[int, ...]


@dataclass(frozen=True)
class Stack:
    """Sites of one side, in order, that together are one site of the other.

    Attributes:
        name: the other side's.
        members: of this side.
        shape: of the leading axes that they make, in C order; their number is its product.
    """

    name: str
    members: tuple[str, ...]
    shape: Index

    def __str__(self) -> str:
        few = len(self.members) <= 2
        return " and ".join(self.members) if few else f"{self.members[0]} to {self.members[-1]}"

    def member(self, index: Index) -> str | None:
        """The site that has an element of the stacked one; None where the index is none of its leading axes."""
        lead = index[: len(self.shape)]
        inside = len(lead) == len(self.shape) and all(i < n for i, n in zip(lead, self.shape, strict=True))
        return self.members[int(np.ravel_multi_index(lead, self.shape))] if inside else None


Stacks = dict[str, tuple[Stack, ...]]


def find_stacks(
    pair: Pair, sites: Mapping[str, Mapping[str, Site]], *, partial: bool = False
) -> tuple[Pair, Stacks]:
    """Which sites of a side are stacked, and the pair with names as they are then.

    Args:
        sites: side -> site, under the side's own names -> description.
        partial: whether a side's sites may not all be known; then a ``*`` may fit none.

    Raises:
        InputError: a name of ``rename`` with a ``*`` fits no site, or a stack has the name of another site.
    """
    stacks: dict[str, list[Stack]] = {side: [] for side in SIDES}
    rename = {}
    plain = {name for names in pair.rename.items() for name in names} | (
        set(sites["pyro"]) & set(sites["numpyro"])
    )
    for names in pair.rename.items():
        both = dict(zip(SIDES, names, strict=True))
        starred = [side for side in SIDES if "*" in both[side]]
        if not starred:
            rename[both["pyro"]] = both["numpyro"]
            continue
        free = {side: [n for n in sites[side] if n not in plain] for side in starred}
        found = {side: fitting(both[side], free[side]) for side in starred}
        empty = [side for side in starred if not found[side]]
        if empty and not partial:
            side = empty[0]
            raise InputError(
                f"rename must name sites of {side}'s model, of {', '.join(sites[side])}; {both[side]!r} fits none."
                f"{nearest(both[side], [*sites[side]])}"
            )
        if len(starred) == len(SIDES):
            common = [part for part in found["pyro"] if part in found["numpyro"]]
            rename |= {found["pyro"][part]: found["numpyro"][part] for part in common}
        elif not empty:
            (side,) = starred
            (name,) = (both[other] for other in SIDES if other != side)
            whole = sites[SIDES[1 - SIDES.index(side)]].get(name)
            stacks[side].append(_asked(name, found[side], sites[side], whole))
    told = {name for found in stacks.values() for stack in found for name in (stack.name, *stack.members)}
    told |= {name for names in rename.items() for name in names}
    for side, other in zip(SIDES, reversed(SIDES), strict=True):
        alone = {n: s for n, s in sites[side].items() if n not in sites[other] and n not in told}
        there = {n: s for n, s in sites[other].items() if n not in told and _is_free(n, side, sites)}
        stacks[side] += _numbered(alone, there)
        for stack in stacks[side]:
            if not _is_free(stack.name, side, sites):
                raise InputError(
                    f"rename must lead to a name that {side}'s model has not; {stack} cannot be {stack.name!r}, "
                    "which is a site of its own."
                )
    points = {
        point: merge({name: np.asarray(value) for name, value in values.items()}, stacks["pyro"])
        for point, values in pair.points.items()
    }
    return replace(pair, rename=rename, points=points), {side: tuple(found) for side, found in stacks.items()}


def members(names: Iterable[str], stacks: Sequence[Stack]) -> list[str]:
    """A side's own names of some sites."""
    known = {stack.name: stack.members for stack in stacks}
    return [member for name in names for member in known.get(name, (name,))]


def presented(name: str, stacks: Sequence[Stack]) -> str:
    """The name under which one of a side's own sites is presented."""
    return next((stack.name for stack in stacks if name in stack.members), name)


def split(values: Mapping[str, Any], stacks: Sequence[Stack], axis: int = 0) -> dict[str, Any]:
    """Every stacked value as its members', whose axes begin at ``axis``."""
    found = {}
    known = {stack.name: stack for stack in stacks}
    for name, value in values.items():
        if name in known:
            stack, value = known[name], np.asarray(value)
            end = axis + len(stack.shape)
            if value.shape[axis:end] != stack.shape:
                raise InputError(
                    f"{name!r} must have steps of shape {stack.shape}; its shape is {value.shape}."
                )
            value = value.reshape(*value.shape[:axis], len(stack.members), *value.shape[end:])
            steps = (np.asarray(np.take(value, i, axis=axis)) for i in range(len(stack.members)))
            found |= dict(zip(stack.members, steps, strict=True))
        else:
            found[name] = value
    return found


def merge(values: Mapping[str, np.ndarray], stacks: Sequence[Stack], axis: int = 0) -> Arrays:
    """The members' values as one, with the steps at ``axis``; a stack that is not there as a whole is left."""
    return _together(values, stacks, lambda rows, shape: _stacked(rows, shape, axis))


def merge_terms(values: Mapping[str, np.ndarray], stacks: Sequence[Stack]) -> Arrays:
    """Log probs as one, by element where the steps have the same shape and else by step."""

    def stacked(rows: list[np.ndarray], shape: Index) -> np.ndarray:
        alike = len({np.shape(row) for row in rows}) == 1
        return _stacked(rows if alike else [np.sum(row) for row in rows], shape, 0)

    return _together(values, stacks, stacked)


def merge_sums(values: Mapping[str, np.ndarray], stacks: Sequence[Stack]) -> Arrays:
    """Scalars of a site, such as a log Jacobian, summed."""
    return _together(values, stacks, lambda rows, _: np.sum(rows))


def _stacked(rows: Sequence[np.ndarray], shape: Index, axis: int) -> np.ndarray:
    found = np.stack(rows, axis=axis)
    return found.reshape(*found.shape[:axis], *shape, *found.shape[axis + 1 :])


def merge_sites(described: Iterable[Site], stacks: Sequence[Stack]) -> tuple[Site, ...]:
    """One description for the members of each stack, where the first of them stood."""
    found = {site.name: site for site in described}
    together = {stack.members[0]: stack for stack in stacks if all(name in found for name in stack.members)}
    inner = {name for stack in together.values() for name in stack.members}
    taken = {stack.name for stack in together.values()}
    merged = []
    for name, site in found.items():
        if name in together:
            stack = together[name]
            merged.append(_site(stack, [found[member] for member in stack.members]))
        elif name not in inner and name not in taken:
            merged.append(site)
    return tuple(merged)


def _together(
    values: Mapping[str, Any], stacks: Sequence[Stack], join: Callable[[list[np.ndarray], Index], Any]
) -> dict[str, Any]:
    whole = {stack.members[0]: stack for stack in stacks if all(name in values for name in stack.members)}
    inner = {name for stack in whole.values() for name in stack.members}
    inner |= {stack.name for stack in whole.values()}
    found = {}
    for name, value in values.items():
        if name in whole:
            rows = [np.asarray(values[member]) for member in whole[name].members]
            try:
                found[whole[name].name] = np.asarray(join(rows, whole[name].shape))
            except ValueError:
                shapes = ", ".join(str(shape) for shape in dict.fromkeys(row.shape for row in rows))
                raise InputError(
                    f"{whole[name]} must have one shape to be {whole[name].name!r}; they have {shapes}."
                ) from None
        elif name not in inner:
            found[name] = value
    return found


def _site(stack: Stack, steps: list[Site]) -> Site:
    first = steps[0]

    def told(words: Iterable[str]) -> str:
        return " and ".join(dict.fromkeys(words))

    known = [step.value for step in steps if step.value is not None]
    alike = len(known) == len(steps) and len({value.shape for value in known}) == 1
    return replace(
        first,
        name=stack.name,
        family=told(step.family for step in steps),
        batch_shape=stack.shape
        + (first.batch_shape if len({step.batch_shape for step in steps}) == 1 else ()),
        support=_support([step.support for step in steps]),
        scale=max((step.scale for step in steps), key=lambda scale: abs(scale - 1)),
        weights=_weights(stack, steps),
        masked=any(step.masked for step in steps),
        enumerated=any(step.enumerated for step in steps),
        value=_stacked(known, stack.shape, 0) if alike else None,
        params=_rows(stack, [step.params for step in steps]),
        bounds=_rows(stack, [_full(step) for step in steps]),
    )


def _weights(stack: Stack, steps: list[Site]) -> np.ndarray | None:
    """Of each step its own, where they are not all one number."""
    every = [step.scale if step.weights is None else step.weights for step in steps]
    if all(step.weights is None for step in steps) and len(set(map(float, every))) == 1:
        return None
    rank = max(np.ndim(weights) for weights in every)
    alike = [np.reshape(w, (1,) * (rank - np.ndim(w)) + np.shape(w)) for w in every]
    try:
        shape = np.broadcast_shapes(*(w.shape for w in alike))
    except ValueError:  # of steps that differ in shape, which are compared by their sums
        return None
    return _stacked([np.broadcast_to(w, shape) for w in alike], stack.shape, 0)


def _support(names: list[str]) -> str:
    """Of one kind with bounds of their own ``interval(0, array)``, as one site with an array of bounds has it."""
    every = list(dict.fromkeys(names))
    parts = [BOUNDED.fullmatch(name) for name in every]
    kinds = {part.group(1) for part in parts if part}
    if len(every) == 1 or len(kinds) != 1 or not all(parts):
        return " and ".join(every) if len(every) <= FEW else f"{every[0]} and {len(every) - 1} others"
    low, high = ({part.group(end) for part in parts if part} for end in (2, 3))
    return f"{kinds.pop()}({', '.join(end.pop() if len(end) == 1 else 'array' for end in (low, high))})"


def _full(step: Site) -> Arrays:
    """The bounds of each of a step's numbers."""
    shape = step.batch_shape + step.event_shape if step.value is None else step.value.shape
    return {
        end: np.broadcast_to(value, shape) for end, value in step.bounds.items() if value.ndim <= len(shape)
    }


def _rows(stack: Stack, steps: list[Arrays]) -> Arrays:
    """What every step has, one row a step."""
    found = {}
    for key in steps[0]:
        if all(key in step for step in steps):
            try:
                rows = np.broadcast_arrays(*(step[key] for step in steps))
            except ValueError:
                continue
            found[key] = _stacked(rows, stack.shape, 0)
    return found


def _is_free(name: str, side: str, sites: Mapping[str, Mapping[str, Site]]) -> bool:
    """Whether a stack may have the name: a deterministic site that collects the steps gives way to them."""
    return name not in sites[side] or sites[side][name].kind == "deterministic"


def fitting(pattern: str, names: Iterable[str]) -> dict[tuple[str, ...], str]:
    """What stands for each ``*`` -> the site's name.

    Args:
        names: that are neither the other side's too nor named in full: the first of a chain may be one of its own.
    """
    fits = re.compile("(.+)".join(map(re.escape, pattern.split("*"))))
    return {match.groups(): name for name in names if (match := fits.fullmatch(name))}


def _asked(
    name: str, found: Mapping[tuple[str, ...], str], own: Mapping[str, Site], whole: Site | None
) -> Stack:
    """By number where all are numbers; else as the model visits them, along one axis."""
    numbers: dict[Index, str] = {}
    for parts, member in found.items():
        texts = re.split(f"[{re.escape(SEPARATORS)}]+", "_".join(parts).strip(SEPARATORS))
        if not all(text.isdecimal() for text in texts):
            return Stack(name, tuple(found.values()), (len(found),))
        numbers[tuple(map(int, texts))] = member
    ordered = tuple(numbers[index] for index in sorted(numbers))
    shape = _grid(numbers) or (len(ordered),)
    lead = None if whole is None else _lead(_shape(own[ordered[0]]), _shape(whole), shape)
    return Stack(name, ordered, lead or shape)


def _numbered(alone: Mapping[str, Site], there: Mapping[str, Site]) -> list[Stack]:
    """Sites whose names are another's with numbers that leave none out, and whose shape is its without the first axes.

    Where the numbers of steps differ, or the other has one value for all of them, it is taken for the same site all
    the same, if nothing else is alone there.
    """
    groups: dict[tuple[str, str], dict[Index, str]] = {}
    for name in alone:
        for stem, index in _stems(name):
            base = stem.rstrip(SEPARATORS)
            if base in there:
                groups.setdefault((base, stem), {})[index] = name
    bases = {base for base, _ in groups}
    lonely = {n for n, s in there.items() if n not in bases and n not in alone and s.kind != "deterministic"}
    found: dict[str, Stack] = {}
    for (base, _), numbers in groups.items():
        steps = [alone[numbers[index]] for index in sorted(numbers)]
        alike = len({_shape(step) for step in steps}) == len({step.kind for step in steps}) == 1
        shape = _grid(numbers)
        if not alike or shape is None or len(steps) < 2 or base in found:
            continue
        own, whole = _shape(steps[0]), _shape(there[base])
        lead = _lead(own, whole, shape)
        other_steps = len(shape) == 1 and len(whole) == 1 + len(own) and whole[1:] == own
        # Of two that are one in the port, one may have been summed out by hand; the sampling rungs see that. And one
        # sum of the data may stand for all of them.
        no_steps = whole == own and there[base].kind == steps[0].kind == "latent" and len(steps) > 2
        if lead is None and not lonely and (other_steps or no_steps):
            lead = shape
        if lead is not None:
            found[base] = Stack(base, tuple(numbers[index] for index in sorted(numbers)), lead)
    return list(found.values())


def _stems(name: str) -> Iterable[tuple[str, Index]]:
    """The ways to take a name apart into a stem and the numbers behind it: one number, two, ...

    A reparameterised step has its number within: ``h_0_decentered`` is a step of ``h_decentered``.
    """
    text = name.rstrip("]")
    match = NUMBERS.search(text)
    if match is None:
        if inner := INNER.fullmatch(text):
            before, number, after = inner.groups()
            yield f"{before}{after}", (int(number),)
        return
    found = list(re.finditer(r"\d+", text[match.start() :]))
    for count in range(1, len(found) + 1):
        stem = text[: match.start() + found[-count].start()]
        if stem:
            yield stem, tuple(int(number.group()) for number in found[-count:])


def _grid(numbers: Iterable[Index]) -> Index | None:
    """The shape of the axes that the indices fill, each from its least number on; None where some are left out."""
    indices = set(numbers)
    if len({len(index) for index in indices}) != 1:
        return None
    ranges = [range(min(axis), max(axis) + 1) for axis in zip(*indices, strict=True)]
    if math.prod(map(len, ranges)) != len(indices) or indices != set(product(*ranges)):
        return None
    return tuple(map(len, ranges))


def _lead(own: Index, whole: Index, shape: Index) -> Index | None:
    """The first axes of the other side's site, where they are these but for axes of length one; None else."""
    lead, rest = whole[: len(whole) - len(own)], whole[len(whole) - len(own) :]
    fits = (
        len(whole) >= len(own) and rest == own and [n for n in lead if n > 1] == [n for n in shape if n > 1]
    )
    return lead if fits and lead else None


def _shape(site: Site) -> Index:
    return site.batch_shape if site.value is None else site.value.shape
