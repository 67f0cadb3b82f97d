"""Death rates by age and area, with an array indexed (age, space) for (space, age).

Published: pull request 1295 of pyro-ppl/numpyro, a model of mortality ported from NIMBLE, whose plates were
reordered from (space, age, time) to (age, space, time). Written anew here, without time.

As many ages as areas would let the swap through without an error; otherwise a reshape does. The observed deaths,
their shapes and the priors stay as they were. Only each cell's rate belongs to another cell.
"""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = {"verdict": "different", "rung": "density", "site": "deaths"}


def pyro_model(population, deaths):
    level = pyro.sample("level", pdist.Normal(-2.0, 1.0))
    with pyro.plate("ages", 4, dim=-2):
        age = pyro.sample("age", pdist.Normal(0.0, 1.0))
    with pyro.plate("areas", 4, dim=-1):
        area = pyro.sample("area", pdist.Normal(0.0, 0.5))
    interaction = pyro.sample("interaction", pdist.Normal(torch.zeros(4, 4), 0.3).to_event(2))
    log_rate = level + age + area + interaction
    with pyro.plate("all_ages", 4, dim=-2), pyro.plate("all_areas", 4, dim=-1):
        pyro.sample("deaths", pdist.Poisson(population * torch.exp(log_rate)), obs=deaths)


def numpyro_model(population, deaths):
    level = numpyro.sample("level", ndist.Normal(-2.0, 1.0))
    with numpyro.plate("ages", 4, dim=-2):
        age = numpyro.sample("age", ndist.Normal(0.0, 1.0))
    with numpyro.plate("areas", 4, dim=-1):
        area = numpyro.sample("area", ndist.Normal(0.0, 0.5))
    interaction = numpyro.sample("interaction", ndist.Normal(jnp.zeros((4, 4)), 0.3).to_event(2))
    log_rate = level + age + area + interaction.T
    with numpyro.plate("all_ages", 4, dim=-2), numpyro.plate("all_areas", 4, dim=-1):
        numpyro.sample("deaths", ndist.Poisson(population * jnp.exp(log_rate)), obs=deaths)


def data():
    rng = np.random.default_rng(1295)
    population = rng.integers(50, 200, size=(4, 4)).astype(float)
    rate = np.exp(-2.0 + np.array([[-0.8], [-0.2], [0.3], [1.0]]) + 0.3 * rng.normal(size=(4, 4)))
    return {"population": population, "deaths": rng.poisson(population * rate).astype(float)}
