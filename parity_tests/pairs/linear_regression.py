"""Linear regression: a matrix of predictors, one scale, one plate."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    intercept = pyro.sample("intercept", pdist.Normal(0.0, 5.0))
    slope = pyro.sample("slope", pdist.Normal(torch.zeros(x.shape[1]), 2.0).to_event(1))
    sigma = pyro.sample("sigma", pdist.HalfNormal(2.0))
    with pyro.plate("rows", x.shape[0]):
        pyro.sample("y", pdist.Normal(intercept + x @ slope, sigma), obs=y)


def numpyro_model(x, y):
    intercept = numpyro.sample("intercept", ndist.Normal(0.0, 5.0))
    slope = numpyro.sample("slope", ndist.Normal(jnp.zeros(x.shape[1]), 2.0).to_event(1))
    sigma = numpyro.sample("sigma", ndist.HalfNormal(2.0))
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", ndist.Normal(intercept + x @ slope, sigma), obs=y)


def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 2))
    return {"x": x, "y": 1.0 + x @ np.array([0.7, -1.2]) + 0.5 * rng.normal(size=20)}
