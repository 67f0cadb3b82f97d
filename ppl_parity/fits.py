"""Fit the mixture on one side: a good start, NUTS, and everything about z that follows afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_parity.completion import complete
from ppl_parity.contract import Groups, Values
from ppl_parity.data import Dataset
from ppl_parity.posterior import to_datatree
from ppl_parity.references import MixtureReference
from ppl_parity.sides import Side
from ppl_parity.spec import MixtureSpec, SamplerSettings
from ppl_parity.starts import kmeans_start
from ppl_parity.statistics.labels import apply, relabel

if TYPE_CHECKING:
    from xarray import DataTree

DIMS = {
    "theta": ["component"],
    "beta": ["component", "dim"],
    "z": ["row"],
    "x": ["row", "dim"],
    "log_likelihood/x": ["row"],
    "responsibilities": ["row", "component"],
}

LARGEST_PER_ROW = 20_000_000  # numbers: draws x rows beyond which nothing of that size is kept unasked


def fit_mixture(
    side: Side,
    spec: MixtureSpec,
    data: Dataset,
    settings: SamplerSettings,
    *,
    formulation: str = "fused",
    initial_values: Values | None = None,
    log_likelihood: bool | None = None,
    assignments: bool | None = None,
    posterior_predictive: bool = False,
    progress: bool = False,
) -> DataTree:
    """Fit the mixture by NUTS, then recover z from the responsibilities.

    Args:
        side: the backend's process.
        spec: the hyperparameters; data: what they are fitted to.
        settings: of the sampler; ``init="kmeans"`` starts each chain from its own k-means++.
        formulation: which density NUTS uses; what is added afterwards does not depend on it.
        initial_values: explicit starts, theta (C, K) and beta (C, K, D); they replace ``settings.init``.
        log_likelihood: keep log p(x_i | theta, beta) for every draw; None keeps it unless it is large.
        assignments: keep exact draws of z, and the mean responsibilities; None likewise.
        posterior_predictive: keep one replicate of x for every draw.
        progress: show the sampler's progress bar.

    Returns:
        a DataTree with raw (not relabelled) draws; the mean responsibilities in ``assignments`` are those of
        relabelled draws, since a mean over raw ones would mix components.
    """
    num_draws = settings.num_chains * settings.num_draws
    small = num_draws * data.num_data <= LARGEST_PER_ROW
    start = "explicit values" if initial_values is not None else f"the framework's {settings.init} strategy"
    if initial_values is None and settings.init == "kmeans":
        initial_values, start = kmeans_start(spec, data.x, settings.num_chains, settings.seed)
    groups, attributes = side.sample_posterior(
        MixtureReference(spec, formulation),
        {"x": data.x},
        settings,
        initial_values=initial_values,
        progress=progress,
    )
    posterior = groups["posterior"]
    program = side.program(
        MixtureReference(spec, "marginal"),
        {"x": data.x},
        precision=settings.precision,
        device=settings.device,
    )
    groups = complete(
        program,
        groups,
        {"x": np.asarray(data.x)},
        seed=settings.seed,
        log_likelihood=small if log_likelihood is None else log_likelihood,
        posterior_predictive=posterior_predictive,
    )
    if small if assignments is None else assignments:
        groups = _with_assignments(side, spec, data.x, settings, groups)
    left_out = [] if small else ["what has a number for each draw and row, unless asked for"]
    attributes |= {
        "spec": json.dumps(spec.as_dict()),
        "data": json.dumps(data.summary()),
        "formulation": formulation,
        "start": start,
        "left_out": json.dumps(left_out),
        "label_switching": "draws are raw; summaries relabel them",
    }
    groups["posterior"] = {
        name: groups["posterior"][name] for name in (*posterior, "z") if name in groups["posterior"]
    }
    return to_datatree(groups, attributes, dims=DIMS)


def _with_assignments(
    side: Side, spec: MixtureSpec, x: np.ndarray, settings: SamplerSettings, groups: Groups
) -> Groups:
    theta, beta = groups["posterior"]["theta"], groups["posterior"]["beta"]
    shape = theta.shape[:2]
    options: dict[str, Any] = {"precision": settings.precision, "device": settings.device}
    z = side.sample_assignments(spec, *_flat(theta, beta), x, seed=settings.seed, **options)
    # The draws' own size would be eight times this one's.
    z = z.reshape(*shape, len(x)).astype(np.int16)
    named = relabel(theta, beta, lp=groups["sample_stats"]["lp"])
    relabelled = _flat(apply(named, theta), apply(named, beta))
    mean = side.responsibilities(spec, *relabelled, x, **options)
    return groups | {
        "posterior": groups["posterior"] | {"z": z},
        "assignments": {"responsibilities": mean},
    }


def _flat(theta: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return theta.reshape(-1, *theta.shape[2:]), beta.reshape(-1, *beta.shape[2:])
