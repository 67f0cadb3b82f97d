"""The mixture as its lab would write it, with z enumerated, and its samples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import torch

from ppl_parity.backend.checks import check_spec, explain, mixture_data
from ppl_parity.backend.contract import Arrays, Model
from ppl_parity.backend.graphs import write_graph
from ppl_parity.errors import one_of
from ppl_parity.spec import FORMULATIONS, MixtureSpec
from pyro_impl import formulations
from pyro_impl.program import Program
from pyro_impl.runtime import NAME, as_rows, seed_to_rng, session, to_framework


def textbook(spec: MixtureSpec) -> Model:
    """The generative process, line for line; z is summed out wherever a density is asked for."""

    def model(x: Any = None, num_data: Any = None):
        K, D = spec.num_components, spec.dim
        x = as_rows(spec, x)
        N = num_data if x is None else len(x)
        noise_cov = spec.noise_scale**2 * torch.eye(D)
        theta = pyro.sample("theta", dist.Dirichlet(to_framework(spec.concentration)))
        with pyro.plate("components", K):
            prior = dist.MultivariateNormal(to_framework(spec.prior_mean), to_framework(spec.prior_cov))
            beta = pyro.sample("beta", prior)
        with pyro.plate("data", N):
            z = pyro.sample("z", dist.Categorical(theta), infer={"enumerate": "parallel"})
            pyro.sample("x", dist.MultivariateNormal(beta[z], noise_cov), obs=x)

    return model


def mixture(spec: MixtureSpec, formulation: str = "enumerated") -> Model:
    """See ``contract.Backend.mixture``."""
    check_spec(NAME, spec)
    one_of("formulation", formulation, FORMULATIONS)
    write = {"enumerated": textbook, "marginal": formulations.marginal, "fused": formulations.fused}
    model = write[formulation](spec)
    model.prepared = partial(mixture_data, NAME, spec)
    return model


def sample_mixture(
    spec: MixtureSpec,
    num_data: int,
    *,
    num_draws: int = 1,
    seed: int = 0,
    precision: str = "float64",
    device: str = "cpu",
) -> Arrays:
    """See ``contract.Backend.sample_mixture``."""
    check_spec(NAME, spec)
    program = Program(textbook(spec), {"num_data": num_data}, precision=precision, device=device)
    samples = program.prior_samples(num_draws=num_draws, seed=seed)
    return {
        "theta": samples["theta"],
        "beta": samples["beta"],
        "z": samples["z"].astype(np.int64),
        "x": samples["x"],
    }


def render(model: Model, data: Mapping[str, Any], path: str | Path) -> Path:
    """See ``contract.Backend.render``."""
    with session(), seed_to_rng(0), explain(NAME, "the model cannot be drawn as a graph"):
        graph = pyro.render_model(model, model_kwargs=to_framework(dict(data)), render_distributions=True)
    return write_graph(graph, path)
