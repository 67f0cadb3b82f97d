"""Why two log probs probably differ: known patterns in the parameters and in the numbers themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.comparison import Comparison
from ppl_parity.ladder.exact.covariances import COVARIANCES
from ppl_parity.ladder.exact.observed import centred
from ppl_parity.ladder.exact.parameters import misplaced, paired, turned_factor
from ppl_parity.ladder.exact.same_families import same_family
from ppl_parity.ladder.exact.what_if import what_if
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.relations import Pairs, relation
from ppl_parity.statistics.relations.terms import WRONG

FLOAT32 = 1e-6  # relative, of a sum of terms that are each rounded to seven digits
MOST_NUMBERS = 2_000_000  # of a site's parameters over all points
MOST_SHOWN = 3
PROBABLE = 1e-9  # beyond zero and one, by rounding
OF_A_FACTOR = "which has no parameters to compare: record in both what they are made of (deterministic)"
OF_A_SEQUENCE = "which may be one distribution: compare what each step of it is given"
OF_TWO_FACTORS = "a factor has no parameters to compare: record in both what it is made of (deterministic)"
# Whose steps a loop on the other side draws one by one.
SEQUENCES = {
    "EulerMaruyama",
    "GaussianHMM",
    "GaussianMRF",
    "GaussianRandomWalk",
    "GaussianStateSpace",
    "DiscreteHMM",
    "LinearHMM",
}
FORMS = {key for key, _ in COVARIANCES}


@dataclass(frozen=True)
class _Point:
    """One site on both sides at one point, and the values that all sites have there."""

    pyro: Site
    numpyro: Site
    values: Arrays


def explain_site(
    context: Context, name: str, values: dict[str, list[Arrays]], comparison: Comparison
) -> str | None:
    """A sentence on the probable cause, or None where no pattern fits."""
    worst = _site_at(context, name, comparison.worst)
    one_sided = _one_sided(context, name, values, comparison)
    if one_sided and comparison.worst not in comparison.one_sided:
        one_sided = None  # the point that is shown is another
    if worst is None:
        return one_sided
    a, b = worst.pyro, worst.numpyro
    shapes = [values[side][comparison.worst][name].shape for side in SIDES]
    if a.family != b.family and a.scale == b.scale and a.masked == b.masked:
        return _explain_families(context, name, worst, values, comparison)
    if shapes[0] != shapes[1] and not one_sided and (a.scale, a.masked) == (b.scale, b.masked):
        left, right = shapes
        if (
            a.batch_shape + a.event_shape == b.batch_shape + b.event_shape
        ):  # another split of the same numbers
            told = _explain_params(context, name, worst, values, comparison)
            if told:
                return told
        # A factor may be added up on one side, and in a plate on the other: its shape is no cause by itself.
        if a.kind != "factor" or _counts_again(values, name):
            return f"its log prob has shape {left} in pyro and {right} in numpyro: a broadcast or a lost axis"
    if a.scale != b.scale:
        words = "by up to" if _weighted(values, name) else "by"
        return f"it is scaled {words} {a.scale:g} in pyro and {b.scale:g} in numpyro"
    if a.masked != b.masked:
        counts = _hidden(values, name)
        return f"it is masked in {'pyro' if a.masked else 'numpyro'} only{f'; {counts}' if counts else ''}"
    if one_sided and a.kind == "factor":  # which has no support
        one_sided = one_sided.replace(
            "gives it a density: supports differ",
            "has a finite number: the log of what rounds to zero, as 1 - cdf in a tail does, or an overflow",
        )
    summed = a.kind == "factor" and shapes[0] != shapes[1]  # whose parameter is what it adds up to
    return (
        (None if summed else _explain_params(context, name, worst, values, comparison))
        or one_sided
        or _explain_numbers(values, name)
        or what_if(context, name, values)
        or (OF_TWO_FACTORS if a.kind == "factor" else None)
    )


def _counts_again(values: dict[str, list[Arrays]], name: str) -> bool:
    """Whether the one sum is the other, once for each of its elements, wherever both are numbers."""
    sums, sizes = (
        [np.array([of(row[name]) for row in values[side]], dtype=float) for side in SIDES]
        for of in (np.sum, np.size)
    )
    usable = np.isfinite(sums[0]) & np.isfinite(sums[1])
    (a, b), (m, n) = ([one[usable] for one in pair] for pair in (sums, sizes))
    return bool(usable.any()) and np.allclose(a / m, b / n, rtol=FLOAT32, atol=0.0)


def _explain_families(
    context: Context, name: str, worst: _Point, values: dict[str, list[Arrays]], comparison: Comparison
) -> str:
    """Two names, of one distribution or of two; a parameter that differs beside them may be the cause."""
    left, right = (_family(site) for site in (worst.pyro, worst.numpyro))
    words = f"it is {left} in pyro and {right} in numpyro"
    told = _explain_params(context, name, worst, values, comparison)
    if told and same_family(worst.pyro.family, worst.numpyro.family):
        return told
    if told:
        return f"{words}; {told}"
    sequence = SEQUENCES & {worst.pyro.family, worst.numpyro.family}
    if sequence or "factor" in (worst.pyro.kind, worst.numpyro.kind):
        if found := _explain_numbers(values, name) or what_if(context, name, values):
            return found if sequence else f"{words}; {found}"
        return f"{words}, {OF_A_SEQUENCE if sequence else OF_A_FACTOR}"
    alike = set(worst.pyro.params) == set(worst.numpyro.params) != set()
    return f"{words}, with the same parameters" if alike else words


def _family(site: Site) -> str:
    return "a factor" if site.kind == "factor" else f"{_article(site.family)} {site.family}"


def _article(word: str) -> str:
    return "an" if word[:1] in "AEIO" else "a"


def _one_sided(
    context: Context, name: str, values: dict[str, list[Arrays]], comparison: Comparison
) -> str | None:
    if not comparison.one_sided:
        return None
    point = comparison.one_sided[0]
    finite = [side for side in SIDES if np.all(np.isfinite(values[side][point].get(name, np.nan)))]
    where = context.points[point].name
    return f"at {where} only {finite[0]} gives it a density: supports differ" if len(finite) == 1 else None


def _site_at(context: Context, name: str, point: int) -> _Point | None:
    """A site on both sides at a point; None where a model cannot be traced there, or has no such site."""
    at = context.points[point]
    sites: list[Site] = []
    computed: list[Arrays] = []
    for side in SIDES:
        try:
            described = context.programs[side].sites(context.values(side, at, discrete=True))
        except InputError:
            return None
        named = context.pair.from_side(side, {site.name: site for site in described})
        if name not in named:
            return None
        sites.append(named[name])
        kept = {s.name: s.value for s in described if s.kind == "deterministic" and s.value is not None}
        computed.append(context.pair.from_side(side, kept))
    left, right = computed
    # What both compute, and compute alike: a deterministic site that differs names nothing.
    common = {n: v for n, v in left.items() if n in right and _equal(v, right[n])}
    pyro, numpyro = (centred(context, name, site) for site in sites)
    return _Point(pyro, numpyro, {**at.values, **common})


def _explain_params(
    context: Context, name: str, worst: _Point, values: dict[str, list[Arrays]], comparison: Comparison
) -> str | None:
    """Which parameter differs and what the one is of the other, the first that shows a relation."""
    points = [worst, *_other_points(context, name, worst, comparison.worst)]
    apart: dict[str, Pairs] = {}
    for key in paired(worst.pyro, worst.numpyro):
        pairs = _pairs(points, key)
        if pairs is None:
            left, right = paired(worst.pyro, worst.numpyro)[key]
            return f"its {key} has shape {left.shape} in pyro and {right.shape} in numpyro"
        if np.any(pairs.apart):
            apart[key] = pairs
    if not apart:
        return None
    if impossible := _no_probabilities(apart):
        return impossible
    if swapped := _swapped(apart):
        return f"{' and '.join(swapped)} have changed places"
    found = {key: relation(replace(pairs, key=key)) for key, pairs in apart.items()}
    forms = [key for key in apart if key in FORMS]
    if forms:
        turned = {turned_factor(point.pyro, point.numpyro) for point in points}
        if len(turned) == 1 and (way := turned.pop()):
            return way
    if forms and not any(found[key] for key in forms):
        ways = {misplaced(point.pyro, point.numpyro) for point in points}
        if len(ways) == 1 and (way := ways.pop()):
            return way
    key = next((key for key, told in found.items() if told), next(iter(apart)))
    if key in forms:  # of one matrix that which shows the most: noise is on a covariance's diagonal alone
        telling = [form for form in forms if found[form]] or forms
        key = min(telling, key=lambda form: np.mean(apart[form].apart))
    also = [other for other in apart if other != key and not (key in forms and other in forms)]
    told = found[key]
    if told is None or told.endswith(WRONG):
        told = what_if(context, name, values) or told
    if told is None and key == "log_factor":  # the number that is told already
        return None
    told = f"; {told}" if told else ""
    rest = f"; its {' and '.join(also)} {'differs' if len(also) == 1 else 'differ'} too" if also else ""
    return f"its {key}{_show(apart[key])}{told}{rest}"


def _no_probabilities(apart: dict[str, Pairs]) -> str | None:
    """Probabilities of one side that are none: below zero, or above one."""
    for key, pairs in apart.items():
        if key.split()[-1] != "probs":
            continue
        none = [
            bool(np.any((side < -PROBABLE) | (side > 1 + PROBABLE))) for side in (pairs.left, pairs.right)
        ]
        if none[0] != none[1]:
            whose = "pyro's" if none[0] else "numpyro's"
            return f"its {key}{_show(pairs)}; {whose} are no probabilities: logits that are taken for these?"
    return None


def _other_points(context: Context, name: str, worst: _Point, but: int) -> list[_Point]:
    """The site at the ordinary points; fewer where its parameters are large, and each point is asked of each side."""
    size = sum(value.size for site in (worst.pyro, worst.numpyro) for value in site.params.values())
    most = max(2, min(len(context.points), MOST_NUMBERS // max(1, size)))
    ordinary = [i for i, point in enumerate(context.points) if i != but and not point.far]
    found = [_site_at(context, name, i) for i in ordinary[:most]]
    return [point for point in found if point is not None]


def _pairs(points: list[_Point], key: str) -> Pairs | None:
    """A parameter at all points where both sides' are finite; None where the shapes do not fit."""
    left, right, values = [], [], []
    for point in points:
        both = paired(point.pyro, point.numpyro).get(key)
        if both is None:
            continue
        broadcast = _broadcast(*both)
        if broadcast is None:
            return None
        if left and broadcast[0].shape != left[0].shape:
            continue
        left.append(broadcast[0])
        right.append(broadcast[1])
        values.append(point.values)
    usable = [np.isfinite(a).all() and np.isfinite(b).all() for a, b in zip(left, right, strict=True)]
    keep = [i for i, good in enumerate(usable) if good] or [0]
    sites = {
        name: np.stack([np.asarray(values[i][name], dtype=float) for i in keep])
        for name in values[0]
        if all(name in at and np.shape(at[name]) == np.shape(values[0][name]) for at in values)
    }
    return Pairs(np.stack([left[i] for i in keep]), np.stack([right[i] for i in keep]), sites)


