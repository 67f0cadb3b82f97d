"""Time both sides of a pair that a check called the same, in turn, and make the ratios that may be made."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.child import Child
from benchmarks.pair.quantities import MAX_RHAT, Quantities, mixing, smallest
from benchmarks.pair.systems import EAGER, NUM_POINTS, Plan, System
from benchmarks.sampler import resolved
from benchmarks.tables import seconds, spread
from benchmarks.timer import summary
from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, subsampled
from ppl_parity.ladder.exact.coordinates import moved_sites, positions
from ppl_parity.ladder.samples.starting import latent_sites, shared_starts
from ppl_parity.pair.pairs import SIDES

SCHEMA = "ppl-parity/bench-pair/1"
LEAST_SHARE = (
    0.5  # of a run that its draws take: less, and a difference of two runs is mostly the noise of both
)
ROUNDS = 3  # of gradients, the sides in turn: a slow minute is then slow for both
# In a loop a gradient costs no more than asked for alone, and its times, or a leapfrog's of several seeds, are much the
# same: more than these, and something else had the processor.
MOST_OVER_ALONE, MOST_SCATTER = 1.5, 4.0
PARTS = ("gradient", "NUTS", "SVI")
Say = Callable[[str], None]
Show = Callable[[dict[str, Any], str], None]


def measure(
    context: Context,
    plan: Plan,
    pythons: Mapping[str, str | None] | None = None,
    say: Say = lambda _: None,
    machine_name: str | None = None,
    show: Show = lambda *_: None,
) -> dict[str, Any]:
    """Times and ratios of a pair; see ``docs/benchmarks.md``.

    Args:
        context: of a check that ended in ``same``.
        plan: what is timed.
        pythons: side -> its Python, where it is another than this one.
        say: told what is being done.
        machine_name: what to call this machine.
        show: given the result as far as it goes, and which of ``PARTS`` has just been added.

    Raises:
        InputError: a side cannot be sampled, or a setting does not fit it.
        SideError: a side's process ended, or gave no answer in time.
    """
    subsampling = bool(subsampled(context))
    if subsampling:  # of a subsample there is no posterior
        plan = replace(plan, samplers=False)
    for side in SIDES:
        if not latent_sites(context, side):
            raise InputError(
                f"bench pair needs continuous latent sites, for gradients and NUTS; {side}'s model has none."
            )
    with ExitStack() as stack:
        systems, cold = _opened(stack, context, plan, pythons or {}, say)
        result: dict[str, Any] = {
            "schema": SCHEMA,
            "pair": context.pair.name,
            "settings": asdict(plan),
            "machine": machine.describe(machine_name),
            "systems": {system.name: {"side": system.side} | cold.get(system.name, {}) for system in systems},
            "ratios": {},
            "subsampled": subsampling,
        }
        _gradients(context, plan, systems, result, say)
        for system in systems:
            result["systems"][system.name] |= system.about
        show(result, "gradient")
        if plan.samplers:
            _samplers(context, plan, systems, result, say)
            show(result, "NUTS")
        if context.pair.guides:
            _learning(context, plan, systems, result, say)
            show(result, "SVI")
    return result


def _learning(
    context: Context, plan: Plan, systems: Sequence[System], result: dict[str, Any], say: Say
) -> None:
    """Steps of variational inference by each library's own SVI; Pyro has no recording of those."""
    timed = [system for system in systems if system.name == system.side]
    rounds: dict[str, list[dict[str, Any]]] = {system.name: [] for system in timed}
    for system in timed:
        say(f"{system.name}: its first step of variational inference")
        found = system.begin_learning(context.pair.guides[system.side])
        result["systems"][system.name]["learning"] = {"first_seconds": found["first_seconds"]}
    for number in range(ROUNDS):
        for system in timed:
            say(f"{system.name}: steps of variational inference, {number + 1} of {ROUNDS}")
            rounds[system.name].append(system.learn(plan.budget / ROUNDS))
    each = {}
    for name, raw in rounds.items():
        loops = [np.asarray(one["loop"]) / one["loop_count"] for one in raw]
        each[name] = [median(times) for times in loops]
        result["systems"][name]["learning"] |= {
            "loop": summary(list(np.concatenate(loops))),
            "rounds": each[name],
            "raw": raw,
        }
    busy = _scattered({name: result["systems"][name]["learning"]["loop"] for name in rounds}, "a step")
    result["ratios"]["learning"] = _ratios(each, busy)


def _scattered(loops: Mapping[str, dict[str, Any]], what: str) -> str:
    """Why the times of so many of these are not their own; empty where nothing says so."""
    for name, loop in loops.items():
        if loop["q90"] > MOST_SCATTER * loop["q10"]:
            return f"the machine was busy with something else: {what} of {name} took {spread(loop)} (80 % of its times)"
    return ""


