"""Freeze one side of a pair: ask of it, once, all that a check of the other side will ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ppl_parity.backend.checks import refuse_subsampling
from ppl_parity.backend.contract import Arrays, Groups, Program, Site
from ppl_parity.errors import InputError
from ppl_parity.frozen.file import Frozen, fingerprint, key_of
from ppl_parity.ladder.context import is_discrete
from ppl_parity.ladder.exact.moved import moved_values, where_moved
from ppl_parity.ladder.exact.points import shared_points
from ppl_parity.ladder.rungs.assignments import thinned, with_parameters
from ppl_parity.ladder.rungs.dynamics import plan_walks, walk_along
from ppl_parity.ladder.rungs.elbo import NUM_DRAWS, settings_of
from ppl_parity.ladder.rungs.forward import MOST_LOOKS, batch_size, repeated
from ppl_parity.ladder.samples.convergence import converged
from ppl_parity.ladder.samples.convergence import finding as convergence
from ppl_parity.ladder.samples.starting import scaled_starts
from ppl_parity.listing import listed
from ppl_parity.pair.guides import guide_pair
from ppl_parity.pair.holding import names_held
from ppl_parity.pair.own_values import own_values
from ppl_parity.pair.pairs import Pair
from ppl_parity.pair.points import Point, Walk
from ppl_parity.process.references import HeldReference, MixtureReference
from ppl_parity.process.sides import Side
from ppl_parity.spec import SamplerSettings
from ppl_parity.starts import kmeans_start
from ppl_parity.statistics.selection import select
from ppl_parity.tolerances import agree

NUM_POINTS = 24
MOST_PRIOR_NUMBERS = 2_000_000  # 16 MB
BATCHES_OF_BOUNDS = 4  # of the elbo rung's first look
MOST_PARAMETER_NUMBERS = 10_000  # of a site's parameter at a point, which serves a hint only
MOST_COMPUTED_NUMBERS = 200_000  # of a deterministic site at a point


def freeze(
    pair: Pair,
    name: str,
    side: Side,
    *,
    settings: SamplerSettings | None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Frozen:
    """What a side of a pair answers at shared points, its prior draws, and its posterior draws.

    Args:
        pair: of which only this side's model is run.
        name: ``pyro`` or ``numpyro``.
        side: its process.
        settings: of NUTS; None makes no posterior draws.
        seed: of everything else.
        progress: told what is being done.

    Raises:
        InputError: the model cannot be run, answers differently when asked twice, or has a density nowhere.
    """
    progress(f"running the {name} model")
    asked = _questioned(pair, name, side, seed, progress)
    pair, program, described, points, record, starts, drawn = asked
    model, data, sites = pair.models[name], pair.data[name], {site.name: site for site in described}
    near = [(point.name, u) for point, u in sorted(starts, key=lambda start: start[0].kind != "near")]
    walks = tuple(plan_walks(program, near, seed)) if near else ()
    for walk in walks:
        path = walk_along(program, walk)
        record.keep(path, "leapfrog", walk.start, walk.momentum, **_steps(walk, path.energy))
    progress("drawing from the prior")
    prior, prior_refused = _prior(name, record, points, described, seed)
    posterior, posterior_refused = None, f"{name}: no posterior draws were frozen (--no-draws)."
    latent = [n for n, site in sites.items() if site.kind == "latent" and not is_discrete(site)]
    subsampled = any(plate.subsample_size < plate.size for site in described for plate in site.plates)
    if subsampled:
        posterior_refused = f"{name}: a plate takes some of its rows, of which there is no posterior."
    if settings is not None and latent and not subsampled:
        progress("drawing from the posterior by NUTS")
        posterior, posterior_refused = _posterior(pair, name, side, program, settings)
        if posterior is not None and any(site.enumerated for site in described):
            draws = thinned(name, posterior["posterior"], latent)
            for point in draws:
                record("discrete_marginals", point.values)
            if isinstance(model, MixtureReference):
                _responsibilities(record, side, model, data, [*points, *draws])
    elif isinstance(model, MixtureReference):
        _responsibilities(record, side, model, data, points)
    return Frozen(
        side=name,
        pair=pair.name,
        versions=side.versions(),
        data=fingerprint(data),
        sites=described,
        foreign=program.foreign_statements(),
        params=program.params(),
        points={point.name: point.values for point in points},
        kinds={point.name: point.kind for point in points},
        answers=record.answers,
        walks=walks,
        prior=prior,
        prior_refused=prior_refused,
        posterior=posterior,
        posterior_refused=posterior_refused,
        settings={"seed": seed, "sampler": None if settings is None else settings.as_dict()},
        held=drawn,
        **_guide(pair, name, side, program, seed, progress),
    )


def _guide(
    pair: Pair, name: str, side: Side, model: Program, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """What is kept of the side's guide, and of the bound, if it has one."""
    if name not in pair.guides:
        return {}
    if made := side.automatic(pair.guides[name], pair.data[name]):
        return {"automatic": made}
    own = guide_pair(pair)
    try:
        own, program, described, points, record, _, drawn = _questioned(own, name, side, seed, progress)
    except InputError as error:
        raise InputError(f"Of the guide: {error}") from error
    progress("drawing from the guide")
    settings = settings_of((model, program))
    record.keep(_bounds(pair, own, name, side, settings, seed), "elbo", settings)
    guide = Frozen(
        side=name,
        pair=own.name,
        versions={},
        data={},
        sites=described,
        foreign=program.foreign_statements(),
        params=program.params(),
        points={point.name: point.values for point in points},
        kinds={point.name: point.kind for point in points},
        answers=record.answers,
        prior_refused=f"{name}: no draws of the guide were frozen.",
        posterior_refused=f"{name}: a guide has no posterior.",
        held=drawn,
    )
    return {"guide": guide}


