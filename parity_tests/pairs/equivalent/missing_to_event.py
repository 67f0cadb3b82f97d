"""A ``to_event`` that the port has lost; without enumeration or a guide it changes no number."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    slope = pyro.sample("slope", pdist.Normal(torch.zeros(2), 2.0).to_event(1))
    sigma = pyro.sample("sigma", pdist.HalfNormal(1.0))
    pyro.sample("y", pdist.Normal(x @ slope, sigma).to_event(1), obs=y)


def numpyro_model(x, y):
    slope = numpyro.sample("slope", ndist.Normal(jnp.zeros(2), 2.0))
    sigma = numpyro.sample("sigma", ndist.HalfNormal(1.0))
    numpyro.sample("y", ndist.Normal(x @ slope, sigma), obs=y)


def data():
    rng = np.random.default_rng(20)
    x = rng.normal(size=(12, 2))
    return {"x": x, "y": x @ np.array([0.5, 1.0]) + 0.3 * rng.normal(size=12)}
