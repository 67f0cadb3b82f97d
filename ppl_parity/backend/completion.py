"""What a fit offers beside its draws: observed data, log likelihood, posterior predictive replicates."""

from __future__ import annotations

import numpy as np

from ppl_parity.backend.contract import Arrays, Groups, Program


def complete(
    program: Program,
    groups: Groups,
    observed: Arrays,
    *,
    seed: int,
    log_likelihood: bool,
    posterior_predictive: bool,
) -> Groups:
    """Add ``observed_data``, and on request ``log_likelihood`` and ``posterior_predictive``.

    Args:
        program: of the model that was fitted, or of another formulation of it.
        groups: with a ``posterior``, each variable (chain, draw, ...).
        observed: observed site -> its data.
        seed: of the replicates.

    Raises:
        InputError: a log likelihood is asked of a model that sums sites out.
    """
    groups = dict(groups) | {"observed_data": observed}
    posterior = groups["posterior"]
    shape = next(iter(posterior.values())).shape[:2]
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in posterior.items()}
    latent = {site.name for site in program.sites() if site.kind == "latent"}
    flat = {name: value for name, value in flat.items() if name in latent}
    if log_likelihood:
        groups["log_likelihood"] = _by_chain(program.log_likelihood(flat), shape)
    if posterior_predictive:
        groups["posterior_predictive"] = _by_chain(program.predictive_samples(flat, seed=seed), shape)
    return groups


def observed_values(program: Program) -> Arrays:
    """Observed site -> its data, as the model itself sees them."""
    return {
        site.name: np.asarray(site.value)
        for site in program.sites()
        if site.kind == "observed" and site.value is not None
    }


def _by_chain(flat: Arrays, shape: tuple[int, ...]) -> Arrays:
    return {name: value.reshape(*shape, *value.shape[1:]) for name, value in flat.items()}
