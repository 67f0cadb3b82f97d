"""What a model learns, and what its runs draw anew: params of both sides, and plates that take some of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.backend.learned import each_by_itself
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.changes.change import compared_in_full
from ppl_parity.ladder.context import Context, subsampled
from ppl_parity.ladder.exact.moved import movable, moved_values
from ppl_parity.ladder.exact.renaming import advised_transpose
from ppl_parity.listing import listed
from ppl_parity.pair.holding import names_held
from ppl_parity.pair.pairs import SIDES
from ppl_parity.tolerances import agree

SAME_MAP = 1e-9  # of a moved value, by rounding

Params = Mapping[str, Mapping[str, Site]]
"""side -> param, under Pyro's names."""


def told_of_params(context: Context) -> Iterator[Finding]:
    """Compare the params, by name: kind, shape, constraint and initial value."""
    found = {
        side: context.pair.from_side(side, {site.name: site for site in context.programs[side].params()})
        for side in SIDES
    }
    yield from _held(context, found)
    idle = {name for side in context.live for name in _idle(context, side, found)}
    if idle:
        yield _told_of_idle(context, sorted(idle), found)
    for name in dict.fromkeys([*found["pyro"], *found["numpyro"]]):
        sides = [side for side in SIDES if name in found[side]]
        sampled = [side for side in SIDES if side not in sides and name in context.sites[side]]
        if name in idle and not sampled:
            continue
        if sampled and context.sites[sampled[0]][name].kind == "latent":
            yield Finding(
                "different",
                "kind",
                f"{name!r} is a param in {sides[0]}, which has one value, and a latent site in {sampled[0]}, which "
                "has a prior.",
                site=name,
                hint="a prior that one side lost, or a param that the port made a sample statement",
            )
            continue
        if len(sides) == len(SIDES):
            if (before := context.shapes.get(name)) is not None:
                yield _told_of_axes(name, before)
            differences = list(_compare(name, found["pyro"][name], found["numpyro"][name]))
            yield from differences or _other_map(context, name, found)
            change = compared_in_full(context)
            if name in movable(change.context if change else context) and (
                not context.rungs or "density" in context.rungs
            ):
                continue  # that rung compares other values of it, and tells
        yield Finding(
            "same",
            "param",
            f"{name!r} is a param in {' and '.join(sides)}{' alone' if len(sides) == 1 else ''}; the models are "
            "compared at its initial value, whatever it may learn.",
            site=name,
            notable=True,
            numbers={"unmoved": True},
        )


def told_of_plates(context: Context) -> Iterator[Finding]:
    """Which plates take some of their rows, the same ones on both sides."""
    for plate in subsampled(context):
        yield Finding(
            "same",
            "plate",
            f"The plate {plate.name!r} takes {plate.subsample_size} of {plate.size} rows at random: both sides are "
            "given the same ones, and NUTS does not run.",
            notable=True,
        )


def _held(context: Context, params: Params) -> Iterator[Finding]:
    """Of which params each run draws an initial value anew, and both sides are given one."""
    live = context.live[0]
    held = context.pair.from_side(live, dict.fromkeys(names_held(context.pair, live)))
    alone = context.results.get("drawn on one side", {})
    for side in dict.fromkeys(alone.values()):
        names = [name for name, whose in alone.items() if whose == side]
        other = SIDES[1 - SIDES.index(side)]
        yield Finding(
            "same",
            "param",
            f"Each run of {side} draws the initial value of {listed(names)} anew: it is given {other}'s, which "
            f"{'are' if len(names) > 1 else 'is'} fixed.",
            site=names[0],
            notable=True,
            hint="draw it on both sides, or on neither",
        )
    if names := [name for name in held if name in params[live] and name not in alone]:
        yield Finding(
            "same",
            "param",
            f"Each run draws the initial value of {listed(names)} anew: both sides are given one value of "
            f"{'each' if len(names) > 1 else 'it'}.",
            site=names[0],
            notable=True,
        )


def _idle(context: Context, side: str, params: Params) -> list[str]:
    """Params of one side alone on which no log prob hangs, as of a network whose weights are all drawn."""
    (other,) = (each for each in SIDES if each != side)
    alone = [name for name in params[side] if name not in params[other]]
    if not alone or "density" not in context.rungs:
        return []
    drawn = {
        site.name: site.value
        for site in context.sites[side].values()
        if site.kind == "latent" and site.value is not None
    }
    try:
        moved = context.pair.from_side(side, moved_values(context.programs[side], 0))
        names = [name for name in alone if name in moved]
        # At other values of the others, too: at zero one hides what it is multiplied by.
        kept = {name: value for name, value in moved.items() if name not in alone}
        values = [drawn | context.pair.to_side(side, given) for given in (kept, moved)]
        first, then = (context.programs[side].site_log_probs(at) for at in values)
    except InputError:  # a value that the model does not take
        return []
    return names if all(np.array_equal(first[name], then[name], equal_nan=True) for name in first) else []


