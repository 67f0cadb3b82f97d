"""A hidden Markov chain, summed out in a loop with a site a step and in a scan."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch
from numpyro.contrib.control_flow import scan

EXPECTED = "same"
START = [0.2, 0.8]
TRANSITION = [[0.9, 0.1], [0.3, 0.7]]


def pyro_model(y):
    level = pyro.sample("level", pdist.Normal(torch.tensor([-1.0, 1.0]), 1.0).to_event(1))
    transition, chance = torch.tensor(TRANSITION), torch.tensor(START)
    for t in pyro.markov(range(len(y))):
        z = pyro.sample(f"z_{t}", pdist.Categorical(chance), infer={"enumerate": "parallel"})
        pyro.sample(f"y_{t}", pdist.Normal(level[z], 0.7), obs=y[t])
        chance = transition[z]


def numpyro_model(y):
    level = numpyro.sample("level", ndist.Normal(jnp.array([-1.0, 1.0]), 1.0).to_event(1))
    transition, start = jnp.array(TRANSITION), jnp.array(START)

    def step(before, seen):
        first, z = before
        chance = jnp.where(first, start, transition[z])
        z = numpyro.sample("z", ndist.Categorical(chance), infer={"enumerate": "parallel"})
        numpyro.sample("y", ndist.Normal(level[z], 0.7), obs=seen)
        return (False, z), None

    scan(step, (True, 0), y)


def data():
    return {"y": np.random.default_rng(32).normal(size=5)}
