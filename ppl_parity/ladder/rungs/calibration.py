"""Does each side pass simulation-based calibration, and do both pass it crosswise?

Parameters and data are drawn from one side's prior, the data are fitted on a side, and the place of the true
parameters among the draws is uniform if simulator and fit belong to one model. Simulating and fitting on one
side finds errors that both sides share (a sampler's, a density's); crosswise it tests the pair.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.samples import exchangeable
from ppl_parity.ladder.samples.refit import fit_once, log_likelihood, replaceable, with_data
from ppl_parity.ladder.samples.sampling import stand_ins
from ppl_parity.ladder.together import Refused, together
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.sides import SideError
from ppl_parity.spec import SamplerSettings
from ppl_parity.statistics import diagnostics
from ppl_parity.statistics.equivalence import FALSE_SAME, Comparison, Decision, decide
from ppl_parity.statistics.selection import select
from ppl_parity.statistics.splitting import holm, share_of_look
from ppl_parity.statistics.uniformity import Ranks, ranks, uniformity

NAME = "calibration"

# A hundred fits place the location of ranks to 0.1; the margin of a posterior's mean is out of reach.
MARGIN = 0.5
LOOKS = (20, 60, 120, 160, 240)  # simulations of each simulator after which the ranks are judged
NUM_WARMUP, NUM_DRAWS = 200, 250
MOST_SCALARS = 20
MOST_FAILED = 0.2  # of the simulations: beyond it those that are left are not the prior's
# A chain that begins at the truth and moves too little has ranks of its own: with 8 effective draws of 250 the ranks
# of an exact sampler have a spread of 1.2, with 2.5 one of 1.4; with 20 or more, none was told from 1.
LEAST_ESS = 20.0
LOG_LIKELIHOOD = "log likelihood"

Case = tuple[str, str]  # (who simulated, who fitted)


@dataclass
class Study:
    """The ranks so far: case -> quantity names, and one row of ranks a simulation."""

    names: dict[Case, list[str]] = field(default_factory=dict)
    rows: dict[Case, list[np.ndarray]] = field(default_factory=dict)
    failed: int = 0
    stuck: int = 0

    def add(self, case: Case, found: dict[str, float]) -> None:
        """Keep one simulation's ranks, if all are numbers; none is found of a chain that hardly moved."""
        if not found:
            self.stuck += 1
            return
        names = self.names.setdefault(case, list(found))
        row = np.array([found.get(name, np.nan) for name in names])
        if np.all(np.isfinite(row)):
            self.rows.setdefault(case, []).append(row)
        else:
            self.failed += 1


@dataclass(frozen=True)
class Judgement:
    """One case's ranks so far, tested; ``adjusted_p`` by Holm, over all cases."""

    found: Ranks
    decision: Decision
    adjusted_p: np.ndarray


def run(context: Context) -> Iterator[Finding]:
    """Simulate on each side, fit on both, and test the ranks, until all are decided or the time is up."""
    told: list[Finding] = []
    try:
        reason = _not_generative(context)
        for side in SIDES:
            replaceable(context, side)
        components = exchangeable.find(context)
        told = list(stand_ins(context))  # before threads would look for them side by side
    except InputError as error:
        reason = str(error)
    if reason:
        yield Finding("unresolved", "calibration", reason)
        return
    study, done, seconds = Study(), 0, 0.0
    judged: dict[Case, Judgement] = {}
    try:
        with _one_each(context) as climbs:
            every = [side for climb in climbs.values() for side in climb.sides.values()]
            for look, count in enumerate(LOOKS, start=1):
                while done < count and seconds < context.seconds_left():
                    began = time.monotonic()
                    context.progress(f"calibration: simulation {done + 1} of each side")
                    found = together(partial(_simulate_and_fit, climbs, components, done), every)
                    for simulator, fitter in itertools.product(SIDES, SIDES):
                        study.add((simulator, fitter), found[simulator][fitter])
                    done, seconds = done + 1, time.monotonic() - began
                if done < LOOKS[0] or not study.rows:
                    break
                judged = _judge(context, study, look)
                if all(np.all(one.decision.verdict == "same") for one in judged.values()) or done < count:
                    break
                if any(np.any(one.decision.verdict == "different") for one in judged.values()):
                    break
    except Refused as refused:
        yield Finding("unresolved", "calibration", f"A fit of simulated data failed: {refused}")
        return
    context.results["calibration ranks"] = {
        case: (study.names[case], np.array(rows)) for case, rows in study.rows.items()
    }
    yield from told
    yield from _tell(study, judged, done)


