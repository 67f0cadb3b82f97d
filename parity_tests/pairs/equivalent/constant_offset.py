"""A likelihood by hand whose port leaves out the terms that do not move with the parameters."""

import math

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(y):
    mu = pyro.sample("mu", pdist.Normal(0.0, 3.0))
    sigma = pyro.sample("sigma", pdist.HalfNormal(2.0))
    log_density = -0.5 * ((y - mu) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
    pyro.factor("log_likelihood", log_density.sum())


def numpyro_model(y):
    mu = numpyro.sample("mu", ndist.Normal(0.0, 3.0))
    sigma = numpyro.sample("sigma", ndist.HalfNormal(2.0))
    log_kernel = -0.5 * ((y - mu) / sigma) ** 2 - jnp.log(sigma)
    numpyro.factor("log_likelihood", log_kernel.sum())


def data():
    return {"y": np.array([1.3, 0.2, 2.1, 1.8, 0.9, 1.4, 0.4, 1.1])}
