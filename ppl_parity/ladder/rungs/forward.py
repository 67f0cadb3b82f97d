"""Do both models draw the same? Prior draws of every site, and draws of the data as if not observed.

What only this rung sees is a sampler that does not match its own log prob; it sees no ``factor``, and little
of what moves a likelihood. Draws are independent, so two-sample tests hold as they stand.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.families import parts
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.observed import OTHERWISE
from ppl_parity.ladder.samples.blame import blame
from ppl_parity.ladder.samples.dependence import dependence, dependence_blocks
from ppl_parity.ladder.samples.judging import Block, Family, Open, findings, judge, of_a_part
from ppl_parity.ladder.samples.rest import rest_block
from ppl_parity.ladder.samples.settling import settled
from ppl_parity.ladder.together import Refused, together
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.stacking import presented
from ppl_parity.statistics.selection import Selection, project, select
from ppl_parity.statistics.splitting import share_of_look
from ppl_parity.statistics.two_sample import energy_test, rare_events, scalar_p_values
from ppl_parity.tolerances import SAMPLER_LIMITS

NAME = "forward"
LABELS = ("prior", "prior predictive", "predictive")

# Of a first look: together they resolve 0.15 sd in a hundred scalars. NumPyro's draws cost next to nothing.
NUM_DRAWS = {"pyro": 1500, "numpyro": 6000}
MOST_SCALARS = 100
MOST_LOOKS = 4  # draws double with each
MOST_NUMBERS = 20_000_000  # of one batch of draws: 160 MB
SHARE_OF_BUDGET = 0.25  # the posterior needs the rest


OF_SAMPLERS = (
    "a limit of {}'s own sampler, which the other rungs do not use; a count, such as a number of trials, may have to "
    "be given as integers"
)


@dataclass(frozen=True)
class Way:
    """How both sides draw: at the shared points in place of the prior's, and what keeps its data meanwhile."""

    conditional: bool = False
    kept: tuple[str, ...] = ()


def run(context: Context) -> Iterator[Finding]:
    """Draw from both priors, and again as many, until every scalar is decided or the time is up."""
    yield from _run(context, Way())


