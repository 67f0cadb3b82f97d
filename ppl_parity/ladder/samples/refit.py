"""Fit simulated data: put them where the real data stand, and run NUTS on them once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.samples.sampling import patience, sampled_model
from ppl_parity.spec import SamplerSettings


def replaceable(context: Context, side: str) -> dict[str, str]:
    """observed site (Pyro's names) -> the argument of ``data`` that holds its values.

    Raises:
        InputError: an observed site's values are no argument's, or several arguments'.
    """
    found: dict[str, str] = {}
    for name, site in context.sites[side].items():
        if site.kind != "observed":
            continue
        holders = [key for key, value in context.pair.data[side].items() if _same(value, site.value)]
        if len(holders) != 1 or holders[0] in found.values():
            what = "no argument is" if not holders else f"{', '.join(holders)} are or hold"
            raise InputError(
                f"Simulated data must go where the data of {name!r} stand; in {side} {what} exactly its values."
            )
        found[name] = holders[0]
    if not found:
        raise InputError(f"Simulation-based calibration needs observed data; {side} has no observed site.")
    return found


def with_data(context: Context, side: str, simulated: Arrays) -> dict[str, Any]:
    """``side``'s data with one simulated value for each observed site, in the dtype of the real one.

    Whole numbers that happen to be the data of a continuous site are no reason to round what is simulated.
    """
    data = dict(context.pair.data[side])
    for name, key in replaceable(context, side).items():
        real = np.asarray(data[key])
        whole = real.dtype.kind in "biu" and not is_discrete(context.sites[side][name])
        dtype = np.float64 if whole else real.dtype
        data[key] = np.asarray(simulated[name]).reshape(real.shape).astype(dtype)
    return data


def fit_once(
    context: Context, side: str, data: dict[str, Any], settings: SamplerSettings, start: Arrays | None
) -> Arrays:
    """NUTS on ``side``'s model, or on what stands in for it, with other data than the pair's.

    Args:
        data: the model's keyword arguments.
        start: one starting point, latent site -> value (Pyro's names), for every chain; None takes
            ``settings.init``.

    Returns:
        site (Pyro's names) -> (C, S, ...).
    """
    initial = None
    if start is not None:
        latent = [n for n, s in context.sites[side].items() if s.kind == "latent" and not is_discrete(s)]
        one = context.pair.to_side(side, {name: np.asarray(start[name]) for name in latent})
        initial = {name: np.stack([value] * settings.num_chains) for name, value in one.items()}
    groups, _ = context.sides[side].sample_posterior(
        sampled_model(context, side),
        data,
        settings,
        initial_values=initial,
        max_plate_nesting=context.pair.max_plate_nesting,
        timeout=patience(context),
    )
    return context.pair.from_side(side, groups["posterior"])


def log_likelihood(context: Context, side: str, data: dict[str, Any], draws: Arrays) -> np.ndarray:
    """log p(data | y) by ``side``'s model, or log p(y, data) where discrete sites are summed out: (S,).

    Either changes with the likelihood, which no rank of a parameter alone does: a posterior that is the
    prior has uniform ranks.

    Args:
        draws: latent site (Pyro's names) -> (S, ...).
    """
    latent = [n for n, s in context.sites[side].items() if s.kind == "latent" and not is_discrete(s)]
    given = context.pair.to_side(side, {name: np.asarray(draws[name]) for name in latent})
    program = context.sides[side].program(
        context.pair.models[side], data, max_plate_nesting=context.pair.max_plate_nesting
    )
    if not any(is_discrete(s) for s in context.sites[side].values() if s.kind == "latent"):
        rows = program.log_likelihood(given)
        return np.sum([value.reshape(len(value), -1).sum(axis=1) for value in rows.values()], axis=0)
    count = len(next(iter(given.values())))
    return np.array([program.log_density({n: v[i] for n, v in given.items()}) for i in range(count)])


def _same(value: Any, observed: np.ndarray | None) -> bool:
    if observed is None or not isinstance(value, np.ndarray | list | tuple | int | float):
        return False
    value, observed = np.asarray(value), np.asarray(observed)
    if value.shape != observed.shape or value.dtype.kind not in "biuf":
        return False
    return bool(np.allclose(value, observed, rtol=1e-6, atol=0.0, equal_nan=True))
