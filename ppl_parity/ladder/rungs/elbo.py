"""Is the evidence lower bound the same, and the gradient that variational inference climbs it by?

    log p(x, z) - log q(z),    z ~ q

By each framework's own loss, from draws of its own guide. The densities of models and guides were compared exactly;
what only this rung sees is a guide whose sampler does not match its log prob, and a gradient that does not flow
(``detach``, ``stop_gradient``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Site
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.moved import movable, moved_values
from ppl_parity.ladder.rungs.guide import automatic
from ppl_parity.ladder.samples.judging import Block, Family, Open, findings, judge
from ppl_parity.ladder.samples.slopes import (
    CANCELLED,
    Slopes,
    estimators_differ,
    mean_slopes,
    slope_blocks,
    slopes_of,
)
from ppl_parity.ladder.together import Refused, together
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.views import own, shown
from ppl_parity.statistics.rounding import without_rounding
from ppl_parity.statistics.splitting import share_of_look
from ppl_parity.statistics.two_sample import scalar_p_values

NAME = "elbo"

NUM_DRAWS = {"pyro": 500, "numpyro": 2000}  # of each setting, at a first look; NumPyro's cost next to nothing
MOST_LOOKS = 5  # draws double with each
SHARE_OF_BUDGET = 0.25

BOUND = "the evidence lower bound"
AT = (
    "at the initial values of the params",
    "near the initial values of the params",
    "away from the initial values of the params",
)
MOVED = (None, 1, 0)  # seeds of the values: by 0.05 and by 0.5, unconstrained


@dataclass(frozen=True)
class Draws:
    """Both sides' estimates: side -> (P, S), and side -> param (Pyro's names) -> (P, S, ...)."""

    bounds: dict[str, np.ndarray]
    gradients: dict[str, Arrays]

    def and_also(self, more: Draws) -> Draws:
        """These and more of them."""
        return Draws(
            {side: np.concatenate([self.bounds[side], more.bounds[side]], axis=1) for side in SIDES},
            {
                side: {
                    name: np.concatenate([value, more.gradients[side][name]], axis=1)
                    for name, value in self.gradients[side].items()
                }
                for side in SIDES
            },
        )


def run(context: Context) -> Iterator[Finding]:
    """Draw, and again as many, until everything is decided or the time is up."""
    if context.guide is None:
        return
    if any(automatic(context).values()):
        yield Finding(
            "same",
            BOUND,
            "A guide that a library makes of its model has params of its own, so the bounds were not compared.",
            notable=True,
            numbers={"summary": "the guides are the libraries' own"},
        )
        return
    guide = context.guide()
    settings, sites = _settings((context, guide))
    offset = context.results.get("offset", 0.0) - guide.results.get("offset", 0.0)
    until = time.monotonic() + SHARE_OF_BUDGET * context.seconds_left()
    look, batches = 1, 1
    context.progress("drawing from both guides")
    began = time.monotonic()
    try:
        draws = _draw(context, guide, settings, 1)
        took = time.monotonic() - began
        while True:
            slopes = slopes_of(draws.gradients, sites)
            found = _look(context, guide, draws, slopes, offset, look)
            verdicts = [each.verdict for each in found]
            if "unresolved" not in verdicts or "different" in verdicts or look == MOST_LOOKS:
                break
            # What the first took was compiling, mostly.
            if time.monotonic() + (2 * batches if look > 1 else 1) * took > until:
                break
            look += 1
            for _ in range(batches):
                batches += 1
                began = time.monotonic()
                draws = draws.and_also(_draw(context, guide, settings, batches))
                took = time.monotonic() - began  # without what was compiled first
    except Refused as refused:
        yield Finding(
            "unresolved",
            BOUND,
            f"A framework's own evidence lower bound cannot be estimated: {refused}",
            hint="what stops it would stop variational inference, too",
        )
        return
    yield from found
    left = [name for name in sites if not any(slope.name == name for slope in slopes)]
    if left:
        yield _left_out(left, draws)


def _settings(contexts: Sequence[Context]) -> tuple[list[Arrays], dict[str, Site]]:
    """The values of the params, by Pyro's names, at which the bound is estimated; and what the params are."""
    sites: dict[str, Site] = {}
    programs = []
    for context in contexts:
        described = context.pair.from_side(
            context.anchor, {site.name: site for site in context.programs[context.anchor].params()}
        )
        if names := movable(context):
            programs.append(context.programs[context.anchor])
            sites |= {name: described[name] for name in names}
    anchor, pair = contexts[0].anchor, _pair_of_both(contexts)
    found = (pair.from_side(anchor, values) for values in settings_of(programs))
    return [{name: values[name] for name in values if name in sites} for values in found], sites