def _opened(
    stack: ExitStack, context: Context, plan: Plan, pythons: Mapping[str, str | None], say: Say
) -> tuple[list[System], dict[str, dict[str, float]]]:
    """A process each, whose caches of compiled programs are empty; and how long each took from its start to its draws.

    One after the other: what a process waits for the others is no part of its time.
    """
    starts = shared_starts(context, plan.num_chains) if plan.samplers else None
    names: dict[str, tuple[str, dict[str, str]]] = {"pyro": ("pyro", {})}
    if plan.eager:
        names["eager pyro"] = ("pyro", EAGER)
    names["numpyro"] = ("numpyro", {})  # last: what the others are held to
    systems, cold = [], {}
    for name, (side, environment) in names.items():
        say(f"{name}: a process, and its first run of NUTS" if plan.samplers else f"{name}: a process")
        caches = stack.enter_context(tempfile.TemporaryDirectory())
        variables = environment | {"JAX_COMPILATION_CACHE_DIR": os.path.join(caches, "jax")}
        child = stack.enter_context(Child(name, python=pythons.get(side), environment=variables))
        own = None if starts is None else starts.values.get(side)
        systems.append(System(name, side, child, context, plan, own))
        if plan.samplers:
            cold[name] = {"cold_seconds": systems[-1].cold()["whole_seconds"]}
    return systems, cold


def _gradients(
    context: Context, plan: Plan, systems: Sequence[System], result: dict[str, Any], say: Say
) -> None:
    points, why = _points(context)
    held = {}
    for system in systems:
        say(f"{system.name}: holding the gradient that is timed to the one that was checked")
        held[system.name] = system.hold(points[system.side])
        result["systems"][system.name]["identity"] = held[system.name].as_dict()
    timed = [system for system in systems if held[system.name].same]
    found = _rounds(timed, plan, say)
    if _disturbed(found):  # perhaps for a moment
        found = _rounds(timed, plan, say, " again")
    for name, one in found.items():
        result["systems"][name]["gradient"] = one
    for system in systems:
        identity = held[system.name]
        if not identity.same and not why:
            why = f"{system.name}: what is timed is not what was checked: {identity.why}"
    each = {name: one["gradient"]["rounds"] for name, one in result["systems"].items() if "gradient" in one}
    result["ratios"]["gradient"] = _ratios(each, why or _disturbed(found))


def _rounds(systems: Sequence[System], plan: Plan, say: Say, again: str = "") -> dict[str, dict[str, Any]]:
    """Each system's times of a gradient, the systems in turn."""
    rounds: dict[str, list[dict[str, Any]]] = {system.name: [] for system in systems}
    for number in range(ROUNDS):
        for system in systems:
            say(f"{system.name}: its gradient{again}, {number + 1} of {ROUNDS}")
            rounds[system.name].append(system.measure(plan.budget / ROUNDS))
    found = {}
    for name, raw in rounds.items():
        loops = [np.asarray(one["loop"]) / one["loop_count"] for one in raw]
        found[name] = {
            "loop": summary(list(np.concatenate(loops))),
            "single": summary(list(np.concatenate([one["single"] for one in raw]))),
            "rounds": [median(times) for times in loops],
            "raw": raw,
        }
    return found


def _disturbed(found: Mapping[str, dict[str, Any]]) -> str:
    """Why the times of a gradient are not its own; empty where nothing says so."""
    for name, one in found.items():
        loop, alone = one["loop"], one["single"]
        if loop["median"] > MOST_OVER_ALONE * alone["median"]:
            return (
                f"the machine was busy with something else: a gradient of {name} took {seconds(loop['median'])} in a "
                f"loop and {seconds(alone['median'])} asked for alone, which can be no faster"
            )
    return _scattered({name: one["loop"] for name, one in found.items()}, "a gradient")


def _unsteady(found: Mapping[str, dict[str, Any]]) -> str:
    """Why the times of a leapfrog are not its own, likewise."""
    for name, one in found.items():
        each = one["seconds_per_leapfrog_of_seeds"]
        if max(each) > MOST_SCATTER * min(each):
            return (
                f"the machine was busy with something else: a leapfrog of {name} took {seconds(min(each))} with one "
                f"seed and {seconds(max(each))} with another"
            )
    return ""


def _points(context: Context) -> tuple[dict[str, list[Arrays]], str]:
    """Each side's unconstrained points, the first one where a sampler is; and why no ratio may be made of them."""
    if context.points:
        found = positions(context, len(context.points))
        found = sorted(found, key=lambda position: not position.point.name.startswith("near"))[:NUM_POINTS]
        moved = moved_sites(context, found)
        why = f"the sides unconstrain {', '.join(map(repr, moved))} differently" if moved else ""
        return {side: [position.coordinates[side] for position in found] for side in SIDES}, why
    points = {}
    for side in SIDES:
        drawn = context.programs[side].initial("uniform", num_chains=NUM_POINTS, seed=context.settings.seed)
        named = context.pair.from_side(side, drawn)
        points[side] = [{name: value[i] for name, value in named.items()} for i in range(NUM_POINTS)]
    return points, "the sides have different latent sites, so their gradients are of different functions"