def _run(context: Context, way: Way) -> Iterator[Finding]:
    while True:
        try:
            draws = _draw(context, look=1, way=way)
            break
        except Refused as refused:
            other, remark = _other_way(context, way, refused)
            yield remark
            if other is None:
                return
            way = other
    sites, told = _common(context, draws)
    yield from told
    if not sites and way.kept:  # and said what stands in for a comparison
        return
    if not sites:
        yield Finding("unresolved", "prior draws", "No site is drawn alike on both sides.")
        return
    selection = select({site: draws["pyro"][site].shape[1:] for site in sites}, MOST_SCALARS)
    columns = {side: selection.columns(draws[side], 1) for side in SIDES}
    rest = _rest(context, draws, selection, way.conditional)
    until = time.monotonic() + SHARE_OF_BUDGET * context.seconds_left()
    look, took = 1, 0.0
    while True:
        family, joint, pairs = _look(context, selection, columns, look, way.conditional, rest)
        open_ = [one for one in family.judged if one.verdict == "unresolved" and np.isfinite(one.error)]
        if not open_ or "different" in family.verdicts():
            break
        if look == MOST_LOOKS or time.monotonic() + 2 * took > until:
            break
        look, began = look + 1, time.monotonic()
        context.progress(f"forward: drawing more ({len(columns['pyro']):,} draws so far)")
        for _ in range(len(columns["pyro"]) // len(draws["pyro"][sites[0]])):
            try:
                more = _draw(context, look=len(columns["pyro"]) + 1, way=way)
            except Refused:  # a frozen side has no more
                until = -np.inf
                break
            columns = {s: np.concatenate([columns[s], selection.columns(more[s], 1)]) for s in SIDES}
        took = time.monotonic() - began
    if (known := _known(context, family, draws)) is not None and (other := _past(context, way, known)) != way:
        yield known
        yield from _run(context, other)
        return
    beyond = _one_sided_factors(context)
    for finding in _tell(context, family, joint, draws, len(columns["pyro"])):
        yield _for_the_density(context, finding, beyond) if beyond else finding
    if pairs is not None:
        yield pairs
    yield from of_a_part(family, *LABELS)


def _past(context: Context, way: Way, known: Finding) -> Way:
    """How to draw without a site whose sampler is wrong: data are left as they are, others given as the points are."""
    name = known.site or ""
    if _observed(context, name):
        return replace(way, kept=(*dict.fromkeys((*way.kept, name)),))
    return replace(way, conditional=True)


def _known(context: Context, family: Family, draws: dict[str, Arrays]) -> Finding | None:
    """What is said where a site differs whose sampler is known to be wrong, and its density was found to be right."""
    if context.results.get("verdicts", {}).get("density") != "same" or not context.points:
        return None
    differ = {one.site for one in family.judged if one.verdict == "different"}
    for limit in SAMPLER_LIMITS:
        for site, described in context.sites[limit.side].items():
            if site not in differ or limit.family not in parts(described.family):
                continue
            if not any(limit.holds(draws[side][site]) for side in SIDES):
                continue
            rest = "" if described.kind == "observed" else " The data are drawn at the shared points instead."
            return Finding(
                "same",
                "prior draws",
                f"The prior draws of {site!r} differ, and so may those that hang on it: {limit.reason}. Its log prob "
                f"was compared by density.{rest}",
                site=site,
                notable=True,
            )
    return None


def _one_sided_factors(context: Context) -> str:
    """Sites that are a ``factor`` on one side alone, in words: its draws lack what the other side's may have."""
    found = {s: {n for n, site in context.sites[s].items() if site.kind == "factor"} for s in SIDES}
    lists = {s: ", ".join(map(repr, sorted(found[s] - found[SIDES[1 - SIDES.index(s)]]))) for s in SIDES}
    return " and ".join(f"{names} in {side}" for side, names in lists.items() if names)


def _for_the_density(context: Context, finding: Finding, beyond: str) -> Finding:
    """Draws that differ say nothing of models of which one has a factor where the other may have a prior."""
    if finding.verdict != "different":
        return finding
    detail = f"Draws see no factor, and there is {beyond} alone, so this decides nothing: {finding.detail}"
    if context.results.get("verdicts", {}).get("density") == "same":
        return replace(finding, verdict="same", detail=detail, hint=None, notable=True)
    return replace(finding, verdict="unresolved", detail=detail, hint=None)


def _draw(context: Context, *, look: int, way: Way) -> dict[str, Arrays]:
    """One batch from both sides, under Pyro's names; the same size at every look, so that it compiles once."""
    seeds = np.random.SeedSequence([context.settings.seed, look]).generate_state(2)

    def work(side: str) -> Arrays:
        seed = int(seeds[SIDES.index(side)])
        num_draws = batch_size(side, context.sites["pyro"].values())
        program = context.programs[side]
        # Asked for only where it is needed, so that what was frozen before there was a need for it still answers.
        kept = {"kept": tuple(context.pair.to_side(side, dict.fromkeys(way.kept)))} if way.kept else {}
        if not way.conditional:
            return context.pair.from_side(side, program.prior_samples(num_draws=num_draws, seed=seed, **kept))
        # Both sides draw at the same points, so the tests can only be too careful.
        points = context.results.get("points at first", context.points) if context.frozen else context.points
        given = repeated([context.values(side, point, discrete=True) for point in points], num_draws)
        return context.pair.from_side(side, program.predictive_samples(given, seed=seed, **kept))

    return together(work, context.sides.values())


def batch_size(side: str, sites: Iterable[Site]) -> int:
    """How many draws of a model with these sites a side makes at once."""
    numbers = sum(np.asarray(site.value).size for site in sites)
    return int(np.clip(MOST_NUMBERS // max(1, numbers), 100, NUM_DRAWS[side]))


def repeated(at: Sequence[Arrays], num_draws: int) -> Arrays:
    """Values at some points, over and over: site -> (num_draws, ...)."""
    return {name: np.stack([at[i % len(at)][name] for i in range(num_draws)]) for name in at[0]}


def _other_way(context: Context, way: Way, refused: Refused) -> tuple[Way | None, Finding]:
    """How to draw what can be drawn where a side cannot draw all, if there is a way; and what is said of it.

    What is left out is settled where density was: the log prob of all sites was compared there, exactly.
    """
    known = context.results.get("verdicts", {}).get("density") == "same"
    sides = " and ".join(refused.sides)
    stuck = _stuck(context, refused)
    if stuck and not stuck & set(way.kept) and all(_observed(context, name) for name in stuck):
        names = ", ".join(map(repr, sorted(stuck)))
        settled = "its log prob was compared by density" if known else "its log prob was compared nowhere"
        return replace(way, kept=(*way.kept, *sorted(stuck))), Finding(
            "same" if known else "unresolved",
            "draws",
            f"{names} cannot be drawn in {sides}, so it keeps its data and only the other sites are drawn; {settled}. "
            f"({refused})",
            site=min(stuck),
            hint=OF_SAMPLERS.format(sides),
            notable=True,
        )
    if stuck and all(_improper(context, name) for name in stuck) and not context.points:
        return None, Finding(
            "same",
            "prior draws",
            f"No prior draws exist on either side, for {listed(sorted(stuck))} has an improper prior on both, and "
            "there are no shared points to draw the data at: the posterior decides.",
            site=min(stuck),
            notable=True,
        )
    if way.conditional or not context.points:
        return None, Finding(
            "unresolved",
            "prior draws",
            f"The models cannot be drawn from: {refused}",
            site=min(stuck, default=None),
            hint=OF_SAMPLERS.format(sides) if stuck else None,
        )
    none = len(refused.sides) == len(SIDES)
    where = "on either side, as with an improper prior" if none else f"in {sides}"
    return replace(way, conditional=True), Finding(
        "same" if none or known else "unresolved",
        "prior draws",
        f"No prior draws exist {where}; the data are drawn at the shared points in their place. ({refused})",
        notable=True,
    )


def _stuck(context: Context, refused: Refused) -> set[str]:
    """The sites whose samplers were refused, under Pyro's names."""
    found: dict[str, None] = {}
    for side, reason in refused.sides.items():
        named = re.findall(r"the sampler of '([^']*)'", reason)
        named = [presented(name, context.stacks.get(side, ())) for name in named]
        found |= context.pair.from_side(side, dict.fromkeys(named))
    return set(found)


def _improper(context: Context, name: str) -> bool:
    both = [context.sites[side].get(name) for side in SIDES]
    return all(site is not None and "ImproperUniform" in parts(site.family) for site in both)


def _observed(context: Context, name: str) -> bool:
    return all(name in context.sites[s] and context.sites[s][name].kind == "observed" for s in SIDES)


def _common(context: Context, draws: dict[str, Arrays]) -> tuple[list[str], list[Finding]]:
    """The sites that both sides draw with the same shape, in Pyro's order; and what is said of the others."""
    order = [*context.sites["pyro"], *draws["pyro"]]
    names = [n for n in dict.fromkeys(order) if n in draws["pyro"] and n in draws["numpyro"]]
    shapes = {name: [draws[side][name].shape[1:] for side in SIDES] for name in names}
    told = [
        Finding(
            "same" if all(context.sites[s][name].kind == "deterministic" for s in SIDES) else "unresolved",
            "shape of the draws",
            f"A draw of {name!r} has shape {left} in pyro and {right} in numpyro, so it is not compared.",
            site=name,
            hint="data that an observed site was given in place of a plate or an expand",
            notable=True,
        )
        for name, (left, right) in shapes.items()
        if left != right and all(name in context.sites[s] for s in SIDES)
    ]
    otherwise = context.results.get(OTHERWISE, ())  # a residual, and an observation
    return [
        name
        for name in names
        if shapes[name][0] == shapes[name][1] and 0 not in shapes[name][0] and name not in otherwise
    ], told


def _rest(context: Context, draws: dict[str, Arrays], selection: Selection, conditional: bool) -> list[Block]:
    """What stands out among the scalars that were not selected, of a first batch."""
    chains = {side: {site: draws[side][site][None] for site in selection.shapes} for side in SIDES}
    blocks = [
        rest_block(_label(context, site, conditional), site, chains, selection, _any, independent=True)
        for site in selection.shapes
    ]
    return [block for block in blocks if block is not None]


def _look(
    context: Context,
    selection: Selection,
    columns: dict[str, np.ndarray],
    look: int,
    conditional: bool,
    rest: list[Block],
) -> tuple[Family, tuple[float, float, float] | None, Finding | None]:
    a, b = settled(context, selection, *(columns[side] for side in SIDES))
    alpha = share_of_look(context.alpha.get(NAME, context.settings.false_alarm), look) / 2
    finite = np.all(np.isfinite(a), axis=0) & np.all(np.isfinite(b), axis=0)
    blocks = [
        Block(
            _label(context, site, conditional),
            [name for name in selection.names() if name[0] == site],
            a[None][..., where],
            b[None][..., where],
            finite[where],
            extra=scalar_p_values(a[:, where], b[:, where])[None],
            rare=rare_events(a[:, where], b[:, where]),
            independent=True,
            total=selection.total(site),
        )
        for site, where in _by_site(selection).items()
    ]
    blocks += rest
    moving = finite & ((np.ptp(a, axis=0) > 0) | (np.ptp(b, axis=0) > 0))
    joint, pairs = None, []
    if np.count_nonzero(moving) > 1:
        a, b = a[:, moving], b[:, moving]
        seed = context.settings.seed
        left, right = project(a[None], b[None], seed)
        names = [(None, (i,)) for i in range(left.shape[-1])]
        usable = np.ones(len(names), dtype=bool)
        title = "random projections of all scalars"
        blocks.append(Block("prior", names, left, right, usable, independent=True, title=title))
        drawn = [name for name, moves in zip(selection.names(), moving, strict=True) if moves]
        pairs = dependence_blocks("prior", drawn, a[None], b[None], _any, independent=True)
        blocks += pairs
        joint = (*energy_test(a, b, alpha=alpha, seed=seed), alpha)
    family = judge(blocks, alpha=alpha, margin=context.settings.margin, look=look)
    return family, joint, dependence("prior", pairs, family)


def _any(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.ones(a.shape[-1], dtype=bool)


def _by_site(selection: Selection) -> dict[str, np.ndarray]:
    sites = np.array([site for site, _ in selection.names()])
    return {site: np.flatnonzero(sites == site) for site in selection.flat}


def _label(context: Context, site: str, conditional: bool) -> str:
    kinds = {context.sites[side][site].kind for side in SIDES if site in context.sites[side]}
    if "observed" not in kinds:
        return LABELS[0]
    return LABELS[2] if conditional else LABELS[1]


def _tell(
    context: Context,
    family: Family,
    joint: tuple[float, float, float] | None,
    draws: dict[str, Arrays],
    count: int,
) -> Iterator[Finding]:
    density = context.results.get("verdicts", {}).get("density")
    few = Open(f"{count:,} draws of pyro's are too few")
    # A scalar is unusable here for one reason only.
    told = list(findings(family, reason=few, unusable=lambda site: Open.not_finite([str(site)])))
    wrong = {finding.site for finding in told if finding.verdict == "different"}
    first = next((finding for finding in told if finding.verdict == "different"), None)
    for finding in told:
        if finding is first and density == "same":
            yield replace(finding, hint=_sampler(context, finding, draws))
        elif finding.verdict == "different" and finding is not first and len(wrong) > 1:
            yield replace(
                finding, hint=f"it may follow from {first.site!r}" if first and first.site else None
            )
        else:
            yield finding
    if joint is not None:
        p, distance, alpha = joint
        differs = p < alpha
        yield Finding(
            "different" if differs else "same",
            "joint prior",
            f"All sites together {'do not ' if differs else ''}look alike (energy distance {distance:.3g}, "
            f"permutation p = {p:.2g} against {alpha:.2g}, {count:,} draws of pyro's).",
            size=distance,
            hint="the scalars one by one may agree: look at what depends on what" if differs else None,
            numbers={"p": p, "draws": count},
        )


def _sampler(context: Context, finding: Finding, draws: dict[str, Arrays]) -> str:
    """The densities agree, so a sampler does not match its own log prob; whose, if that can be found."""
    site = finding.site
    kinds = {
        context.sites[side][site].kind for side in SIDES if site is not None and site in context.sites[side]
    }
    if kinds == {"deterministic"}:
        return "it is computed in another way; the densities do not depend on it"
    families = {
        context.sites[side][site].family for side in SIDES if site is not None and site in context.sites[side]
    }
    what = f"the sampler of {' or '.join(sorted(families))}" if families else "a sampler"
    return f"the densities agree, so {what} does not match its own log prob: {blame(context, site, draws)}"
