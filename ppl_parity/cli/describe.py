"""Data, model, sampler and run, each in a line of plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_parity.draws.posterior import attribute
from ppl_parity.fitting.rounding import rounding_warning
from ppl_parity.spec import MixtureSpec
from ppl_parity.words import counted

if TYPE_CHECKING:
    from xarray import DataTree

    from ppl_parity.cli.job import Job
    from ppl_parity.data import Dataset

MANY = 6  # columns or entries beyond which a line stops naming them


def of_job(job: Job, backends: str) -> dict[str, str]:
    """What is about to be done, by topic."""
    warnings = [rounding_warning(job.spec, job.data.num_data, job.settings, job.formulation), _many(job)]
    told = [warning for warning in warnings if warning is not None]
    return {
        "Data": of_data(job.data),
        "Model": of_model(job.spec) + of_drawn(job),
        "Sampler": of_sampler(job, backends),
        **({"Warning": " ".join(told)} if told else {}),
    }


def _many(job: Job) -> str | None:
    """More components than rows: nothing is wrong with the posterior, but most of it is the prior."""
    K, N = job.spec.num_components, job.data.num_data
    return (
        f"{K} components are more than the {N} row{'s' * (N > 1)}: those without rows are the prior's."
        if K > N
        else None
    )


def of_data(data: Dataset) -> str:
    """Name, size, columns, and whether they are in their own units."""
    columns = ", ".join(data.columns[:MANY]) + (", ..." if data.dim > MANY else "")
    units = "each column standardised to mean 0 and sd 1" if data.transform else "in their own units"
    return f"{data.name}: N = {data.num_data}, D = {data.dim} ({columns}), {units}"


def of_model(spec: MixtureSpec) -> str:
    """The hyperparameters."""
    return (
        f"K = {spec.num_components} components; theta ~ Dirichlet({_vector(spec.concentration)}); "
        f"beta ~ Normal({_vector(spec.prior_mean)}, {_covariance(spec.prior_cov)}); "
        f"noise scale {spec.noise_scale:g}"
    )


def of_drawn(job: Job) -> str:
    """Whether samples of the mixture are fitted with the hyperparameters that they were drawn with."""
    data, spec = job.data, job.spec
    if not data.truth:
        return ""
    drawn, asked = data.spec().as_dict(), spec.as_dict()
    others = [name for name in drawn if drawn[name] != asked[name]]
    if not others:
        return f" (as {data.name} was drawn)"
    if "num_components" in others:  # of which the number of concentrations follows
        others = [f"K = {drawn['num_components']}"] + [name for name in others[1:] if name != "concentration"]
    return f" ({data.name} was drawn otherwise: {', '.join(others).replace('_', ' ')})"


def of_sampler(job: Job, backends: str) -> str:
    """What was asked of NUTS."""
    settings = job.settings
    shortened = job.short_warmup and settings.init == "mode"
    warmup = f"at most {settings.num_warmup}" if shortened else settings.num_warmup
    return (
        f"NUTS in {backends}; {counted(settings.num_chains, 'chain')} of {warmup} warmup + "
        f"{counted(settings.num_draws, 'draw')}; {job.formulation} formulation, "
        f"{settings.precision} on {settings.device}, seed {settings.seed}"
    )


def of_run(tree: DataTree) -> str:
    """What the backend then did: how the chains ran, where they started, how long they took."""
    seconds = float(attribute(tree, "sampling_seconds"))
    method, reason = attribute(tree, "chain_method"), attribute(tree, "chain_method_reason")
    settings, kernel = attribute(tree, "settings"), attribute(tree, "kernel")
    orbits = {"half": "half an orbit", "three quarters": "three quarters of an orbit"}
    orbit = f" (trajectories of {orbits[part]})" if (part := settings.get("orbit")) in orbits else ""
    target = settings["target_accept"]
    shown = f"{target:.2g}" if target < 0.99 else f"{target:g}"
    warmup = f"{settings['num_warmup']} warmup iterations to acceptance {shown}{orbit}"
    left_out = " and ".join(attribute(tree, "left_out") or ()).replace("_", " ")
    without = f"; left out of the file, for it is large or as asked: {left_out}" if left_out else ""
    return (
        f"chains {method} ({reason}), from {attribute(tree, 'start')}; {warmup}; density by {kernel}; "
        f"sampling took {seconds:.1f} s{without}"
    )


def of_run_json(tree: DataTree) -> dict[str, Any]:
    """The same, for JSON."""
    names = ("backend", "formulation", "kernel", "potential", "potential_reason", "start")
    more = ("chain_method", "chain_method_reason", "sampling_seconds", "left_out")
    return {name: attribute(tree, name) for name in (*names, *more)}


def _vector(values: np.ndarray) -> str:
    if np.all(values == values[0]):
        return f"{values[0]:g}"
    shown = ", ".join(f"{value:g}" for value in values[:MANY])
    return f"[{shown}{', ...' if len(values) > MANY else ''}]"


def _covariance(matrix: np.ndarray) -> str:
    diagonal = np.diag(matrix)
    if not np.array_equal(matrix, np.diag(diagonal)):
        return "a full covariance matrix"
    if np.all(diagonal == diagonal[0]):
        return "I" if diagonal[0] == 1 else f"{diagonal[0]:g} I"
    return f"diag{_vector(diagonal)}"