def _told_of_idle(context: Context, names: list[str], params: Params) -> Finding:
    side = next(side for side in SIDES if names[0] in params[side])
    are = "are params" if len(names) > 1 else "is a param"
    return Finding(
        "same",
        "param",
        f"{listed(names)} {are} in {side} alone, and no log prob hangs on {'them' if len(names) > 1 else 'it'}.",
        site=names[0],
    )


def _other_map(context: Context, name: str, params: Params) -> Iterator[Finding]:
    """Whether an optimiser's step takes the param elsewhere: its number is a map's of one that nothing constrains."""
    a, b = (params[side][name] for side in SIDES)
    if a.value is None or b.value is None:  # of a file that has the names alone
        return
    if a.support == "simplex":
        size = a.value.shape[-1]
        yield _told_of_map(
            name,
            f"by a softmax of {size} numbers in pyro and by stick breaking, of {size - 1}, in numpyro",
            "each library's own way",
        )
        return
    if not each_by_itself(a.support) or a.name != b.name or not a.dtype == b.dtype == "float64":
        return
    if name in context.shapes:  # each moves its numbers in an order of its own
        return
    try:
        moved = [
            next(site.value for site in context.programs[side].params(seed=0) if site.name == a.name)
            for side in SIDES
        ]
    except InputError:  # a file of before there were such values
        return
    first, second = (np.ravel(np.asarray(value, dtype=float)) for value in moved)
    apart = np.abs(first - second) > SAME_MAP * np.abs(first)
    if not np.any(apart):
        return
    i = int(np.argmax(apart))
    start = np.ravel(np.asarray(a.value, dtype=float))[i]
    yield _told_of_map(
        name,
        f"by another map on each side: one step of what is learned takes it from {start:.4g} to {first[i]:.4g} in pyro "
        f"and to {second[i]:.4g} in numpyro",
        "positive (an exponential) on one side and softplus_positive on the other?"
        if a.support == "positive"
        else "another constraint of the same set",
    )


def _told_of_map(name: str, how: str, hint: str) -> Finding:
    return Finding(
        "same",
        "constraint",
        f"The param {name!r} is constrained {how}: the densities are one, an optimiser's way to their optimum is not.",
        site=name,
        hint=hint,
        notable=True,
    )


def _told_of_axes(name: str, shapes: Mapping[str, tuple[int, ...]]) -> Finding:
    return Finding(
        "same",
        "shape",
        f"The shape of the param {name!r} is {shapes['pyro']} in pyro and {shapes['numpyro']} in numpyro: one is the "
        "other's transpose, as rename says.",
        site=name,
        notable=True,
    )


def _compare(name: str, a: Site, b: Site) -> Iterator[Finding]:
    if a.value is None or b.value is None:  # of a file that has the names alone
        return
    pairs = {
        "shape": (a.value.shape, b.value.shape, advised_transpose(a, b) or "a missing expand or axis"),
        "constraint": (a.support, b.support, "a constraint that one side lost: it learns over another set"),
    }
    for quantity, (left, right, hint) in pairs.items():
        if left != right:
            detail = f"The {quantity} of the param {name!r} is {left} in pyro and {right} in numpyro."
            yield Finding("different", quantity, detail, site=name, hint=hint)
            return
    narrow = "float32" in (a.dtype, b.dtype)
    if agree("observed", a.value, b.value, extra=1e-6 * float(np.max(np.abs(a.value), initial=0.0)) * narrow):
        return
    gap = np.abs(np.asarray(a.value, dtype=float) - b.value)
    index = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(gap)), gap.shape))
    yield Finding(
        "different",
        "initial value",
        f"The initial value of the param {name!r} is {a.value[index]:.6g} in pyro and {b.value[index]:.6g} in numpyro.",
        site=name,
        size=float(gap[index]),
        index=index or None,
        hint=(advised_transpose(a, b) if np.array_equal(a.value, np.transpose(b.value)) else None)
        or "where learning starts, and what all else is compared at: give both the same",
    )
