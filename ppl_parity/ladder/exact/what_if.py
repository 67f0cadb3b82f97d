"""Which change of a site's values, or of the data, would make the two log probs one: asked of the models themselves.

A sign, a reciprocal or a lost term inside a link, a formula or a log prob of one's own shows in no parameter as such.
So one side is asked for its log prob at changed values, and held to the other's at the given ones.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from scipy.special import expit

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.exact.log_probs import SiteLogProbs, limit_of, ordinary_points
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.process.sides import SideError
from ppl_parity.tolerances import agree

LEAST_POINTS = 3  # at which the two differ
MOST_POINTS = 8  # of these, and as many more at which they agree
MOST_SITES, MOST_ARGUMENTS = 40, 8
SECONDS = 10.0  # of a whole check: of a model that takes long over an answer not everything is tried
MOST_NUMBERS = 50_000  # of all latent sites, each of which is sent anew with each question

Map = Callable[[np.ndarray], np.ndarray]


def _ddof_1(n: int) -> np.ndarray:
    """sqrt((n - 1) / n): NumPy's own ddof warns of one row, whatever its errstate."""
    return np.sqrt(np.divide(n - 1, n))


# What is put for a value, in words, of which those that begin with its name need no "for".
ELEMENTWISE: tuple[tuple[str, Map], ...] = (
    ("-{}", np.negative),
    ("0", np.zeros_like),
    ("1", np.ones_like),
    ("1 / {}", np.reciprocal),
    ("{} squared", np.square),
    ("sqrt({})", np.sqrt),
    ("exp({})", np.exp),
    ("log({})", np.log),
    ("1 - {}", lambda v: 1 - v),
    ("|{}|", np.abs),
    ("2 {}", lambda v: 2 * v),
    ("half of {}", lambda v: v / 2),
    ("logistic({})", expit),
    ("1 / {}**2", lambda v: 1 / np.square(v)),
    ("1 / sqrt({})", lambda v: 1 / np.sqrt(v)),
)
# Whose transpose is no value of the other side's site.
NEVER_TURNED = ("corr_cholesky", "lower_cholesky", "simplex")
KINDS = {"-": "a sign", "0 ": "a term that one side lost", "1 for": "a factor that one side lost"}
INTEGERS: tuple[tuple[str, Map], ...] = (
    ("1 - {}", lambda v: 1 - v),
    ("1 + {}", lambda v: 1 + v),
    ("{} less one", lambda v: v - 1),
)
ARRANGED: tuple[tuple[str, Map], ...] = (
    ("{} less its mean", lambda v: v - v.mean(axis=0)),
    ("{} standardised", lambda v: (v - v.mean(axis=0)) / v.std(axis=0)),
    ("{} standardised (ddof 1)", lambda v: (v - v.mean(axis=0)) / v.std(axis=0) * _ddof_1(len(v))),
    ("{} divided by its standard deviation", lambda v: v / v.std(axis=0)),
    ("{} divided by its sum", lambda v: v / v.sum()),
    ("the first element of {} throughout", lambda v: np.full_like(v, v.flat[0])),
    ("the last element of {} throughout", lambda v: np.full_like(v, v.flat[-1])),
    ("the mean of {} throughout", lambda v: np.full_like(v, v.mean())),
)
ALONG: tuple[tuple[str, Callable[..., np.ndarray]], ...] = (
    ("{} reversed", np.flip),
    ("{}[i - 1] for {}[i]", lambda v, axis: np.roll(v, 1, axis)),
    ("{}[i + 1] for {}[i]", lambda v, axis: np.roll(v, -1, axis)),
    ("the running sum of {}", np.cumsum),
    ("{} sorted", np.sort),
)


