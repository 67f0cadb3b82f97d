"""Sites of a loop as the one site of a scan or a plate: ``h_0``, ``h_1``, ... on one side are ``h`` on the other.

In Pyro a chain over time is a Python loop with a site a step; NumPyro's ``scan`` has one site with a leading axis
of steps. Which sites belong together is told by ``rename`` (``{"h_*": "state"}``), or by their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl_parity.contract import Arrays, Site
from ppl_parity.errors import InputError, nearest
from ppl_parity.pairs import SIDES, Pair

NUMBERED = re.compile(r"(?P<stem>.*\D)(?P<number>\d+)\]?")
SEPARATORS = "_-.[/ "


@dataclass(frozen=True)
class Stack:
    """Sites of one side, in order, that together are one site of the other.

    Attributes:
        name: the other side's.
        members: of this side.
    """

    name: str
    members: tuple[str, ...]

    def __str__(self) -> str:
        few = len(self.members) <= 2
        return " and ".join(self.members) if few else f"{self.members[0]} to {self.members[-1]}"


Stacks = dict[str, tuple[Stack, ...]]


def find_stacks(pair: Pair, sites: Mapping[str, Mapping[str, Site]]) -> tuple[Pair, Stacks]:
    """Which sites of a side are stacked, and the pair with names as they are then.

    Args:
        sites: side -> site, under the side's own names -> description.

    Raises:
        InputError: a name of ``rename`` with a ``*`` fits no site.
    """
    stacks: dict[str, list[Stack]] = {side: [] for side in SIDES}
    rename = {}
    plain = {name for names in pair.rename.items() for name in names}
    for pyro, numpyro in pair.rename.items():
        starred = [side for side, name in zip(SIDES, (pyro, numpyro), strict=True) if "*" in name]
        found = {
            side: _fitting(side, name, [n for n in sites[side] if n not in plain])
            for side, name in (("pyro", pyro), ("numpyro", numpyro))
        }
        if len(starred) == len(SIDES):
            common = [part for part in found["pyro"] if part in found["numpyro"]]
            rename |= {found["pyro"][part]: found["numpyro"][part] for part in common}
        elif starred:
            (side,) = starred
            stacks[side].append(Stack(numpyro if side == "pyro" else pyro, _ordered(found[side])))
        else:
            rename[pyro] = numpyro
    told = {name for found in stacks.values() for stack in found for name in (stack.name, *stack.members)}
    told |= {name for names in rename.items() for name in names}
    for side, other in zip(SIDES, reversed(SIDES), strict=True):
        alone = {n: s for n, s in sites[side].items() if n not in sites[other] and n not in told}
        there = {n: s for n, s in sites[other].items() if n not in sites[side] and n not in told}
        stacks[side] += _numbered(alone, there)
    points = {name: _point(values, stacks["pyro"]) for name, values in pair.points.items()}
    return replace(pair, rename=rename, points=points), {side: tuple(found) for side, found in stacks.items()}


def members(names: Iterable[str], stacks: Sequence[Stack]) -> list[str]:
    """A side's own names of some sites."""
    known = {stack.name: stack.members for stack in stacks}
    return [member for name in names for member in known.get(name, (name,))]


def presented(name: str, stacks: Sequence[Stack]) -> str:
    """The name under which one of a side's own sites is presented."""
    return next((stack.name for stack in stacks if name in stack.members), name)


def split(values: Mapping[str, Any], stacks: Sequence[Stack], axis: int = 0) -> dict[str, Any]:
    """Every stacked value as its members', which lie along ``axis``."""
    found = {}
    known = {stack.name: stack for stack in stacks}
    for name, value in values.items():
        if name in known:
            members = known[name].members
            value = np.asarray(value)
            if value.ndim <= axis or value.shape[axis] != len(members):
                raise InputError(f"{name!r} must have {len(members)} steps; its shape is {value.shape}.")
            found |= {member: np.asarray(np.take(value, i, axis=axis)) for i, member in enumerate(members)}
        else:
            found[name] = value
    return found


def merge(values: Mapping[str, np.ndarray], stacks: Sequence[Stack], axis: int = 0) -> Arrays:
    """The members' values as one, with the steps along ``axis``; a stack that is not there as a whole is left."""
    return _together(values, stacks, lambda rows: np.stack(rows, axis=axis))


def merge_terms(values: Mapping[str, np.ndarray], stacks: Sequence[Stack]) -> Arrays:
    """Log probs as one, by element where the steps have the same shape and else by step."""

    def stacked(rows: list[np.ndarray]) -> np.ndarray:
        alike = len({np.shape(row) for row in rows}) == 1
        return np.stack(rows if alike else [np.sum(row) for row in rows])

    return _together(values, stacks, stacked)


def merge_sums(values: Mapping[str, np.ndarray], stacks: Sequence[Stack]) -> Arrays:
    """Scalars of a site, such as a log Jacobian, summed."""
    return _together(values, stacks, lambda rows: np.sum(rows))