def _not_generative(context: Context) -> str:
    """Why the model's draws and its density are no one joint distribution; empty if they are."""
    for side in SIDES:
        for name, site in context.sites[side].items():
            if site.kind == "factor":
                return f"{side}: {name!r} is a factor, which draws nothing, so simulated data are not the model's."
            if site.scale != 1:
                return (
                    f"{side}: {name!r} is scaled by {site.scale:g}, so its density is not what is simulated."
                )
            if site.masked and site.kind == "latent":
                return f"{side}: the latent site {name!r} is masked, so its density is not what is simulated."
    return ""


@contextmanager
def _one_each(context: Context) -> Iterator[dict[str, Context]]:
    """simulator -> the climb with two processes of its own, so that both simulators' data are fitted at once."""
    pair = context.pair
    with ExitStack() as stack:
        others = {side: stack.enter_context(context.sides[side].another()) for side in SIDES}
        programs = together(
            lambda side: others[side].program(
                pair.models[side], pair.data[side], max_plate_nesting=pair.max_plate_nesting
            ),
            others.values(),
        )
        yield dict(zip(SIDES, (context, replace(context, sides=others, programs=programs)), strict=True))


def _simulate_and_fit(
    climbs: dict[str, Context], components: exchangeable.Components | None, number: int, simulator: str
) -> dict[str, dict[str, float]]:
    """fitter -> the ranks of what ``simulator`` drew among the draws of that fit."""
    context = climbs[simulator]
    seeds = np.random.SeedSequence([context.settings.seed, 11, number]).generate_state(8)
    to_draw, to_fit, to_rank = (int(seed) for seed in seeds[4 * SIDES.index(simulator) :][:3])
    try:
        drawn = context.programs[simulator].prior_samples(num_draws=1, seed=to_draw)
    except InputError as error:
        raise Refused({simulator: str(error)}) from None
    truth = {n: np.asarray(v)[0] for n, v in context.pair.from_side(simulator, drawn).items()}
    data = {side: with_data(context, side, truth) for side in SIDES}
    fits = together(_fitting(context, data, truth, to_fit), context.sides.values())
    return {
        fitter: _ranks(context, components, simulator, data[simulator], truth, fits[fitter], to_rank)
        for fitter in SIDES
    }


def _fitting(context: Context, data: dict[str, dict], truth: Arrays, seed: int):
    settings = SamplerSettings(num_draws=NUM_DRAWS, num_warmup=NUM_WARMUP, num_chains=1, seed=seed)
    # The truth is itself a draw from the posterior, so a chain that begins there begins where it should.
    start = None if context.reparameterised else truth
    return lambda side: fit_once(context, side, data[side], settings, start)


def _ranks(
    context: Context,
    components: exchangeable.Components | None,
    simulator: str,
    data: dict,
    truth: Arrays,
    draws: Arrays,
    seed: int,
) -> dict[str, float]:
    names = [n for n in context.sites["pyro"] if _ranked(context, n) and n in draws and n in truth]
    mine = {n: np.asarray(draws[n], dtype=np.float64) for n in names}
    true = {n: np.asarray(truth[n], dtype=np.float64)[None, None] for n in names}
    if components is not None:
        # One chain names its components as it likes; the truth was named by the simulator.
        sums = [exchangeable.invariants(components, one) for one in (mine, true)]
        mine, true = (
            {n: v for n, v in one.items() if n not in components.axes} | extra
            for one, extra in zip((mine, true), sums, strict=True)
        )
    selection = select({n: v.shape[2:] for n, v in mine.items()}, MOST_SCALARS)
    labels = [f"{site}{list(index) if index else ''}" for site, index in selection.names()]
    columns, own = selection.columns(mine, 2)[0], selection.columns(true, 2)[0, 0]
    rows = _thinned(columns)
    if rows is None:
        return {}
    columns = columns[rows]
    if set(latent := _latent(context, simulator)) <= set(draws):
        stacked = {
            n: np.concatenate([np.asarray(truth[n])[None], np.asarray(draws[n])[0][rows]]) for n in latent
        }
        try:
            values = log_likelihood(context, simulator, data, stacked)
        except (InputError, SideError):
            values = np.full(len(rows) + 1, np.nan)
        columns, own = np.column_stack([columns, values[1:]]), np.append(own, values[0])
        labels.append(LOG_LIKELIHOOD)
    return dict(zip(labels, ranks(own, columns, seed).tolist(), strict=True))


def _ranked(context: Context, name: str) -> bool:
    found = [context.sites[side].get(name) for side in SIDES]
    return all(site is not None and site.kind != "observed" and not is_discrete(site) for site in found)


def _latent(context: Context, side: str) -> list[str]:
    return [n for n, s in context.sites[side].items() if s.kind == "latent" and not is_discrete(s)]