def _broadcast(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Both in one shape: as they are, or without the axes of length one that only one library keeps."""
    for a, b in ((left, right), (left.squeeze(), right.squeeze())):
        try:
            a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
        except ValueError:
            continue
        return a, b
    return None


def _equal(x: np.ndarray, y: np.ndarray) -> bool:
    return x.shape == y.shape and np.allclose(x, y, rtol=1e-9, atol=1e-12)


def _swapped(apart: dict[str, Pairs]) -> tuple[str, str] | None:
    keys = list(apart)
    for i, one in enumerate(keys):
        for other in keys[i + 1 :]:
            a, b = apart[one], apart[other]
            if _equal(a.left, b.right) and _equal(a.right, b.left):
                return one, other
    return None


def _explain_numbers(values: dict[str, list[Arrays]], name: str) -> str | None:
    if hidden := _hidden(values, name):
        return hidden
    sums = [np.array([float(np.sum(row[name])) for row in values[side]]) for side in SIDES]
    usable = np.isfinite(sums[0]) & np.isfinite(sums[1]) & (np.abs(sums[0]) > 1e-9)
    if usable.sum() >= 3:
        ratio = sums[1][usable] / sums[0][usable]
        if np.ptp(ratio) < 1e-6 * abs(ratio[0]) and abs(ratio[0] - 1) > 1e-6:
            words = "a sign" if abs(ratio[0] + 1) < 1e-6 else "a missing scale, or a plate too many"
            return f"numpyro's log prob is {ratio[0]:.6g} times pyro's at every point: {words}"
        if np.max(np.abs(ratio - 1)) < FLOAT32:
            return "no more than float32's rounding: made or cast in float32 on one side, or a jitter of that size"
    return _weighted(values, name)


def _elements(values: dict[str, list[Arrays]], name: str) -> list[np.ndarray] | None:
    """The log probs of both sides, (points, elements), where they are finite and have more than one element."""
    rows = [
        [np.ravel(row[name]) for row in pair]
        for pair in zip(values["pyro"], values["numpyro"], strict=True)
        if all(name in row and np.all(np.isfinite(row[name])) for row in pair)
    ]
    rows = [pair for pair in rows if pair[0].shape == pair[1].shape == rows[0][0].shape]
    if len(rows) < 3 or rows[0][0].size < 2:
        return None
    return [np.stack([pair[i] for pair in rows]) for i in range(len(SIDES))]


def _hidden(values: dict[str, list[Arrays]], name: str) -> str | None:
    """Elements that count on one side and not on the other."""
    elements = _elements(values, name)
    if elements is None:
        return None
    none = [np.all(side == 0, axis=0) for side in elements]
    if np.array_equal(*none):
        return None
    if np.array_equal(none[0], ~none[1]):
        return "what is masked in pyro counts in numpyro, and the reverse: the mask is inverted"
    counts = [int(np.count_nonzero(~one)) for one in none]
    total = none[0].size
    if counts[0] == counts[1]:
        shape = next(row[name].shape for row in values["pyro"] if name in row and row[name].size == total)
        apart = np.argwhere((none[0] != none[1]).reshape(shape))[:MOST_SHOWN]
        rows = ", ".join(str(i[0]) if len(i) == 1 else f"[{', '.join(map(str, i))}]" for i in apart)
        return (
            f"{counts[0]} of its {total} elements count on both sides, but not the same: they part at {rows}"
        )
    return f"{counts[0]} of its {total} elements count in pyro and {counts[1]} in numpyro"


def _weighted(values: dict[str, list[Arrays]], name: str) -> str | None:
    """A factor of each element's own, the same at every point."""
    elements = _elements(values, name)
    if elements is None:
        return None
    with np.errstate(all="ignore"):
        ratio = np.where(elements[0] == elements[1], 1.0, elements[1] / elements[0])
    if np.all(np.isfinite(ratio)) and np.all(np.ptp(ratio, axis=0) < 1e-6 * np.abs(ratio).max(axis=0)):
        return "numpyro's log prob is pyro's times a number of each element's own: other weights"
    return None


def _told_apart(left: np.ndarray, right: np.ndarray, digits: int) -> bool:
    """Whether each of the numbers that are shown looks another one on the other side."""
    both = zip(left[:MOST_SHOWN], right[:MOST_SHOWN], strict=True)
    return all(f"{x:.{digits}g}" != f"{y:.{digits}g}" for x, y in both)


def _show(pairs: Pairs) -> str:
    """Both arrays at the first point, where they differ: `` is 2 in pyro and 4 in numpyro``."""
    first = [side[0].squeeze() for side in (pairs.left, pairs.right)]
    apart = pairs.apart.squeeze()
    here = apart & ~np.isclose(*first, rtol=1e-9, atol=1e-12)
    here = here if here.any() else apart
    at = np.argwhere(here)
    leading = here.ravel()[:MOST_SHOWN].all()
    both = [side[here] for side in first]
    digits = next((n for n in (4, 6) if _told_apart(both[0], both[1], n)), 4)
    if len(at) and not _told_apart(both[0], both[1], digits):  # then those that are the furthest apart
        order = np.argsort(-np.abs(both[0] - both[1]), kind="stable")
        at, both, leading = at[order], [side[order] for side in both], len(at) == 1 and leading
        texts = {n: [_numbers(side, len(at), n) for side in both] for n in (4, 6, 9, 12)}
        digits = next((n for n, (left, right) in texts.items() if left != right), 17)
    places = ", ".join(f"[{', '.join(map(str, index))}]" for index in at[:MOST_SHOWN])
    where = "" if leading else f" at {places}"
    left, right = (_numbers(side, len(at), digits) for side in both)
    few = f", in {len(at)} of {apart.size} elements" if 0 < len(at) < apart.size else ""
    return f"{where} is {left} in pyro and {right} in numpyro{few}"


def _numbers(values: np.ndarray, count: int, digits: int = 4) -> str:
    text = ", ".join(f"{v:.{digits}g}" for v in values[:MOST_SHOWN])
    return text if count <= 1 else f"[{text}{', ...' if count > MOST_SHOWN else ''}]"
