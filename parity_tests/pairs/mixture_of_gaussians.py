"""A mixture of two Gaussians in one dimension, its assignments summed out."""

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
    with pyro.plate("components", 2):
        centre = pyro.sample("centre", pdist.Normal(torch.tensor([-2.0, 2.0]), 1.0))
        width = pyro.sample("width", pdist.InverseGamma(3.0, 2.0))
    with pyro.plate("rows", len(y)):
        z = pyro.sample("z", pdist.Categorical(weight), infer={"enumerate": "parallel"})
        pyro.sample("y", pdist.Normal(centre[z], width[z]), obs=y)


def numpyro_model(y):
    weight = numpyro.sample("weight", ndist.Dirichlet(jnp.array([2.0, 2.0])))
    with numpyro.plate("components", 2):
        centre = numpyro.sample("centre", ndist.Normal(jnp.array([-2.0, 2.0]), 1.0))
        width = numpyro.sample("width", ndist.InverseGamma(3.0, 2.0))
    with numpyro.plate("rows", len(y)):
        z = numpyro.sample("z", ndist.Categorical(weight), infer={"enumerate": "parallel"})
        numpyro.sample("y", ndist.Normal(centre[z], width[z]), obs=y)


def data():
    rng = np.random.default_rng(12)
    z = rng.uniform(size=25) < 0.6
    return {"y": np.where(z, 1.8, -2.2) + np.where(z, 0.6, 1.0) * rng.normal(size=25)}
