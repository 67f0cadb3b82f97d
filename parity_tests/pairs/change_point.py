"""Disasters a year with one change of their rate, its year summed out."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(year, y):
    early = pyro.sample("early", pdist.Gamma(3.0, 1.0))
    late = pyro.sample("late", pdist.Exponential(1.0))
    change = pyro.sample("change", pdist.Categorical(torch.ones(4) / 4), infer={"enumerate": "parallel"})
    for t in range(len(y)):
        rate = torch.where(change > year[t], early, late)
        pyro.sample(f"y_{t}", pdist.Poisson(rate), obs=y[t])


def numpyro_model(year, y):
    early = numpyro.sample("early", ndist.Gamma(3.0, 1.0))
    late = numpyro.sample("late", ndist.Exponential(1.0))
    change = numpyro.sample("change", ndist.Categorical(jnp.ones(4) / 4), infer={"enumerate": "parallel"})
    for t in range(len(y)):
        rate = jnp.where(change > year[t], early, late)
        numpyro.sample(f"y_{t}", ndist.Poisson(rate), obs=y[t])


def data():
    return {"year": np.arange(5), "y": np.array([4.0, 3.0, 1.0, 0.0, 1.0])}