def _thinned(columns: np.ndarray) -> np.ndarray | None:
    """Rows that are nearly independent, by the scalar that mixes worst; None if there are too few."""
    least = float(np.nanmin(diagnostics.ess(columns[None]), initial=len(columns)))
    still = np.all(np.ptp(columns, axis=0) == 0)  # a constant beside others says nothing
    if least < LEAST_ESS or still:
        return None
    return np.arange(0, len(columns), max(1, int(np.ceil(len(columns) / least))))


def _judge(context: Context, study: Study, look: int) -> dict[Case, Judgement]:
    alpha = share_of_look(context.alpha.get(NAME, context.settings.false_alarm), look)
    tested = {case: uniformity(np.array(rows)) for case, rows in study.rows.items()}
    sizes = [len(one.p_value) for one in tested.values()]
    adjusted = np.split(holm(np.concatenate([one.p_value for one in tested.values()])), np.cumsum(sizes))
    result = {}
    for (case, one), p in zip(tested.items(), adjusted, strict=False):
        error = np.full(len(p), 1 / np.sqrt(len(study.rows[case])))
        # The worse of location and spread, each in its own standard deviation.
        size = np.maximum(np.abs(one.location), np.abs(one.spread - 1) / np.sqrt(2))
        share = share_of_look(FALSE_SAME, look)
        decision = decide(
            Comparison(size, error, one.p_value),
            p,
            alpha=alpha,
            margin=MARGIN,
            num_tests=3 * sum(sizes),  # each p-value is that of three tests
            false_same=share,
        )
        result[case] = Judgement(one, decision, p)
    return result


def _tell(study: Study, judged: dict[Case, Judgement], done: int) -> Iterator[Finding]:
    total = done * len(SIDES) ** 2
    if total and study.failed + study.stuck > MOST_FAILED * total:
        numbers = f"gave no finite ranks ({study.failed}) or fewer than {LEAST_ESS:g} effective draws ({study.stuck})"
        yield Finding(
            "unresolved",
            "calibration",
            f"{study.failed + study.stuck} of {total} fits of simulated data {numbers}, so the others are not a sample "
            "from the prior.",
            hint="a prior so wide that its data overflow"
            if study.failed > study.stuck
            else "a posterior that a chain of 250 draws does not explore: a funnel, or modes far apart",
        )
        return
    for case in itertools.product(SIDES, SIDES):
        simulator, fitter = case
        what = (
            f"simulated and fitted in {fitter}"
            if simulator == fitter
            else f"simulated in {simulator}, fitted in {fitter}"
        )
        if case not in judged:
            yield Finding(
                "unresolved",
                "calibration",
                f"Data {what}: {done} simulations; {LOOKS[0]} at least are needed, and the budget is spent.",
                hint="a larger budget (--budget SECONDS)",
            )
            continue
        yield _finding(study, case, what, judged[case])


def _finding(study: Study, case: Case, what: str, judgement: Judgement) -> Finding:
    names, count = study.names[case], len(study.rows[case])
    found, decision = judgement.found, judgement.decision
    order = {"different": 2, "unresolved": 1, "same": 0}
    worst = max(
        range(len(names)), key=lambda q: (order[decision.verdict[q]], -found.p_value[q], decision.upper[q])
    )
    verdict = str(decision.verdict[worst])
    site = names[worst].partition("[")[0]
    told = (
        f"location {found.location[worst]:+.2g}, spread {found.spread[worst]:.2g} of normal scores, where 0 and "
        "1 are right"
    )
    if verdict == "different":
        detail = f"Data {what}: the ranks of {names[worst]} are not uniform ({told}; {count} simulations)."
    elif verdict == "same":
        detail = (
            f"Data {what}: the ranks of {len(names)} quantities are uniform, off by at most "
            f"{decision.upper.max():.2g} standard deviations; the margin is {MARGIN:g} ({count} simulations)."
        )
    else:
        detail = (
            f"Data {what}: the ranks of {names[worst]} could be off by {decision.upper[worst]:.2g} standard "
            f"deviations, and the margin is {MARGIN:g}: {count} simulations are too few."
        )
    crosswise = case[0] != case[1]
    hint = (
        "one side alone may be calibrated: then the two models differ"
        if crosswise
        else f"{case[1]}'s sampler does not sample {case[1]}'s own model, or its prior draws are not the prior's"
    )
    return Finding(
        verdict,  # type: ignore[arg-type]
        "calibration",
        detail,
        site=None if site == LOG_LIKELIHOOD or verdict == "same" else site,
        size=float(max(abs(found.location[worst]), abs(found.spread[worst] - 1) / np.sqrt(2))),
        resolution=float(decision.resolution.max()),
        hint=hint if verdict == "different" else None,
        numbers={
            "quantities": names,
            "p": found.p_value,
            "adjusted_p": judgement.adjusted_p,
            "location": found.location,
            "spread": found.spread,
            "unit": "sd",
        },
    )