def merge_sites(described: Iterable[Site], stacks: Sequence[Stack]) -> tuple[Site, ...]:
    """One description for the members of each stack, where the first of them stood."""
    found = {site.name: site for site in described}
    together = {stack.members[0]: stack for stack in stacks if all(name in found for name in stack.members)}
    inner = {name for stack in together.values() for name in stack.members}
    merged = []
    for name, site in found.items():
        if name in together:
            stack = together[name]
            merged.append(_site(stack.name, [found[member] for member in stack.members]))
        elif name not in inner:
            merged.append(site)
    return tuple(merged)


def _together(values: Mapping[str, Any], stacks: Sequence[Stack], join: Any) -> dict[str, Any]:
    whole = {stack.members[0]: stack for stack in stacks if all(name in values for name in stack.members)}
    inner = {name for stack in whole.values() for name in stack.members}
    found = {}
    for name, value in values.items():
        if name in whole:
            rows = [np.asarray(values[member]) for member in whole[name].members]
            try:
                found[whole[name].name] = np.asarray(join(rows))
            except ValueError:
                shapes = ", ".join(str(shape) for shape in dict.fromkeys(row.shape for row in rows))
                raise InputError(
                    f"{whole[name]} must have one shape to be {whole[name].name!r}; they have {shapes}."
                ) from None
        elif name not in inner:
            found[name] = value
    return found


def _site(name: str, steps: list[Site]) -> Site:
    first = steps[0]

    def told(words: Iterable[str]) -> str:
        return " and ".join(dict.fromkeys(words))

    length = len(steps)
    values = [step.value for step in steps]
    shapes = {step.batch_shape for step in steps}
    known = [np.asarray(value) for value in values if value is not None]
    return replace(
        first,
        name=name,
        family=told(step.family for step in steps),
        batch_shape=(length, *first.batch_shape) if len(shapes) == 1 else (length,),
        support=told(step.support for step in steps),
        scale=max(step.scale for step in steps),
        masked=any(step.masked for step in steps),
        enumerated=any(step.enumerated for step in steps),
        value=np.stack(known) if len(known) == length and len({v.shape for v in known}) == 1 else None,
        params=_params(steps),
    )


def _params(steps: list[Site]) -> Arrays:
    """The parameters that every step has, one row a step."""
    found = {}
    for key in steps[0].params:
        if all(key in step.params for step in steps):
            try:
                found[key] = np.stack(np.broadcast_arrays(*(step.params[key] for step in steps)))
            except ValueError:
                continue
    return found


def _fitting(side: str, pattern: str, sites: Sequence[str]) -> dict[str, str]:
    """What stands for the ``*`` -> the site's name; the name itself where there is none.

    Args:
        sites: that are not named in full elsewhere: the first of a chain may be a site of its own.
    """
    if "*" not in pattern:
        return {"": pattern}
    before, _, after = pattern.partition("*")
    fits = re.compile(f"{re.escape(before)}(.+){re.escape(after)}")
    found = {match.group(1): name for name in sites if (match := fits.fullmatch(name))}
    if not found:
        raise InputError(
            f"rename must name sites of {side}'s model, of {', '.join(sites)}; {pattern!r} fits none."
            f"{nearest(pattern, [*sites])}"
        )
    return found


def _ordered(found: Mapping[str, str]) -> tuple[str, ...]:
    """By number where all are numbers; else as the model visits them."""
    parts = sorted(found, key=int) if all(part.isdecimal() for part in found) else list(found)
    return tuple(found[part] for part in parts)


def _numbered(alone: Mapping[str, Site], there: Mapping[str, Site]) -> list[Stack]:
    """Sites whose names are another's with consecutive numbers, and whose shape is its without the first axis."""
    groups: dict[str, dict[int, str]] = {}
    for name in alone:
        if match := NUMBERED.fullmatch(name):
            groups.setdefault(match["stem"], {})[int(match["number"])] = name
    found = []
    for stem, members in groups.items():
        name, numbers = stem.rstrip(SEPARATORS), sorted(members)
        if name not in there or len(numbers) < 2 or numbers != list(range(numbers[0], numbers[-1] + 1)):
            continue
        steps = [alone[members[number]] for number in numbers]
        whole, own = _shape(there[name]), {_shape(step) for step in steps}
        alike = len(own) == 1 and len({step.kind for step in steps}) == 1
        if alike and whole and whole[1:] == own.pop():
            found.append(Stack(name, tuple(members[number] for number in numbers)))
    return found


def _shape(site: Site) -> tuple[int, ...]:
    return site.batch_shape if site.value is None else site.value.shape


def _point(values: Mapping[str, np.ndarray], stacks: Sequence[Stack]) -> Arrays:
    return merge({name: np.asarray(value) for name, value in values.items()}, stacks)
