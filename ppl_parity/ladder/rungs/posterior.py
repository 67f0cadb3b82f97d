"""Is the posterior the same, by NUTS in both? The widest question, answered within a stated resolution.

Convergence comes first: what has not converged is ``unresolved``, never ``same`` and never ``different``.
Then every scalar's mean and spread, the log density and the joint distribution are compared; where that
leaves something open, more is drawn, until all is decided or the time is up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from ppl_parity.backend.contract import Site
from ppl_parity.findings import Finding
from ppl_parity.ladder.changes.change import compared_in_full
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.samples import exchangeable
from ppl_parity.ladder.samples.convergence import finding
from ppl_parity.ladder.samples.derived import Derived
from ppl_parity.ladder.samples.flat import flat_sites
from ppl_parity.ladder.samples.given import Given, alone
from ppl_parity.ladder.samples.judging import Open, findings, of_a_part
from ppl_parity.ladder.samples.looking import DIVERGING, Look, examine, renamed
from ppl_parity.ladder.samples.sampling import (
    FIRST_DRAWS,
    NUM_REWARMUP,
    Chains,
    affordable,
    first_round,
    next_round,
    of_scale,
    stand_ins,
)
from ppl_parity.ladder.together import Refused
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.equivalence import FALSE_SAME
from ppl_parity.statistics.splitting import share_of_look

NAME = "posterior"

SHARE_OF_BUDGET = 0.9  # what is left serves the assignments
SHARE_BEFORE_CALIBRATION = 0.4
LEAST_GROWTH, MOST_GROWTH = 1.3, 4.0  # of the draws, by one more round
CHANCE = 2.5  # standard errors by which the worst of many scalars that are the same may differ


def run(context: Context) -> Iterator[Finding]:
    """Draw with NUTS on both sides until every quantity is decided, or the time is up."""
    silent = [side for side in SIDES if not any(_samples(site) for site in context.sites[side].values())]
    if silent:
        both = len(silent) == len(SIDES)
        yield Finding(
            "same" if both else "unresolved",
            "posterior",
            f"There is no continuous latent site in {' and '.join(silent)}, so there is nothing for NUTS.",
            notable=True,
        )
        return
    endless = flat_sites(context)
    if endless:
        told = ", ".join(f"{count} of the numbers of {name!r}" for name, count in endless.items())
        yield Finding(
            "unresolved",
            "posterior",
            f"The posterior has no end: the density does not depend on {told}, at any point that was tried. NUTS would "
            "go on along these for ever, on both sides, so it was not run.",
            site=next(iter(endless)),
            hint=_of_endless(context, endless),
        )
        return
    share = SHARE_BEFORE_CALIBRATION if "calibration" in context.alpha else SHARE_OF_BUDGET
    until = time.monotonic() + share * max(0.0, context.seconds_left())
    components = exchangeable.find(context)
    context.progress("posterior: NUTS on both sides")
    try:
        chains = first_round(context, until - time.monotonic())
    except Refused as refused:
        yield Finding("unresolved", "posterior", f"The posterior cannot be sampled: {refused}")
        return
    derived, number, whole = Derived(), 1, context.settings.false_alarm
    refusal = ""
    while True:
        derived.extend(context, chains, until - time.monotonic())
        look = examine(context, chains, components, derived, number, context.alpha.get(NAME, whole))
        if look.decided() or _is_hopeless(context, look):
            break
        plan = _plan(context, chains, look, until - time.monotonic())
        if plan is None:
            break
        context.progress(f"posterior: {chains.num_draws('pyro')} draws a chain leave something open; more")
        number += 1
        try:
            next_round(context, chains, plan, NUM_REWARMUP)
        except Refused as refused:
            refusal = f" ({refused})"
            number -= 1
            break
    context.results["posterior draws"] = chains.draws
    context.results["posterior stats"] = chains.stats
    context.results["posterior renamed"] = renamed(chains, components)
    context.results["exchangeable"] = components
    if derived.given != "alike":
        yield _in_common(derived.given, alone(context, chains.draws))
    yield from _tell(context, chains, components, look, refusal)


def _samples(site: Site) -> bool:
    return site.kind == "latent" and not is_discrete(site)


def _is_hopeless(context: Context, look: Look) -> bool:
    """Whether nothing that was frozen can be judged: there will be no more draws of that side."""
    return context.frozen is not None and not np.any(look.convergence[context.frozen].usable)


def _plan(context: Context, chains: Chains, look: Look, seconds: float) -> dict[str, int] | None:
    """The draws of the next round: as many as should decide, if they can be had in time."""
    wanted = stats.norm.isf(share_of_look(FALSE_SAME, look.number + 1)) + CHANCE
    errors = [one.error for one in look.family.judged if one.verdict == "unresolved"]
    growth = max(((e * wanted / context.settings.margin) ** 2 for e in errors if np.isfinite(e)), default=2.0)
    if not all(np.isfinite(e) for e in errors):
        growth = max(growth, 2.0)
    growth = float(np.clip(growth, LEAST_GROWTH, MOST_GROWTH))
    least = {side: int((LEAST_GROWTH - 1) * chains.num_draws(side)) for side in SIDES}
    draws = {side: int((growth - 1) * chains.num_draws(side)) for side in SIDES}
    draws = affordable(chains, draws, NUM_REWARMUP, seconds)
    if any(draws[side] < least[side] for side in SIDES):
        return None
    # Whole multiples of a few sizes, so that a compiled sampler is compiled seldom.
    return {
        side: max(1, draws[side] // (FIRST_DRAWS[side] // 4)) * (FIRST_DRAWS[side] // 4) for side in SIDES
    }


def _in_common(given: Given, sites: dict[str, list[str]]) -> Finding:
    """What is known of latent sites that the other side does not record, and not in as many numbers either."""
    told = " and ".join(f"{side} alone has {listed(names)}" for side, names in sites.items() if names)
    of_data = (
        "The data are not compared given each side's own draws: what only one side has, the other may have integrated "
        "out. That the likelihoods are the same rests on the posterior of what both have, and on prior draws of the "
        "data."
        if given == "apart"
        else "These are not as many numbers on each side, so that one of them may lack a site."
    )
    numbers = {"in_common_only": True}
    return Finding("same", "latent sites", f"Latent: {told}. {of_data}", notable=True, numbers=numbers)


def _tell(
    context: Context,
    chains: Chains,
    components: exchangeable.Components | None,
    look: Look,
    refusal: str,
) -> Iterator[Finding]:
    for side in SIDES:
        count = chains.num_draws(side)
        shape = next(iter(chains.draws[side].values())).shape
        yield finding(
            side, *look.told(side), f"{shape[0]} {'chain' if shape[0] == 1 else 'chains'} of {count:,} draws"
        )
    yield from stand_ins(context)
    yield from of_scale(chains)
    yield from of_a_part(look.family, NAME)
    if components is not None:
        names = ", ".join(map(repr, components.axes))
        how = "declared" if components.declared else "found"
        yield Finding(
            "same",
            "exchangeable components",
            f"The {components.count} components of {names} are interchangeable ({how}); quantities that no "
            "renaming changes are compared, and the components after relabelling by Hungarian assignment.",
            notable=True,
        )
    least = 0.0 if look.family.forgiven else DIVERGING
    diverged = [side for side in SIDES if chains.diverging(side) > least]
    reason = f"{chains.num_draws('pyro'):,} draws a chain in pyro, and the budget is spent{refusal}"
    advice = None
    if "different" in look.family.verdicts():
        reason = f"{chains.num_draws('pyro'):,} draws a chain in pyro, and sampling stopped at a difference"
    if diverged:
        shares = " and ".join(f"{chains.diverging(side):.1%} of {side}'s" for side in diverged)
        reason = f"{shares} draws diverged, so no standard error can be believed"
        advice = "re-parameterise, or make the priors narrower: with more time as many draws diverge"
        change = compared_in_full(context)
        if change is not None and context.results.get("verdicts", {}).get("density") == "same":
            advice = (
                f"{change.told()}, and the densities are the same: it is NUTS that diverges in one of the two forms, "
                "with more time as often; --level quick leaves the draws out"
            )
    elif not all(np.all(look.told(side)[0].usable) for side in SIDES):
        reason = f"the chains have not converged everywhere{refusal}"
    if not look.family.judged:
        yield Finding(
            "unresolved", "posterior", "No quantity is drawn by both sides, so nothing is compared."
        )
    why = Open(reason, advice)
    told = list(findings(look.family, reason=why, unusable=_unusable(look, why), hint=_hint(context)))
    yield from sorted(told, key=lambda one: one.verdict != "different")
    yield from _joint(look, reason if diverged else None)
    yield from _divergences(chains)


def _unusable(look: Look, otherwise: Open) -> Callable[[str | None], Open]:
    """Why a site could not be judged: its own draws, those of sites that it is made of, or ``otherwise``."""
    both = look.convergence.values()
    everywhere = [look.told(side)[0] for side in SIDES]
    finite = np.logical_and.reduce([one.finite for one in both])
    lost = list(dict.fromkeys(name for (name, _), fine in zip(look.names, finite, strict=True) if not fine))
    slow = any(np.any(one.finite & ~one.usable) for one in everywhere)

    def why(site: str | None) -> Open:
        if site in lost:
            return Open.not_finite([str(site)])
        return Open.not_finite(lost) if lost and not slow else otherwise

    return why


def _hint(context: Context) -> str | None:
    verdicts = context.results.get("verdicts", {})
    if verdicts.get("density") == "same" and verdicts.get("transform") == "same":
        return "density and transforms agree, so it is a sampler's doing and not the model's"
    if not context.reparameterised:
        return None
    why = "could not be" if "density" in verdicts else "were not"
    return f"the densities {why} compared: look at what only one side has, and at what is given to observed sites"


def _joint(look: Look, doubt: str | None) -> Iterator[Finding]:
    if look.joint is not None:
        p, distance, alpha, rows = look.joint
        differs = p < alpha
        yield Finding(
            "same" if not differs else "unresolved" if doubt else "different",
            "joint posterior",
            f"All scalars together {'do not ' if differs else ''}look alike (energy distance {distance:.3g}, "
            f"permutation p = {p:.2g} against {alpha:.2g}, {rows:,} thinned draws of each side)"
            f"{f'; but {doubt}' if differs and doubt else ''}.",
            size=distance,
            hint="scalar by scalar they may agree: look at what depends on what" if differs else None,
            numbers={"p": p, "draws": rows},
        )
    if look.dependence is not None:
        yield look.dependence
    yield Finding(
        "same",
        "pooled R-hat",
        f"R-hat of all chains of both sides together is at most {look.pooled:.3f}.",
        numbers={"r_hat": look.pooled},
        notable=look.pooled > 1.01,
    )


def _divergences(chains: Chains) -> Iterator[Finding]:
    shares = {side: chains.diverging(side) for side in SIDES}
    if any(shares.values()):
        one_sided = sum(share > 0 for share in shares.values()) == 1
        told = " and ".join(f"{share:.2%} of {side}'s" for side, share in shares.items())
        yield Finding(
            "same",
            "divergences",
            f"{told} draws diverged{'; on one side only' if one_sided else ''}.",
            notable=True,
            hint="raise target_accept, or re-parameterise: part of the posterior may not have been reached",
            numbers=shares,
        )


def _of_endless(context: Context, endless: dict[str, int]) -> str:
    sizes = {name: np.size(np.asarray(context.sites["pyro"][name].value)) for name in endless}
    if any(name.endswith("_unobserved") or count < sizes[name] for name, count in endless.items()):
        return (
            "obs_mask leaves a site for all rows, of which those observed hang on nothing: give what is missing a "
            "site of its own"
        )
    return "it is masked, or has an improper prior, and nothing depends on it: leave it out"
