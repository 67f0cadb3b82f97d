"""What a climb begins with: programs, sites, what is held, and points to compare at; of models, and of their guides."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any, cast

import numpy as np

from ppl_parity.backend.checks import refuse_subsampling
from ppl_parity.backend.contract import Program, Site
from ppl_parity.errors import InputError
from ppl_parity.frozen.side import FrozenSide
from ppl_parity.ladder import split_false_alarm
from ppl_parity.ladder.context import CheckSettings, Context, Points
from ppl_parity.ladder.exact.points import shared_points
from ppl_parity.pair.decentred import kept_apart
from ppl_parity.pair.guides import guide_pair, without_others
from ppl_parity.pair.holding import hold, names_held, plates_apart
from ppl_parity.pair.options import check_names, check_rename, make_way
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.points import Point
from ppl_parity.pair.stacked_side import StackedProgram, StackedSide
from ppl_parity.pair.stacking import find_stacks, merge_sites
from ppl_parity.pair.viewed_side import ViewedProgram, ViewedSide
from ppl_parity.pair.views import find_turned, find_views, shown, shown_site
from ppl_parity.process.at_once import at_once
from ppl_parity.process.sides import Side

Progress = Callable[[str], None]

OF_LENGTHS = re.compile("size|shape|dimension|broadcast|length|element|index|bounds", re.IGNORECASE)


def prepare(
    pair: Pair,
    settings: CheckSettings,
    sides: Mapping[str, Side],
    rungs: Sequence[str],
    progress: Progress,
    elsewhere: Callable[[], Mapping[str, Collection[str]]] | None = None,
) -> Context:
    """Both programs, their sites, and the points at which they will be compared.

    Args:
        elsewhere: side -> names that the pair's options may name, and that are no sites here: of a guide its model's,
            and the other way round.
    """
    if elsewhere is None and pair.guides:
        elsewhere = partial(_names_of_guides, pair, sides)
    opened = at_once(lambda side: _program(pair, side, sides[side]), SIDES, sides.values())
    with _telling_lengths(pair):
        both = {side: future.result() for side, future in opened.items()}
    programs: dict[str, Program] = {side: program for side, (program, _) in both.items()}
    own: dict[str, dict[str, Site]] = {side: found for side, (_, found) in both.items()}
    frozen = next((name for name, side in sides.items() if isinstance(side, FrozenSide)), None)
    pair, turned = find_turned(pair, own)
    as_given, (pair, alone) = pair, hold(pair, programs, turned, frozen)
    for side in SIDES if pair is not as_given else ():
        if side != frozen:
            programs[side], own[side] = _program(pair, side, sides[side])
    pair, stacks = find_stacks(pair, own, partial=elsewhere is not None)
    if elsewhere is not None:
        pair = without_others(pair, own, elsewhere)
    opened_sides: dict[str, Any] = dict(sides)
    for side, found in stacks.items():
        if found:
            opened_sides[side] = StackedSide(sides[side], found)
            programs[side] = cast(Program, StackedProgram(programs[side], found))
            own[side] = {site.name: site for site in merge_sites(own[side].values(), found)}
    check_rename(pair, own)
    asked, pair = pair, make_way(pair, own)
    if frozen is None:
        pair = kept_apart(pair, own, programs)
    sites = {side: pair.from_side(side, own[side]) for side in SIDES}
    check_names(asked, sites, turned, partial(_all_learned, programs))
    params = {side: pair.from_side(side, _params(programs[side])) if turned else {} for side in SIDES}
    seen = find_views({side: {**params[side], **sites[side]} for side in SIDES}, turned)
    for side, views in seen.views.items():
        if views:
            opened_sides[side] = ViewedSide(opened_sides[side], views, pair.from_side(side, views))
            programs[side] = cast(Program, ViewedProgram(programs[side], views))
            sites[side] = {name: shown_site(site, views) for name, site in sites[side].items()}
    # A user's points are in the shapes of pyro's sites.
    points = {name: shown(values, seen.views["pyro"]) for name, values in pair.points.items()}
    pair = replace(pair, points=points)
    apart = plates_apart(sites)
    for side in SIDES if not apart else ():
        refuse_subsampling(side, sites[side].values(), held=names_held(pair, side))
    shared = tuple(
        name
        for name, site in sites["pyro"].items()
        if site.kind == "latent" and name in sites["numpyro"] and sites["numpyro"][name].kind == "latent"
    )
    context = Context(
        pair=pair,
        settings=settings,
        sides=opened_sides,
        programs=programs,
        sites=sites,
        shared=shared,
        points=[],
        alpha=split_false_alarm(rungs, settings.false_alarm),
        progress=progress,
        deadline=time.monotonic() + settings.seconds(rungs),
        rungs=tuple(rungs),
        stacks=stacks,
        shapes=seen.shapes,
        views=seen.views,
    )
    if alone:
        context.results["drawn on one side"] = alone
    if apart:
        context.results["plates apart"] = apart
    if frozen is not None:
        context.frozen, context.walks = frozen, opened_sides[frozen].walks(pair)
    comparable = not context.reparameterised and not context.misshapen
    if frozen is not None and comparable:
        context.points = _numbered(context, opened_sides[frozen].points(pair))
    elif comparable:
        context.points = Points(lambda: _found_points(context))
    return context


def _all_learned(programs: Mapping[str, Program]) -> dict[str, list[str]]:
    return {side: _learned(program) for side, program in programs.items()}


def _found_points(context: Context) -> list[Point]:
    context.progress("finding points to compare at")
    pair, settings = context.pair, context.settings
    with _telling_lengths(pair):
        found = shared_points(pair, context.programs, context.sites, settings.num_points, settings.seed)
    return _numbered(context, found)


def _numbered(context: Context, points: list[Point]) -> list[Point]:
    """The points, if a side has a number at some of them; where only one has, the density says what differs."""
    refused = [
        error for side in SIDES if side in context.live and (error := _no_numbers(context, side, points))
    ]
    if refused and len(refused) == len(context.live):
        raise InputError(refused[0])
    return points


def _program(pair: Pair, name: str, side: Side) -> tuple[Program, dict[str, Site]]:
    program = side.program(pair.models[name], pair.data[name], max_plate_nesting=pair.max_plate_nesting)
    sites = {site.name: site for site in program.sites()}
    if not sites:
        raise InputError(f"{name}: the model has no sample statement, so there is nothing to compare.")
    return program, sites


@contextmanager
def _telling_lengths(pair: Pair) -> Iterator[None]:
    """Add the data's lengths to what a side refuses of shapes or indices, where they are not all the same."""
    try:
        yield
    except InputError as error:
        shapes = {name: np.shape(v) for name, v in pair.data["pyro"].items() if isinstance(v, np.ndarray)}
        if len({shape[:1] for shape in shapes.values()}) < 2 or not OF_LENGTHS.search(str(error)):
            raise
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"{str(error).rstrip('.')}. The data are of unequal length: {told}.") from error