def _bounds(
    pair: Pair, guide: Pair, name: str, side: Side, settings: list[Arrays], seed: int
) -> dict[str, Any]:
    """Estimates of the evidence lower bound and of its gradients; or why there are none."""
    numbers = len(settings) * (1 + sum(np.size(value) for value in settings[0].values()))
    num_draws = min(BATCHES_OF_BOUNDS * NUM_DRAWS[name], MOST_PRIOR_NUMBERS // numbers)
    if num_draws < NUM_DRAWS[name] // 2:
        return {"refused": f"{name}: too many numbers are learned for their gradients to be kept in a file."}
    try:
        bounds, gradients = side.elbo(
            pair.models[name],
            guide.models[name],
            pair.data[name],
            settings,
            num_draws=num_draws,
            seed=seed,
            max_plate_nesting=pair.max_plate_nesting,
        )
    except InputError as error:
        return {"refused": str(error)}
    return {"bounds": bounds, "gradients": gradients}


def _questioned(
    pair: Pair, name: str, side: Side, seed: int, progress: Callable[[str], None]
) -> tuple[Pair, Program, tuple[Site, ...], list[Point], Record, list[tuple[Point, Arrays]], Arrays]:
    """The pair with what is drawn anew held, its program there, its sites, and what was asked at which points.

    And the points' unconstrained coordinates, and what is held.
    """
    data = pair.data[name]
    program = side.program(pair.models[name], data, max_plate_nesting=pair.max_plate_nesting)
    described = program.sites()
    sites = {site.name: site for site in described}
    if not sites:
        raise InputError(f"{name}: the model has no sample statement, so there is nothing to freeze.")
    if drawn := program.drawn_anew():
        pair = replace(pair, models={**pair.models, name: HeldReference.of(pair.models[name], drawn)})
        program = side.program(pair.models[name], data, max_plate_nesting=pair.max_plate_nesting)
    refuse_subsampling(name, described, held=names_held(pair, name))
    # Everything in the file is under the side's own names; the check translates.
    own_points = {point: own_values(pair, name, sites, values) for point, values in pair.points.items()}
    own = replace(pair, rename={}, points=own_points)
    progress("finding points")
    points = shared_points(own, {name: program}, {name: sites}, NUM_POINTS, seed)
    _check_steady(name, program, points)
    record = Record(program)
    progress(f"asking at {len(points)} points")
    starts = _ask(record, points, sites)
    _ask_moved(record, points, sites)
    _check_finite(name, record, points)
    return pair, program, described, points, record, starts, drawn


class Record:
    """A program's answers, by what was asked."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.answers: dict[str, Any] = {}

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Ask, and keep the answer; a refusal is kept too, and is None here."""
        try:
            answer = getattr(self.program, name)(*args, **kwargs)
        except InputError as error:
            self.answers[key_of(name, *args, **kwargs)] = {"refused": str(error)}
            return None
        return self.keep(answer, name, *args, **kwargs)

    def keep(self, answer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Keep an answer that is known already."""
        self.answers[key_of(name, *args, **kwargs)] = answer
        return answer


def _ask(record: Record, points: list[Point], sites: Mapping[str, Site]) -> list[tuple[Point, Arrays]]:
    """What the deterministic rungs ask; returns the points' unconstrained coordinates, where there are any."""
    starts = []
    for point in points:
        values = point.values
        continuous = {n: v for n, v in values.items() if n not in sites or not is_discrete(sites[n])}
        record("site_log_probs", values)
        found = record("sites", values)
        if found is not None:
            record.keep(tuple(map(_lighter, found)), "sites", values)
        record("log_density", continuous)
        if any(site.enumerated for site in sites.values()):
            record("discrete_marginals", continuous)
        u = record("unconstrain", continuous)
        if not u or not all(np.all(np.isfinite(v)) for v in u.values()):
            continue
        for question in ("log_abs_det_jacobian", "potential", "potential_and_gradient"):
            record(question, u)
        starts.append((point, u))
    return starts


def _ask_moved(record: Record, points: list[Point], sites: Mapping[str, Site]) -> None:
    """The densities at other values of the params, if the model has any that can be moved."""
    if not record.program.params():
        return
    summed = any(site.enumerated for site in sites.values())
    for number, point in enumerate(where_moved(points)):
        if record("params", seed=number) is None:  # a constraint without a map
            return
        moved = moved_values(record.program, number)
        record("site_log_probs", point.values | moved)
        if summed:
            record(
                "log_density", {n: v for n, v in point.values.items() if not is_discrete(sites[n])} | moved
            )


def _lighter(site: Site) -> Site:
    params = {n: v for n, v in site.params.items() if np.size(v) <= MOST_PARAMETER_NUMBERS}
    value = site.value if site.kind == "deterministic" else None
    if value is not None and value.size > MOST_COMPUTED_NUMBERS:
        value = None
    bounds = {n: v for n, v in site.bounds.items() if np.size(v) <= MOST_PARAMETER_NUMBERS}
    return replace(site, value=value, params=params, bounds=bounds)


def _steps(walk: Walk, energy: np.ndarray) -> dict[str, Any]:
    mass = {} if walk.inverse_mass is None else {"inverse_mass": walk.inverse_mass}
    return {"step_size": walk.step, "num_steps": len(energy) - 1, **mass}


def _check_steady(name: str, program: Program, points: list[Point]) -> None:
    for point in points[:3]:
        first, second = (program.site_log_probs(point.values) for _ in range(2))
        for site, value in first.items():
            if not agree("self", np.nan_to_num(value), np.nan_to_num(second[site])):
                raise InputError(
                    f"{name}: a model that is frozen must be deterministic; the log prob of {site!r} changed from "
                    f"{np.sum(value):.6g} to {np.sum(second[site]):.6g} between two calls at {point.name}."
                )


def _check_finite(name: str, record: Record, points: list[Point]) -> None:
    log_probs = [record.answers[key_of("site_log_probs", point.values)] for point in points]
    if not any(
        "refused" not in row and np.isfinite(sum(np.sum(v) for v in row.values())) for row in log_probs
    ):
        raise InputError(
            f"{name}: a model that is frozen must have a finite log density somewhere; it has none."
        )


def _prior(
    name: str, record: Record, points: list[Point], sites: tuple[Site, ...], seed: int
) -> tuple[Arrays | None, str]:
    """As many prior draws as a check may ask for, if they are not too large; or why there are none."""
    size = batch_size(name, sites)
    numbers = max(1, sum(np.asarray(site.value).size for site in sites))
    batches = int(np.clip(MOST_PRIOR_NUMBERS // (numbers * size), 1, 2 ** (MOST_LOOKS - 1)))
    seeds = np.random.SeedSequence([seed, 11]).generate_state(batches)
    try:
        rows = [record.program.prior_samples(num_draws=size, seed=int(s)) for s in seeds]
    except InputError as error:
        # With no prior draws on either side, the data are drawn at the shared points.
        given = repeated([point.values for point in points], size)
        try:
            drawn = record.program.predictive_samples(given, seed=seed)
        except InputError as again:
            return None, str(again)
        record.keep(drawn, "predictive_samples", given)
        return None, str(error)
    return {n: np.concatenate([row[n] for row in rows]) for n in rows[0]}, ""


def _posterior(
    pair: Pair, name: str, side: Side, program: Program, settings: SamplerSettings
) -> tuple[Groups | None, str]:
    model, start, mass = pair.models[name], None, None
    if not isinstance(model, MixtureReference):
        if (scaled := scaled_starts(program, settings.num_chains, settings.seed)) is not None:
            start, mass, _ = scaled
            settings = replace(settings, adapt_mass=False)
    else:
        x = np.asarray(pair.data[name]["x"], dtype=np.float64)
        start, _ = kmeans_start(model.spec, x, settings.num_chains, settings.seed)
    try:
        groups, _ = side.sample_posterior(
            model,
            pair.data[name],
            settings,
            initial_values=start,
            inverse_mass=mass,
            max_plate_nesting=pair.max_plate_nesting,
        )
    except InputError as error:
        return None, str(error)
    return groups, ""


def _responsibilities(
    record: Record, side: Side, model: MixtureReference, data: Mapping[str, Any], points: list[Point]
) -> None:
    chosen = with_parameters(points)
    theta, beta = (np.stack([point.values[n] for point in chosen]) for n in ("theta", "beta"))
    x = np.asarray(data["x"], dtype=np.float64)
    record.keep(side.responsibilities(model.spec, theta, beta, x), "responsibilities", theta, beta)


def told(frozen: Frozen) -> dict[str, str]:
    """What a file holds, by topic, for a person."""
    rows = {
        "Frozen": f"the {frozen.side} side of {frozen.pair}: {len(frozen.sites)} sites at "
        f"{len(frozen.points)} points, {len(frozen.walks)} trajectories",
        "Prior": frozen.prior_refused,
        "Posterior": frozen.posterior_refused,
    }
    if frozen.guide is not None:
        of_bound = next((a for key, a in frozen.guide.answers.items() if key.startswith("elbo ")), {})
        estimates = f"{of_bound['bounds'].shape[1]:,} estimates" if "bounds" in of_bound else "no estimate"
        rows["Guide"] = (
            f"sites {listed(s.name for s in frozen.guide.sites)} at {len(frozen.guide.points)} points, {estimates} of "
            "the bound"
        )
    elif frozen.automatic:
        rows["Guide"] = f"{frozen.automatic['family']}, which the library makes of the model"
    if frozen.prior is not None:
        rows["Prior"] = f"{len(next(iter(frozen.prior.values()))):,} draws"
    if frozen.posterior is not None:
        posterior = frozen.posterior["posterior"]
        shapes = {site: value.shape[2:] for site, value in posterior.items() if value.dtype.kind == "f"}
        selection = select(shapes)
        found = converged(selection.columns(posterior, 2), frozen.posterior["sample_stats"].get("lp"))
        chains, draws = next(iter(posterior.values())).shape[:2]
        count = f"{chains} {'chain' if chains == 1 else 'chains'} of {draws:,} draws"
        said = convergence(frozen.side, found, selection.names(), count)
        rows["Posterior"] = said.detail
        if said.verdict != "same":
            rows["Posterior"] += (
                " A check against this file will leave posteriors unresolved: freeze it again, with more "
                "--num-draws or --num-warmup."
            )
    return rows
