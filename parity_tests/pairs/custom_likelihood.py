"""A likelihood written by hand in a ``factor``: exponential waiting times, some of them cut short."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, time, ended):
    level = pyro.sample("level", pdist.Normal(0.0, 2.0))
    slope = pyro.sample("slope", pdist.Normal(0.0, 1.0))
    log_rate = level + slope * x
    pyro.factor("log_likelihood", torch.sum(ended * log_rate - torch.exp(log_rate) * time))


def numpyro_model(x, time, ended):
    level = numpyro.sample("level", ndist.Normal(0.0, 2.0))
    slope = numpyro.sample("slope", ndist.Normal(0.0, 1.0))
    log_rate = level + slope * x
    numpyro.factor("log_likelihood", jnp.sum(ended * log_rate - jnp.exp(log_rate) * time))


def data():
    rng = np.random.default_rng(10)
    x = rng.normal(size=25)
    time = rng.exponential(np.exp(-(0.3 + 0.6 * x)))
    return {"x": x, "time": np.minimum(time, 1.5), "ended": (time < 1.5).astype(float)}
