"""Poisson regression of counts with an exposure and a varying intercept for each group."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(group, exposure, x, y):
    mu = pyro.sample("mu", pdist.Normal(0.0, 1.0))
    tau = pyro.sample("tau", pdist.Exponential(2.0))
    slope = pyro.sample("slope", pdist.Normal(0.0, 0.5))
    with pyro.plate("groups", 4):
        intercept = pyro.sample("intercept", pdist.Normal(mu, tau))
    with pyro.plate("rows", len(y)):
        rate = exposure * torch.exp(intercept[group] + slope * x)
        pyro.sample("y", pdist.Poisson(rate), obs=y)


def numpyro_model(group, exposure, x, y):
    mu = numpyro.sample("mu", ndist.Normal(0.0, 1.0))
    tau = numpyro.sample("tau", ndist.Exponential(2.0))
    slope = numpyro.sample("slope", ndist.Normal(0.0, 0.5))
    with numpyro.plate("groups", 4):
        intercept = numpyro.sample("intercept", ndist.Normal(mu, tau))
    with numpyro.plate("rows", len(y)):
        rate = exposure * jnp.exp(intercept[group] + slope * x)
        numpyro.sample("y", ndist.Poisson(rate), obs=y)


def data():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(4), 6)
    exposure, x = rng.uniform(1, 4, size=24).round(2), rng.normal(size=24)
    rate = exposure * np.exp(np.array([0.2, 0.9, -0.4, 0.5])[group] + 0.3 * x)
    return {"group": group, "exposure": exposure, "x": x, "y": rng.poisson(rate).astype(float)}
