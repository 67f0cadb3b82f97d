"""Probabilities at a library's own limit: what each makes of an event that is all but impossible."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.tolerances import CLAMP, CLAMPED_FAMILIES

# Of an event of which probs may have lost the digits: nats, and the roundings of 1 - p that are granted.
UNLIKELY, LOST_DIGITS = -10.0, 8 * float(np.finfo(np.float64).eps)
COUNTS = ("Binomial", "Multinomial")  # whose log prob is as low without any probability at its limit
FROM_PROBS = ("Geometric", "OrderedLogistic")  # whatever they are given, a library makes probabilities of it
WITHOUT_DIGITS = "ProjectedNormal"  # far from its direction it is the log of a rounding, of either sign
ROUNDED = "Kumaraswamy"  # where (1 - x^a)^b rounds to 1 or to 0 torch has no density
LOST_SLOPE = 1e-9  # nats
TOLD = 1e-3  # nats, of digits that were lost: what is set to one number in their place is told
LIMIT = 1e-13  # of a probability, or of one minus it: what is nearer is clamped, or has no digits
OF_PROBS = (
    "a library clamps a probability there, or it has lost its digits so near to its limit",
    "give logits in place of probs: both libraries compare them however small",
)
WHY = {
    WITHOUT_DIGITS: ("so far from its direction neither library has a digit of them", None),
    ROUNDED: ("torch maps it to a uniform, which has no density at its edge, where it rounds to", None),
}


def level_clamps(context: Context, values: dict[str, list[Arrays]]) -> None:
    """Set an impossible event's log prob to one number on both sides: each library has a clamp of its own.

    Only of probabilities: logits are taken as they are by both, and -200 beside -1000 is another model.

    Args:
        context: of the climb; its results keep at which points, and of how many numbers.
        values: side -> at each point, site -> its log probs; changed in place.
    """
    for name, site in context.sites["pyro"].items():
        if not _clamped(context, name, site):
            continue
        for point, *rows in zip(context.points, values["pyro"], values["numpyro"], strict=True):
            a, b = (np.array(row[name]) if name in row else None for row in rows)
            if a is None or b is None or a.shape != b.shape:
                continue
            # Of the probability itself: scaled by 1,000 an ordinary one would pass for impossible.
            scaled, weights = (a, b), [_weights(context, side, name, a.shape) for side in SIDES]
            a, b = (row / weight for row, weight in zip(scaled, weights, strict=True))
            if site.family == WITHOUT_DIGITS:
                a, b = (np.where(np.isnan(row), -np.inf, row) for row in (a, b))
            impossible = (a <= CLAMP) & (b <= CLAMP)
            if site.family == ROUNDED:
                impossible = _rounded(context, point, name, a, b)
            # 1 - p of a p near 1 has lost its last digits: the log of it is off by a rounding over what it is.
            # By the likelier of the two: by the other, an event that one side all but excludes would pass for any.
            likelier = np.maximum(a, b)
            with np.errstate(over="ignore"):
                chance = np.exp(likelier)
            unlikely = (likelier < UNLIKELY) & (a != b) & (site.family != ROUNDED)
            if site.family in COUNTS and np.any(unlikely):
                chance = _least(context, point, name, a.shape)
                impossible &= chance < LIMIT
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                lost = unlikely & (np.abs(a - b) <= LOST_DIGITS / chance)
            if np.any(impossible if site.family not in COUNTS else impossible & (a != b)):
                context.results.setdefault("clamped", set()).add(point.name)  # where it has no slope
            if np.any(lost & (np.abs(a - b) > LOST_SLOPE)):
                context.results.setdefault("clamped", set()).add(
                    point.name
                )  # digits that its slope lacks, too
            with np.errstate(invalid="ignore"):
                told = (impossible & (a != b)) | (lost & (np.abs(a - b) > TOLD))
            if np.any(told):
                known = context.results.setdefault("levelled", {}).setdefault(name, [0, 0])
                known[0] += int(np.count_nonzero(told))
                known[1] += 1
            level = np.where(impossible, CLAMP, a)
            for row, value, weight in zip(rows, scaled, weights, strict=True):
                row[name] = np.where(impossible | lost, level * weight, value)


def told_of_clamps(context: Context) -> Iterator[Finding]:
    """How many numbers of a site were set to one, lest a reader take them for compared."""
    for name, (count, points) in context.results.get("levelled", {}).items():
        whole = len(context.points) * max(1, int(np.prod(context.sites["pyro"][name].batch_shape)))
        why, hint = WHY.get(context.sites["pyro"][name].family, OF_PROBS)
        yield Finding(
            "same",
            "clamped probabilities",
            f"{count:,} of {whole:,} log probs of {name!r}, at {points} of {len(context.points)} points, were not "
            f"compared: {why}.",
            site=name,
            notable=count > whole // 4,
            hint=hint,
        )


def _clamped(context: Context, name: str, site: Site) -> bool:
    """Whether a side makes this site of probabilities."""
    if site.family not in CLAMPED_FAMILIES:
        return False
    both = [context.sites[side][name] for side in SIDES if name in context.sites[side]]
    given = [any(key.split()[-1] == "logits" for key in one.params) for one in both]
    return site.family in FROM_PROBS or not all(given)


def _weights(context: Context, side: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The factor on each log prob of a site; one where it is nothing that can be taken off."""
    site = context.sites[side][name]
    try:
        weights = np.broadcast_to(site.scale if site.weights is None else site.weights, shape)
    except ValueError:  # of what is summed over an axis
        return np.ones(shape)
    return np.where(weights > 0, weights, 1.0)


def _rounded(context: Context, point: Point, name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where torch alone has no density, and NumPyro's numbers say that its uniform (1 - x^a)^b is 1, or all but 0."""
    lost = np.isneginf(a) & np.isfinite(b)
    if not np.any(lost):
        return lost
    side = context.live[-1]  # numpyro, but for a file, of which its answers alone are known
    try:
        described = context.programs[side].sites(context.values(side, point, discrete=True))
    except InputError:
        return np.zeros(lost.shape, dtype=bool)
    site = context.pair.from_side(side, {each.name: each for each in described}).get(name)
    powers = [None if site is None else site.params.get(f"concentration{i}") for i in (1, 0)]
    if site is None or powers[0] is None or powers[1] is None:
        return np.zeros(lost.shape, dtype=bool)
    below = 1 - np.asarray(site.value) ** powers[0]
    uniform = np.broadcast_to(below ** powers[1], lost.shape)
    return lost & ((np.broadcast_to(below, lost.shape) == 1) | (uniform < np.finfo(np.float64).tiny))


def _least(context: Context, point: Point, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """How near each element's probabilities come to 0 or 1, over its trials, on either side; 0 if nobody can say."""
    least = np.ones(shape)
    for side in SIDES:
        try:
            described = context.programs[side].sites(context.values(side, point, discrete=True))
        except InputError:
            return np.zeros(shape)
        named = context.pair.from_side(side, {site.name: site for site in described})
        probs = named[name].params.get("probs") if name in named else None
        if probs is None:
            continue
        near = np.minimum(probs, 1 - probs) if named[name].family == "Binomial" else np.asarray(probs)
        trials = np.maximum(1.0, named[name].params.get("total_count", 1.0))
        if named[name].event_shape:
            near = np.min(near, axis=-1)
        try:
            least = np.minimum(least, np.broadcast_to(near / trials, shape))
        except ValueError:
            return np.zeros(shape)
    return least