def _no_numbers(context: Context, side: str, points: list[Point]) -> str | None:
    """Why a model that has no number for a density anywhere cannot be compared: there is nothing it could equal."""
    if context.enumerated_on_one_side:  # the shared points have no value for such a site
        return None
    broken: set[str] | None = None
    for point in points:
        values = context.programs[side].site_log_probs(context.values(side, point, discrete=True))
        nan = {name for name, value in values.items() if np.any(np.isnan(value))}
        if not nan:
            return None
        broken = nan if broken is None else broken & nan
    if broken is None:
        return None
    where = f" of {', '.join(map(repr, sorted(broken)))}" if broken else ""
    return (
        f"{side}: a model must have a density; the log prob{where} is NaN at all {len(points)} points. "
        "Look for a missing value in the data, or a parameter that is out of range."
    )


def guide_of(context: Context, sides: Mapping[str, Side], rename: Mapping[str, str]) -> Callable[[], Context]:
    """What prepares the guides, when they are first asked for: as a pair of their own, with the models' data.

    Args:
        context: of the models.
        rename: as it was given, with the names that are the guides' alone.
    """

    @cache
    def prepared() -> Context:
        pair = replace(guide_pair(context.pair), rename=rename)

        def elsewhere() -> dict[str, list[str]]:
            sites = {side: list(context.pair.to_side(side, context.sites[side])) for side in SIDES}
            return {side: [*sites[side], *_learned(context.programs[side])] for side in SIDES}

        own = {side: _of_guide(each) for side, each in sides.items()}
        try:
            return prepare(pair, context.settings, own, ("structure", "density"), context.progress, elsewhere)
        except InputError as error:
            raise InputError(f"Of the guides: {error}") from error

    return prepared


def _names_of_guides(pair: Pair, sides: Mapping[str, Side]) -> dict[str, list[str]]:
    """Side -> the sites and params of its guide; of one that a library makes they are no user's to name."""
    found = {}
    for side in SIDES:
        made = sides[side].automatic(pair.guides[side], pair.data[side])
        program = None if made else _of_guide(sides[side]).program(pair.guides[side], pair.data[side])
        found[side] = (
            [] if program is None else [*(site.name for site in program.sites()), *_learned(program)]
        )
    return found


def _of_guide(side: Side) -> Side:
    """The side itself, whose process runs any program; of a file, the guide's part."""
    return cast(Side, (side.of_guide() or side) if isinstance(side, FrozenSide) else side)


def _learned(program: Program) -> list[str]:
    return [*_params(program)]


def _params(program: Program) -> dict[str, Site]:
    return {param.name: param for param in program.params()}
