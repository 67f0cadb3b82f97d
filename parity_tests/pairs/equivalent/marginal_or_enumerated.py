"""A mixture with an assignment for each row, summed out, against one with a mixture distribution."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(y):
    weight = pyro.sample("weight", pdist.Dirichlet(torch.tensor([2.0, 2.0])))
    centre = pyro.sample("centre", pdist.Normal(torch.tensor([-2.0, 2.0]), 1.0).to_event(1))
    with pyro.plate("rows", len(y)):
        z = pyro.sample("z", pdist.Categorical(weight), infer={"enumerate": "parallel"})
        pyro.sample("y", pdist.Normal(centre[z], 0.8), obs=y)


def numpyro_model(y):
    weight = numpyro.sample("weight", ndist.Dirichlet(jnp.array([2.0, 2.0])))
    centre = numpyro.sample("centre", ndist.Normal(jnp.array([-2.0, 2.0]), 1.0).to_event(1))
    with numpyro.plate("rows", len(y)):
        mixture = ndist.MixtureSameFamily(ndist.Categorical(weight), ndist.Normal(centre, 0.8))
        numpyro.sample("y", mixture, obs=y)


def data():
    rng = np.random.default_rng(12)
    z = rng.uniform(size=20) < 0.6
    return {"y": np.where(z, 1.8, -2.2) + 0.8 * rng.normal(size=20)}
