"""Do both models observe the same values? What a mask hides on both sides may be anything.

A residual that is observed, ``obs=y - b * x`` under Normal(0, s), is y under Normal(b * x, s): where what is observed
is computed of latent sites, the log probs say whether it is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES
from ppl_parity.tolerances import allowed

NUM_POINTS = 3
# In the climb's results: sites whose data are not the same numbers, and need not be.
OTHERWISE = "observed otherwise"


def observed(context: Context, name: str, a: Site, b: Site) -> Iterator[Finding]:
    """A finding where an observed site's values differ, in elements that count."""
    gap = _gap(a, b)
    if np.all(gap == 0):
        return
    where = ""
    # Made of latent sites, as a sum that is held to zero, it is another number in each side's own draw.
    if _moves(context, name):
        at = _at_points(context, name)
        apart = next((point for point in at if np.any(_gap(*point[1:]) > 0)), None)
        if apart is None:
            told = (
                "agrees at shared points" if at else "has no point at which both sides could be asked for it"
            )
            yield Finding(
                "same" if at else "unresolved",
                "observed values",
                f"What is observed at {name!r} is computed from latent sites; it {told}.",
                site=name,
                notable=True,
                deferred=not at,
            )
            return
        point, a, b = apart
        gap, where = _gap(a, b), f" at {point}"
        if not context.rungs or "density" in context.rungs:
            yield _left_to_the_density(context, name, a, b, where)
            return
    left, right = (np.asarray(site.value, dtype=float) for site in (a, b))
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape))
    digits = next((n for n in (6, 9, 12) if f"{left[index]:.{n}g}" != f"{right[index]:.{n}g}"), 17)
    shown = f"{left[index]:.{digits}g} in pyro and {right[index]:.{digits}g} in numpyro"
    told = f"The data at {name!r} differ{where}: {shown}"
    masked = all(site.masked or np.all(np.isnan(x[gap > 0])) for site, x in ((a, left), (b, right)))
    if masked and _is_hidden(context, name, gap > 0):
        yield Finding(
            "same",
            "observed values",
            f"{told}, but only where {'both sides mask them' if a.masked and b.masked else 'neither counts them'}.",
            site=name,
            index=index,
            notable=True,
        )
        return
    yield Finding(
        "different",
        "observed values",
        f"{told}.",
        site=name,
        size=float(gap[index]) if np.isfinite(gap[index]) else None,
        index=index,
        hint=_changed_since(context, name) or _data_hint(left, right),
    )


def _left_to_the_density(context: Context, name: str, a: Site, b: Site, where: str) -> Finding:
    """Two numbers that are observed in the place of one another: an observation and its residual, mostly."""
    context.results.setdefault(OTHERWISE, set()).add(name)
    left, right = (np.asarray(site.value, dtype=float) for site in (a, b))
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(_gap(a, b))), left.shape))
    return Finding(
        "same",
        "observed values",
        f"What is observed at {name!r} is computed from latent sites, {left[index]:.6g} in pyro and {right[index]:.6g} "
        f"in numpyro{where}, as a residual in the place of an observation: the density decides, and it is not drawn.",
        site=name,
        index=index,
        notable=True,
    )


def centred(context: Context, name: str, site: Site) -> Site:
    """The site with its data less their location, where the two sides observe other numbers; else as it is."""
    if name not in context.results.get(OTHERWISE, ()) or "loc" not in site.params or site.value is None:
        return site
    rest = {key: value for key, value in site.params.items() if key != "loc"}
    return replace(site, params={"value less its loc": np.asarray(site.value) - site.params["loc"], **rest})


def _gap(a: Site, b: Site) -> np.ndarray:
    """How far the values are apart; 0 where they are the same but for rounding, infinite where one is no number."""
    left, right = (np.asarray(site.value, dtype=float) for site in (a, b))
    narrow = "float32" in (a.dtype, b.dtype)
    largest = float(np.max(np.abs(left), initial=1.0, where=np.isfinite(left)))
    limit = allowed("observed", left, right) + 1e-6 * largest * narrow
    with np.errstate(invalid="ignore"):
        gap = np.abs(left - right)
        gap = np.where((left == right) | (gap <= limit) | (np.isnan(left) & np.isnan(right)), 0.0, gap)
    return np.where(np.isnan(gap), np.inf, gap)