def _samplers(
    context: Context, plan: Plan, systems: Sequence[System], result: dict[str, Any], say: Say
) -> None:
    runs: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    first, *others = plan.seeds
    for system in systems:
        say(f"{system.name}: runs of NUTS, seed {first}")
        full = system.sample(plan.num_draws, first)
        runs[system.name] = [resolved(lambda n, s=system: s.sample(n, first), full, plan.num_draws)]
    for seed in others:
        for system in systems:
            say(f"{system.name}: runs of NUTS, seed {seed}")
            length = np.shape(runs[system.name][0][0]["n_steps"])[1]
            runs[system.name].append((system.sample(length, seed), system.sample(1, seed)))
    quantities = Quantities(context)
    common = set.intersection(*(set(run["posterior"]) for each in runs.values() for run, _ in each))
    columns = {
        name: quantities.columns([run["posterior"] for run, _ in each], common) for name, each in runs.items()
    }
    for name, each in runs.items():
        result["systems"][name]["nuts"] = _rates(each, columns[name], quantities)
    mixed = mixing(list(columns.values()))
    result["mixing"] = asdict(mixed) | {"r_hat_at_most": MAX_RHAT, "ok": mixed.ok}
    result["mixing"] |= {key: quantities.name(result["mixing"][key]) for key in ("r_hat_of", "z_of")}
    result["relabelled"] = list(quantities.renamed)
    why = "" if mixed.ok else _not_mixed(result["mixing"])
    found = {name: one["nuts"] for name, one in result["systems"].items()}
    lacking = [name for name, one in found.items() if not one["resolved"]]
    told = f"{lacking[0]}'s draws take too little time to be told from its warmup" if lacking else ""
    busy = _unsteady(found)
    result["ratios"] |= {
        key: _ratios({name: one[f"{key}_of_seeds"] for name, one in found.items()}, why or told or of_time)
        for key, of_time in {
            "seconds_per_leapfrog": busy,
            "leapfrogs_per_ess": "",
            "seconds_per_ess": busy,
        }.items()
    }


def _not_mixed(found: Mapping[str, Any]) -> str:
    more = "ask for more (--num-draws, --num-warmup)"
    if found["r_hat"] > found["r_hat_at_most"]:
        told = f"R-hat of {found['r_hat_of']!r} over all of them is {found['r_hat']:.3g}"
        return f"the chains have not mixed: {told}, and may be {found['r_hat_at_most']:g}; {more}"
    told = f"the means of {found['z_of']!r} are {found['z']:.1f} of their Monte Carlo standard errors apart"
    return f"the draws are not of one posterior: {told}, and may be {found['z_at_most']:.1f}; {more}"


def _rates(
    runs: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    columns: Sequence[np.ndarray],
    quantities: Quantities,
) -> dict[str, Any]:
    """What explains the speed of a side's NUTS: ESS/s = (ESS a leapfrog) / (seconds a leapfrog), seed by seed.

    Of several chains a leapfrog is one of all of them: how many ran at once is the library's affair.
    """
    num_chains, num_draws = columns[0].shape[:2]
    steps = np.array([float(np.sum(run["n_steps"])) for run, _ in runs])
    found = [smallest(draws) for draws in columns]
    sizes = np.array([size for size, _ in found])
    gaps = np.array([run["seconds"] - one["seconds"] for run, one in runs])
    # Of the first seed, ``resolved`` saw to it, if so many draws were enough; of the others it is seen here.
    told = bool(np.all(gaps > LEAST_SHARE * np.array([run["seconds"] for run, _ in runs])))
    gaps = np.where(gaps > 0, gaps * num_draws / max(1, num_draws - 1), np.nan)
    each = gaps / steps
    return {
        "num_draws": num_draws,
        "resolved": told,
        "seconds": [run["seconds"] for run, _ in runs],
        "one_draw_seconds": [one["seconds"] for _, one in runs],
        "leapfrogs_per_draw": float(mean(steps)) / (num_chains * num_draws),
        "least": quantities.name(found[0][1]),
        "ess_of_seeds": sizes.tolist(),
        "seconds_per_leapfrog_of_seeds": each.tolist(),
        "leapfrogs_per_ess_of_seeds": (steps / sizes).tolist(),
        "seconds_per_ess_of_seeds": (gaps / sizes).tolist(),
        "divergences": int(sum(np.sum(run["diverging"]) for run, _ in runs)),
        "potential": runs[0][0]["potential"],
        "potential_reason": runs[0][0]["potential_reason"],
        "chain_method": runs[0][0]["chain_method"],
    }


def _ratios(each: Mapping[str, Sequence[float]], why: str) -> dict[str, Any]:
    """How many times more of something each system takes than the last one: the median over neighbours, and the range.

    There is none, and ``why``, where the systems were not shown to be the same.
    """
    if why:
        return {"why": why}
    *others, last = each
    found = {}
    for name in others:
        values = np.divide(each[name], each[last])
        found[name] = {
            "median": float(median(values)),
            "least": float(min(values)),
            "most": float(max(values)),
        }
    return {"over": last, "of": found}
