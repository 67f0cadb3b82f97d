"""Which sites of one side alone may be one site of the other's under another name, or transposed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.parameters import paired
from ppl_parity.pair.pairs import SIDES


def proposed_rename(context: Context, name: str) -> str | None:
    """The option to give where sites of each side alone may be one: by their names, or as the only two alike."""
    pairs = _proposed(context)
    if not any(name in (site.name for site in both) for both in pairs):
        return None
    rename = ", ".join(f'"{a.name}": "{b.name}{".T" if _is_turned(a, b) else ""}"' for a, b in pairs)
    if len(pairs) == 1:
        a, b = pairs[0]
        return f"a renamed site: are {a.name!r} and {b.name!r} one? Then give rename = {{{rename}}}"
    return f"renamed sites: are these the same? Then give rename = {{{rename}}}"


def has_one_prior(context: Context, name: str) -> bool:
    """Whether the two sites that ``proposed_rename`` names have the same parameters where all shared sites have the
    same values: what is re-parameterised has others.
    """
    found = next((pair for pair in _proposed(context) if name in (site.name for site in pair)), None)
    if found is None:
        return False
    values = {n: np.asarray(context.sites["pyro"][n].value) for n in context.shared}
    sites: list[Site] = []
    try:
        for side, own in zip(SIDES, found, strict=True):
            described = context.programs[side].sites(context.pair.to_side(side, values))
            sites += [site for site in described if site.name == own.name]
    except InputError:  # a frozen side was not asked there
        return True
    both = paired(*sites).values() if len(sites) == len(SIDES) else ()
    return all(a.size == b.size and np.allclose(np.ravel(a), np.ravel(b)) for a, b in map(_broadcast, both))


def advised_transpose(a: Site, b: Site) -> str | None:
    """The option to give where two sites, or params, may be one and the same matrix, transposed."""
    left, right = np.asarray(a.value), np.asarray(b.value)
    if left.ndim != 2 or left.shape != right.shape[::-1]:
        return None
    return f'is one the transpose of the other? Then give rename = {{"{a.name}": "{b.name}.T"}}'


def _broadcast(both: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A parameter in one shape, where its two shapes allow."""
    try:
        a, b = np.broadcast_arrays(*both)
    except ValueError:
        return both
    return a, b


def _proposed(context: Context) -> list[tuple[Site, Site]]:
    left, right = (
        [
            site
            for other, site in context.sites[side].items()
            if site.kind == "latent" and other not in context.sites[SIDES[1 - SIDES.index(side)]]
        ]
        for side in SIDES
    )
    pairs: list[tuple[Site, Site]] = []
    for named, shaped in itertools.product((True, False), (_shape, _turned, _squeezed)):
        a, b = (
            [s for s in own if not any(s is one for both in pairs for one in both)] for own in (left, right)
        )
        pairs += _matched(a, b, named, shaped)
    return pairs


def _shape(site: Site) -> tuple[int, ...]:
    return np.shape(np.asarray(site.value))


def _turned(site: Site) -> tuple[int, ...]:
    """Of a matrix the shape that is its transpose's, too."""
    shape = _shape(site)
    return tuple(sorted(shape)) if len(shape) == 2 else shape


def _squeezed(site: Site) -> tuple[int, ...]:
    return tuple(n for n in _shape(site) if n != 1)


def _is_turned(a: Site, b: Site) -> bool:
    """Axes of length one need no option."""
    return _shape(a) != _shape(b) and _squeezed(a) != _squeezed(b)


def _matched(
    left: Sequence[Site], right: Sequence[Site], named: bool, shaped: Callable[[Site], tuple[int, ...]]
) -> list[tuple[Site, Site]]:
    """Those that no other on their side is like, and one on the other side is.

    Args:
        named: whether they are alike by their names, or else by family and support.
        shaped: what must be the same of their shapes.
    """

    def key(site: Site) -> object:
        letters = re.sub(r"[^a-z0-9]", "", site.name.lower())
        return (letters if named else (site.support, site.family)), shaped(site)

    keys = [key(site) for site in left], [key(site) for site in right]
    return [
        (a, b)
        for a, own in zip(left, keys[0], strict=True)
        for b, other in zip(right, keys[1], strict=True)
        if own == other and keys[0].count(own) == keys[1].count(own) == 1
    ]
