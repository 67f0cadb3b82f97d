"""A regression that standardises its predictor inside the model, with derived quantities as sites."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    x_std = (x - torch.mean(x)) / torch.std(x, correction=0)
    level = pyro.sample("level", pdist.Normal(2.0, 3.0))
    slope = pyro.sample("slope", pdist.Normal(0.0, 1.0))
    log_sigma = pyro.sample("log_sigma", pdist.Normal(0.0, 1.0))
    sigma = pyro.deterministic("sigma", torch.exp(log_sigma))
    pyro.deterministic("slope_raw", slope / torch.std(x, correction=0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Normal(level + slope * x_std, sigma), obs=y)


def numpyro_model(x, y):
    x_std = (x - jnp.mean(x)) / jnp.std(x, ddof=0)
    level = numpyro.sample("level", ndist.Normal(2.0, 3.0))
    slope = numpyro.sample("slope", ndist.Normal(0.0, 1.0))
    log_sigma = numpyro.sample("log_sigma", ndist.Normal(0.0, 1.0))
    sigma = numpyro.deterministic("sigma", jnp.exp(log_sigma))
    numpyro.deterministic("slope_raw", slope / jnp.std(x, ddof=0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Normal(level + slope * x_std, sigma), obs=y)


def data():
    rng = np.random.default_rng(16)
    x = rng.uniform(10.0, 40.0, size=20)
    return {"x": x, "y": 2.0 + 0.1 * (x - 25.0) + 0.8 * rng.normal(size=20)}
