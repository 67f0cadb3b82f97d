"""What both samplers do around NUTS itself: where chains start, and what is made of their draws."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl_parity.backend.axes import plate_dims
from ppl_parity.backend.completion import complete, observed_values
from ppl_parity.backend.contract import Arrays, Groups, Program, Values
from ppl_parity.errors import InputError
from ppl_parity.spec import SamplerSettings

# The search for a step size that no warmup will adapt, which both libraries have: doubled, or halved, until one step
# is refused, or accepted. From a small one it ends at the first that is refused, at which a chain is stuck; from a
# wide one at the first that is accepted, which in one of ten is by chance. So half of the least of some is taken.
WIDEST_STEP, NUM_SEARCHES = 1024.0, 4

LARGEST_PER_ROW = 20_000_000  # numbers: draws x rows beyond which nothing of that size is kept unasked


def starting_points(
    program: Program, settings: SamplerSettings, initial_values: Values | None, continuous: list[str]
) -> Arrays:
    """Unconstrained starting points, (num_chains, ...) a site: the given ones, or by strategy.

    Raises:
        InputError: the strategy is one of the mixture's, or values are not given for every chain.
    """
    if initial_values is None:
        if settings.init in ("mode", "kmeans"):
            raise InputError(
                f"The start {settings.init!r} belongs to the mixture, and to fit_mixture, which computes its values; "
                "any other model starts by uniform, by prior, or from initial_values."
            )
        return program.initial(settings.init, num_chains=settings.num_chains, seed=settings.seed)
    for name, value in initial_values.items():
        if np.shape(value)[:1] != (settings.num_chains,):
            raise InputError(
                f"Starting values of {name!r} must be given for {settings.num_chains} chains, along their first "
                f"axis; got shape {np.shape(value)}."
            )
    chains = [
        program.unconstrain({name: np.asarray(value)[chain] for name, value in initial_values.items()})
        for chain in range(settings.num_chains)
    ]
    return {name: _within(program, name, [point[name] for point in chains]) for name in continuous}


def _within(program: Program, name: str, chains: list[np.ndarray]) -> np.ndarray:
    """One site's starts, if each is a point: outside its support a transform gives NaN or an infinity, without a word.

    A chain that begins there never leaves, and all of its draws are NaN.
    """
    for chain, value in enumerate(chains):
        if not np.all(np.isfinite(value)):
            support = next(site.support for site in program.sites() if site.name == name)
            raise InputError(
                f"Every starting value of {name!r} must lie inside its support, {support}; that of chain {chain} does "
                "not."
            )
    return np.stack(chains)


def checked_inverse_mass(backend: str, inverse_mass: Any, position: Values) -> np.ndarray | None:
    """The given inverse mass, (P,) or (P, P), for the P unconstrained numbers of one chain; None as it is.

    Raises:
        InputError: its shape is another one, or it is not symmetric positive definite.
    """
    if inverse_mass is None:
        return None
    try:
        given = np.asarray(inverse_mass, dtype=np.float64)
    except (TypeError, ValueError):
        kind = type(inverse_mass).__name__
        raise InputError(f"{backend}: the inverse mass must be an array of numbers; got {kind}.") from None
    size = sum(int(np.prod(np.shape(value)[1:])) for value in position.values())
    if given.shape not in ((size,), (size, size)):
        raise InputError(
            f"{backend}: the inverse mass must have shape ({size},) or ({size}, {size}), for as many "
            f"unconstrained numbers; got {given.shape}."
        )
    if not _is_covariance(given):
        raise InputError(f"{backend}: the inverse mass must be symmetric and positive definite.")
    return given


def _is_covariance(given: np.ndarray) -> bool:
    """Whether variances are positive and correlations those of a positive definite matrix, whatever the units."""
    variances = given if given.ndim == 1 else np.diagonal(given)
    if not (np.all(np.isfinite(given)) and np.all(variances > 0)):
        return False
    if given.ndim == 1:
        return True
    sd = np.sqrt(variances)
    correlations = given / sd / sd[:, None]
    symmetric = np.allclose(correlations, correlations.T, rtol=0, atol=1e-8)
    return bool(symmetric and np.min(np.linalg.eigvalsh(correlations)) > 0)


def by_chain(flat: Values, settings: SamplerSettings) -> Arrays:
    """(chains x draws, ...) as (chains, draws, ...)."""
    shape = (settings.num_chains, settings.num_draws)
    return {name: value.reshape(*shape, *value.shape[1:]) for name, value in flat.items()}


def flattened(draws: Values) -> Arrays:
    """(chains, draws, ...) as (chains x draws, ...)."""
    return {
        name: value.reshape(math.prod(value.shape[:2]), *value.shape[2:]) for name, value in draws.items()
    }


def run_attributes(
    settings: SamplerSettings, initial_values: Values | None, versions: Mapping[str, str], **run: Any
) -> dict[str, Any]:
    """What lets a run be repeated; ``run`` is what only the backend knows of it."""
    explicit = initial_values is not None and settings.init not in ("mode", "kmeans")
    return {
        "versions": json.dumps(dict(versions)),
        "settings": json.dumps(settings.as_dict() | ({"init": "explicit"} if explicit else {})),
        "precision": settings.precision,
        "device": settings.device,
        **run,
    }


def check_extras(settings: SamplerSettings, **asked: bool) -> None:
    """Refuse, before sampling, what cannot be added afterwards.

    Raises:
        InputError: a number for each row is asked for, and rows are spread over devices.
    """
    names = [name for name, wanted in asked.items() if wanted]
    if settings.num_shards > 1 and names:
        raise InputError(
            f"{' and '.join(names)} cannot be added where rows are spread over devices (num_shards = "
            f"{settings.num_shards}); compute them from the draws on a part of the rows."
        )


def fitted(
    program: Program,
    sampled: tuple[Groups, dict[str, Any]],
    settings: SamplerSettings,
    *,
    log_likelihood: bool,
    posterior_predictive: bool,
) -> Any:
    """What was sampled, completed, as a DataTree."""
    from ppl_parity.draws.posterior import to_datatree  # ArviZ is slow to import, seldom needed

    groups, attributes = sampled
    if settings.num_shards > 1:  # no process has all the rows, so none can say what was observed
        return to_datatree(groups, attributes)
    if summed := program.of_discrete():  # of a discrete site there are no draws
        attributes["left_out"] = json.dumps(
            [f"{name}: it moves with a site that is summed out" for name in summed]
        )
    groups = complete(
        program,
        groups,
        observed_values(program),
        seed=settings.seed,
        log_likelihood=log_likelihood,
        posterior_predictive=posterior_predictive,
    )
    return to_datatree(groups, attributes, dims=plate_dims(program.sites(), groups))
