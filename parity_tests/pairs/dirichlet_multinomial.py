"""Proportions of species: a simplex for each of three sites, and counts drawn from it."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(counts):
    strength = pyro.sample("strength", pdist.Gamma(3.0, 0.5))
    share = pyro.sample("share", pdist.Dirichlet(torch.tensor([1.0, 2.0, 3.0, 1.0])))
    with pyro.plate("sites", counts.shape[0]):
        local = pyro.sample("local", pdist.Dirichlet(strength * share))
        pyro.sample("counts", pdist.Multinomial(20, local), obs=counts)


def numpyro_model(counts):
    strength = numpyro.sample("strength", ndist.Gamma(3.0, 0.5))
    share = numpyro.sample("share", ndist.Dirichlet(jnp.array([1.0, 2.0, 3.0, 1.0])))
    with numpyro.plate("sites", counts.shape[0]):
        local = numpyro.sample("local", ndist.Dirichlet(strength * share))
        numpyro.sample("counts", ndist.Multinomial(20, local), obs=counts)


def data():
    return {"counts": np.array([[3.0, 6.0, 9.0, 2.0], [1.0, 8.0, 7.0, 4.0], [5.0, 5.0, 8.0, 2.0]])}
