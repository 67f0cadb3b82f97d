"""The mixture as its lab would write it, with z enumerated, and its samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from numpyro_impl import formulations
from numpyro_impl.assignments import compile_ahead
from numpyro_impl.program import Program
from numpyro_impl.runtime import NAME, as_rows, session, to_framework
from ppl_parity.backend.checks import check_spec, explain, mixture_data
from ppl_parity.backend.contract import Arrays, Model
from ppl_parity.backend.graphs import write_graph
from ppl_parity.errors import one_of
from ppl_parity.spec import FORMULATIONS, MixtureSpec


def textbook(spec: MixtureSpec) -> Model:
    """The generative process, line for line; z is summed out wherever a density is asked for."""

    def model(x: Any = None, num_data: Any = None):
        K, D = spec.num_components, spec.dim
        x = as_rows(spec, x)
        N = num_data if x is None else len(x)
        noise_cov = spec.noise_scale**2 * jnp.eye(D)
        theta = numpyro.sample("theta", dist.Dirichlet(to_framework(spec.concentration)))
        with numpyro.plate("components", K):
            prior = dist.MultivariateNormal(to_framework(spec.prior_mean), to_framework(spec.prior_cov))
            beta = numpyro.sample("beta", prior)
        with numpyro.plate("data", N):
            z = numpyro.sample("z", dist.CategoricalProbs(theta), infer={"enumerate": "parallel"})
            numpyro.sample("x", dist.MultivariateNormal(beta[z], noise_cov), obs=x)  # type: ignore[index]

    return model


def mixture(spec: MixtureSpec, formulation: str = "enumerated") -> Model:
    """See ``contract.Backend.mixture``."""
    check_spec(NAME, spec)
    one_of("formulation", formulation, FORMULATIONS)
    write = {"enumerated": textbook, "marginal": formulations.marginal, "fused": formulations.fused}
    model = write[formulation](spec)
    model.identity = json.dumps([formulation, spec.as_dict()])
    model.prepared = partial(mixture_data, NAME, spec)
    model.compile_ahead = partial(compile_ahead, spec)
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
    with session(), explain(NAME, "the model cannot be drawn as a graph"):
        graph = numpyro.render_model(model, model_kwargs=to_framework(dict(data)), render_distributions=True)
    return write_graph(graph, path)
