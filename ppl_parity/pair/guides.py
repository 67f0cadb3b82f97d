"""The guides of a pair, as a pair of their own: what variational inference draws in place of the posterior."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.process.references import HeldReference


def guide_pair(pair: Pair) -> Pair:
    """The guides as models, with the models' data and names.

    A plate that takes some of its rows takes the same ones in a guide as in its model, and a param of both that is
    drawn anew has one value.
    """
    models = {}
    for side, guide in pair.guides.items():
        model = pair.models[side]
        models[side] = HeldReference.of(guide, model.values()) if isinstance(model, HeldReference) else guide
    return replace(
        pair,
        models=models,
        guides={},
        points={},
        known_differences={},
        exchangeable=(),
        name=f"{pair.name}'s guides",
    )


def without_others(
    pair: Pair, own: Mapping[str, Collection[str]], elsewhere: Callable[[], Mapping[str, Collection[str]]]
) -> Pair:
    """The pair without the names of ``rename`` that are another pair's.

    Args:
        own: side -> sites, under that side's names.
        elsewhere: side -> the other pair's, asked where a name is none of these.
    """

    def fits(names: tuple[str, str], known: Mapping[str, Collection[str]]) -> list[bool]:
        return [name in known[side] for side, name in zip(SIDES, names, strict=True)]

    unknown = [names for names in pair.rename.items() if not any(fits(names, own))]
    if not unknown:
        return pair
    others = elsewhere()
    left = [names for names in unknown if all(fits(names, others))]
    return replace(
        pair, rename={name: other for name, other in pair.rename.items() if (name, other) not in left}
    )
