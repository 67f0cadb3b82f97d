"""Overdispersed counts by a gamma-Poisson; NumPyro's density of it is exact to 1e-6 only."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    level = pyro.sample("level", pdist.Normal(1.0, 1.0))
    slope = pyro.sample("slope", pdist.Normal(0.0, 0.5))
    shape = pyro.sample("shape", pdist.Gamma(4.0, 1.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.GammaPoisson(shape, shape / torch.exp(level + slope * x)), obs=y)


def numpyro_model(x, y):
    level = numpyro.sample("level", ndist.Normal(1.0, 1.0))
    slope = numpyro.sample("slope", ndist.Normal(0.0, 0.5))
    shape = numpyro.sample("shape", ndist.Gamma(4.0, 1.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.GammaPoisson(shape, shape / jnp.exp(level + slope * x)), obs=y)


def data():
    rng = np.random.default_rng(13)
    x = rng.normal(size=25)
    rate = rng.gamma(3.0, np.exp(1.3 + 0.4 * x) / 3.0)
    return {"x": x, "y": rng.poisson(rate).astype(float)}