def what_if(context: Context, name: str, values: SiteLogProbs) -> str | None:
    """The change of one site, or the exchange of two, with which one side's log prob of ``name`` is the other's.

    Args:
        context: whose points are those of ``values``.
        name: the site that differs.
        values: of both sides, at all points.

    Returns:
        A clause; None if no change that is tried makes the two agree at every point asked, where they differ as they
        are.
    """
    if sum(np.size(value) for value in context.points[0].values.values()) > MOST_NUMBERS:
        return None
    asked = _Asked(context, name, values)
    if not asked.enough:
        return None
    # The side that computes the site would have another value of it, and not another density of this one.
    computes = context.results.get("computes", ()) if name in context.results.get("stands for", {}) else ()
    ways = [(s, other) for s, other in (SIDES, SIDES[::-1]) if s in context.live and s not in computes]
    for find, where in ((_of_sites, ""), (_of_data, " in the data")):
        for side, other in ways:
            if found := find(asked, side):
                kind = next((f": {kind}" for begin, kind in KINDS.items() if found.startswith(begin)), "")
                if not where and (turned := re.match(r"'(.+)' transposed", found)):
                    kind = _if_meant(context, turned[1])
                return f"{other}'s is what {side}'s would be with {found}{where}{kind}"
    return None


def _if_meant(context: Context, name: str) -> str:
    """A square matrix that is the other's transpose may be meant to be: a layer's weight."""
    own = context.sites["numpyro"][name].name
    if name in context.shapes:
        return ", which rename says already"
    if context.sites["pyro"][name].support in NEVER_TURNED:
        return ""
    return f'; if that is meant, give rename = {{"{name}": "{own}.T"}}'


def _of_sites(asked: _Asked, side: str) -> str | None:
    used = asked.used(side)
    for site in used:
        whole = is_discrete(asked.context.sites[side][site])
        for words, to in changes(site, np.asarray(asked.points[0].values[site]), whole):
            if asked.agrees(side, _changed(site, to)):
                return words
    for one, two in itertools.combinations(used, 2):
        if asked.exchangeable(one, two) and asked.agrees(side, lambda at, a=one, b=two: {a: at[b], b: at[a]}):
            return f"{one!r} and {two!r} exchanged"
    return None


def _of_data(asked: _Asked, side: str) -> str | None:
    """Arguments that are a site's data are left alone: those were compared, as they are."""
    context = asked.context
    data = context.pair.data[side]
    observed = [site.value for site in context.sites[side].values() if site.kind == "observed"]
    usual = {
        name: np.asarray(value)
        for name, value in data.items()
        if isinstance(value, np.ndarray | float)
        and 0 < np.size(value) < MOST_NUMBERS
        and np.asarray(value).dtype.kind in "iuf"
        and not any(one is not None and np.array_equal(one, value) for one in observed)
    }
    for name, value in itertools.islice(usual.items(), MOST_ARGUMENTS):
        for words, to in changes(name, value, value.dtype.kind != "f"):
            with np.errstate(all="ignore"):
                changed = to(value)
            if asked.late or not np.all(np.isfinite(changed)) or np.array_equal(changed, value):
                continue
            try:
                program = context.sides[side].program(
                    context.pair.models[side],
                    {**data, name: changed if isinstance(data[name], np.ndarray) else float(changed)},
                    max_plate_nesting=context.pair.max_plate_nesting,
                )
                if asked.agrees(side, lambda _: {}, program):
                    return words
            except (InputError, SideError):  # data that the model cannot take
                continue
    return None


Change = Callable[[Arrays], Arrays]
"""From the values of all sites at a point to those that are changed."""


def _changed(site: str, to: Map) -> Change:
    return lambda at: {site: to(at[site])}