def _pair_of_both(contexts: Sequence[Context]) -> Pair:
    """The models' pair, with the guides' names, too: a bound is of both."""
    rename = {name: other for context in contexts for name, other in context.pair.rename.items()}
    return replace(contexts[0].pair, rename=rename)


def settings_of(programs: Sequence[Program]) -> list[Arrays]:
    """Values of what model and guide of a side learn, by its own names: those of ``AT``, or none where all stay.

    Args:
        programs: of the model and of the guide, or of that which has such params.
    """
    settings: list[Arrays] = [{} for _ in MOVED]
    for program in programs:
        initial = {site.name: np.asarray(site.value) for site in program.params()}
        learned = moved_values(program, 0)  # the others stay where they are
        for values, seed in zip(settings, MOVED, strict=True):
            at = initial if seed is None else moved_values(program, seed)
            values |= {name: at[name] for name in learned}
    return settings if settings[0] else settings[:1]


def _draw(context: Context, guide: Context, settings: Sequence[Arrays], batch: int) -> Draws:
    seeds = np.random.SeedSequence([context.settings.seed, batch]).generate_state(2)

    pair = _pair_of_both((context, guide))

    def work(side: str) -> tuple[np.ndarray, Arrays]:
        views = {**guide.views[side], **context.views[side]}
        bounds, gradients = context.sides[side].elbo(
            pair.models[side],
            guide.pair.models[side],
            pair.data[side],
            [own(pair.to_side(side, values), views) for values in settings],
            num_draws=NUM_DRAWS[side],
            seed=int(seeds[SIDES.index(side)]),
            max_plate_nesting=pair.max_plate_nesting,
            timeout=max(30.0, context.seconds_left()),
        )
        return bounds, pair.from_side(side, shown(gradients, views, lead=2))

    found = together(work, context.sides.values())
    return Draws({s: found[s][0] for s in SIDES}, {s: found[s][1] for s in SIDES})


def _look(
    context: Context, guide: Context, draws: Draws, slopes: Slopes, offset: float, look: int
) -> list[Finding]:
    """The bound and the gradients as one family; where their means alone are compared, these are another."""
    alpha = share_of_look(context.alpha.get(NAME, context.settings.false_alarm), look)
    margin, apart = context.settings.margin, estimators_differ(guide)
    alpha = alpha / 2 if apart else alpha
    blocks = _blocks(draws, offset) + ([] if apart else slope_blocks(slopes, AT))
    family = judge(blocks, alpha=alpha, margin=margin, look=look)
    hint = "the densities agree, so a guide's sampler does not match its own log prob"
    if {context.results.get("verdicts", {}).get(rung) for rung in ("density", "guide")} != {"same"}:
        hint = "see to the densities of models and guides first (--rungs density,guide)"
    count = draws.bounds["pyro"].shape[1]
    few = Open(f"{count:,} draws of pyro's are too few")
    overflow = Open.not_finite([BOUND])
    return [
        *findings(_told_once(family), reason=few, unusable=lambda _: overflow, hint=hint),
        *(mean_slopes(slopes, AT, alpha=alpha, margin=margin, look=look, few=few) if apart else ()),
    ]


def _blocks(draws: Draws, offset: float) -> list[Block]:
    blocks = []
    for p in range(len(draws.bounds["pyro"])):
        a, b = (draws.bounds[side][p][:, None] for side in SIDES)
        largest = np.max([np.max(np.abs(x), initial=0.0, where=np.isfinite(x)) for x in (a, b)])
        a, b = without_rounding(a, b - offset, CANCELLED * largest)
        usable = np.array([bool(np.all(np.isfinite(a)) and np.all(np.isfinite(b)))])
        extra = scalar_p_values(a, b)[None] if usable[0] else None
        blocks.append(
            Block(
                "estimated",
                [(None, (p,))],
                a[None],
                b[None],
                usable,
                extra=extra,
                independent=True,
                title=f"{BOUND} {AT[p]}",
            )
        )
    return blocks


def _told_once(family: Family) -> Family:
    """Without the bound's index: a setting of the params is no place in a site."""
    for one in family.judged:
        if one.site is None:
            one.block.names = [(site, ()) for site, _ in one.block.names]
            one.index = ()
    return family


def _left_out(left: Sequence[str], draws: Draws) -> Finding:
    """Params whose gradients were not compared."""
    without = [side for side in SIDES if not draws.gradients[side]]
    why = (
        f"a site of the guide has no pathwise derivative in {' and '.join(without)}"
        if without
        else "their numbers are not free of each other, or some draws are not finite"
    )
    return Finding(
        "same",
        "gradient of the bound",
        f"The gradients in {listed(left)} were not compared: {why}.",
        site=left[0],
        notable=True,
    )