def _moves(context: Context, name: str) -> bool:
    """Whether what is observed is another in a run with other draws, on a side that can be run again."""
    for side in context.live:
        runs = (context.programs[side].sites(seed=seed) for seed in (0, 1))
        first, again = (context.pair.from_side(side, {s.name: s for s in run}).get(name) for run in runs)
        if first is None or again is None or np.asarray(first.value).shape != np.asarray(again.value).shape:
            continue
        if np.any(_gap(first, again) > 0):
            return True
    return False


def _at_points(context: Context, name: str) -> list[tuple[str, Site, Site]]:
    """The site on both sides at a few shared points."""
    found = []
    for point in context.points[:NUM_POINTS]:
        both = []
        for side in SIDES:
            try:
                described = context.programs[side].sites(context.values(side, point, discrete=True))
            except InputError:  # a model that cannot be run there
                described = ()
            both.append(context.pair.from_side(side, {s.name: s for s in described}).get(name))
        a, b = both
        if a is not None and b is not None and a.value is not None and b.value is not None:
            found.append((point.name, a, b))
    return found


def _changed_since(context: Context, name: str) -> str | None:
    """Against a file, that the data are others than those it was frozen with."""
    moved = None if context.frozen is None else getattr(context.sides[context.frozen], "moved_data", None)
    if context.frozen is None or moved is None or not moved(context.pair.data[context.frozen]):
        return None
    return f"other data than those that {context.frozen} was frozen with: freeze it again, or check with the same"


def _is_hidden(context: Context, name: str, apart: np.ndarray) -> bool:
    """Whether elements add exactly nothing to the log prob of either side: a mask has hidden them."""
    point = context.points[0] if context.points else None
    for side in SIDES:
        drawn = {
            site.name: np.asarray(site.value)
            for site in context.sites[side].values()
            if site.kind == "latent" and site.value is not None
        }
        values = drawn if point is None else context.values(side, point, discrete=True)
        try:
            found = context.pair.from_side(side, context.programs[side].site_log_probs(values))[name]
        except (
            InputError
        ):  # a frozen side was not asked there, or sums a site out that has no value at the point
            return False
        events = tuple(range(np.ndim(found), apart.ndim))
        here = np.any(apart, axis=events)
        if here.shape != np.shape(found) or np.any(np.asarray(found)[here]):
            return False
    return True


def _data_hint(left: np.ndarray, right: np.ndarray) -> str:
    if np.any(np.isnan(left) != np.isnan(right)):
        whose = " and ".join(side for side, x in zip(SIDES, (left, right), strict=True) if np.isnan(x).any())
        return f"missing values (NaN) in {whose} where the other side has numbers: one side fills them"
    rounded = [
        np.array_equal(x.astype(np.float32), y, equal_nan=True) for x, y in ((left, right), (right, left))
    ]
    if any(rounded):
        narrow, other = SIDES[::-1] if rounded[0] else SIDES
        return (
            f"{narrow}'s are {other}'s rounded to float32, which JAX and torch make of data unless they are told "
            "otherwise: give both sides the same NumPy arrays"
        )
    if np.allclose(left, right):
        return "the same numbers but for their last digits: rounded, or computed in another way, on one side"
    if np.allclose(np.sort(left.ravel()), np.sort(right.ravel())):
        return "the same numbers in another order: a transpose or a shifted index"
    for shift in (1, -1):
        moved = np.roll(left, shift, axis=0)[1:-1] if left.ndim and len(left) > 3 else None
        if moved is not None and np.allclose(moved, right[1:-1]) and not np.allclose(left[1:-1], right[1:-1]):
            return f"numpyro's row i is pyro's row i {'-' if shift > 0 else '+'} 1: a shifted index"
    if left.size == 1:
        return "another number of the data: a shifted index, or one side changes it before it observes it"
    with np.errstate(all="ignore"):
        ratio = left / right
    if left.size > 2 and np.all(np.isfinite(ratio)) and np.ptp(ratio) < 1e-9 * abs(ratio.flat[0]):
        return (
            f"pyro's are {ratio.flat[0]:.6g} times numpyro's: one side standardises (ddof 1 or 0?) or scales"
        )
    return "one side changes the data before it observes them"