def changes(name: str, value: np.ndarray, whole: bool) -> Iterator[tuple[str, Map]]:
    """Every change that is tried of a site or an argument: ``1 / 'name' for 'name'``, ``'name' reversed``.

    Args:
        value: one of its values, for the shape.
        whole: whether its values are whole numbers.
    """
    quoted = repr(name)

    def told(words: str) -> str:
        short = " for " in words or re.match(r"{} [a-z]", words)
        return words.format(quoted, quoted) + ("" if short else f" for {quoted}")

    yield from ((told(words), to) for words, to in (INTEGERS if whole else ELEMENTWISE))
    if value.size < 2:
        return
    yield from ((told(words), to) for words, to in (() if whole else ARRANGED))
    for axis, (words, along) in itertools.product(range(value.ndim), ALONG):
        which = f" along its axis {axis}" if value.ndim > 1 else ""
        yield told(words) + which, partial(along, axis=axis)
    if value.ndim > 1:
        turned = (*range(value.ndim - 2), value.ndim - 1, value.ndim - 2)
        if value.shape[-1] == value.shape[-2]:
            yield told("{} transposed"), lambda v: v.transpose(turned)
        else:
            by_columns = f"the elements of {quoted} taken column by column"
            yield by_columns, lambda v: v.transpose(turned).reshape(v.shape)


class _Asked:
    """What the sides are asked: one site's log prob, at the ordinary points at which the two differ."""

    def __init__(self, context: Context, name: str, values: SiteLogProbs) -> None:
        self.context, self.name = context, name
        self.until = context.results.setdefault("what if until", time.monotonic() + SECONDS)
        self.points: list[Point] = []
        self.given: dict[str, list[np.ndarray]] = {side: [] for side in SIDES}
        apart, alike = [], []
        for ordinary, point, *rows in zip(
            ordinary_points(context), context.points, *(values[side] for side in SIDES), strict=True
        ):
            both = [np.asarray(row[name]) for row in rows if name in row]
            if ordinary and len(both) == len(SIDES) and all(np.all(np.isfinite(one)) for one in both):
                (alike if self._near(*both) else apart).append((point, both))
        self.enough = len(apart) >= LEAST_POINTS
        # Where they agree a change must leave it so: |b| is -b only where b is negative.
        for point, both in apart[:MOST_POINTS] + alike[:MOST_POINTS]:
            self.points.append(point)
            for side, one in zip(SIDES, both, strict=True):
                self.given[side].append(one)

    @property
    def late(self) -> bool:
        return time.monotonic() > self.until

    def used(self, side: str) -> list[str]:
        """The latent sites that move the log prob: it is another with another point's value of theirs."""
        first, second = self.points[:2]
        found = []
        for site in first.values:
            if site == self.name or site not in self.context.sites[side]:
                continue
            if np.shape(first.values[site]) != np.shape(second.values[site]):
                continue
            there = self._log_prob(side, first, {site: second.values[site]})
            if there is None or not np.array_equal(there, self.given[side][0]):
                found.append(site)
        return found[:MOST_SITES]

    def exchangeable(self, one: str, two: str) -> bool:
        """Whether the two have one shape, so that each can stand for the other."""
        a, b = (np.asarray(self.points[0].values[site]) for site in (one, two))
        return a.shape == b.shape and a.dtype.kind == b.dtype.kind

    def agrees(self, side: str, change: Change, program: Program | None = None) -> bool:
        """Whether ``side`` so changed is the other side as it is, at every point; not asked once the time is up."""
        if self.late:
            return False
        other = SIDES[1 - SIDES.index(side)]
        for point, given in zip(self.points, self.given[other], strict=True):
            with np.errstate(all="ignore"):
                changed = change({site: np.asarray(value) for site, value in point.values.items()})
            if not all(np.all(np.isfinite(value)) for value in changed.values()):
                return False
            found = self._log_prob(side, point, changed, program)
            if found is None or not self._near(found, given):
                return False
        return True

    def _log_prob(
        self, side: str, point: Point, changed: Arrays, program: Program | None = None
    ) -> np.ndarray | None:
        context, at = self.context, Point(point.name, {**point.values, **changed})
        try:
            told = (program or context.programs[side]).site_log_probs(context.values(side, at, discrete=True))
        except (InputError, SideError):  # a value that the site, or what is made of it, cannot have
            return None
        return context.pair.from_side(side, told).get(self.name)

    def _near(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Element by element where the shapes are one, else the sums."""
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape:
            a, b = np.sum(a), np.sum(b)
        extra = limit_of(self.context, self.name)
        return agree("log prob", a, b, extra=extra, dtype=self.context.precision)
