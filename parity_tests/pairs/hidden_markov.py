"""A hidden Markov model of three states, its states summed out."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch
from numpyro.contrib.funsor import markov

EXPECTED = "same"


def pyro_model(y):
    with pyro.plate("states", 3):
        transition = pyro.sample("transition", pdist.Dirichlet(torch.ones(3)))
        level = pyro.sample("level", pdist.Normal(torch.tensor([-2.0, 0.0, 2.0]), 0.5))
    sigma = pyro.sample("sigma", pdist.HalfNormal(1.0))
    state = 0
    for t in pyro.markov(range(len(y))):
        state = pyro.sample(f"z_{t}", pdist.Categorical(transition[state]), infer={"enumerate": "parallel"})
        pyro.sample(f"y_{t}", pdist.Normal(level[state], sigma), obs=y[t])


def numpyro_model(y):
    with numpyro.plate("states", 3):
        transition = numpyro.sample("transition", ndist.Dirichlet(jnp.ones(3)))
        level = numpyro.sample("level", ndist.Normal(jnp.array([-2.0, 0.0, 2.0]), 0.5))
    sigma = numpyro.sample("sigma", ndist.HalfNormal(1.0))
    state = 0
    for t in markov(range(len(y))):
        state = numpyro.sample(
            f"z_{t}", ndist.Categorical(transition[state]), infer={"enumerate": "parallel"}
        )
        numpyro.sample(f"y_{t}", ndist.Normal(level[state], sigma), obs=y[t])


def data():
    return {"y": np.array([-1.9, -2.3, -0.2, 0.4, 2.2, 1.7])}
