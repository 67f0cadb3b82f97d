"""A mixture whose assignments are summed out, with a guide of the weights, the means and the scale."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x):
    weights = pyro.sample("weights", pdist.Dirichlet(torch.ones(2)))
    with pyro.plate("components", 2):
        means = pyro.sample("means", pdist.Normal(0.0, 5.0))
    scale = pyro.sample("scale", pdist.LogNormal(0.0, 1.0))
    with pyro.plate("N", len(x)):
        z = pyro.sample("z", pdist.Categorical(weights))
        pyro.sample("x", pdist.Normal(means[z], scale), obs=x)


def pyro_guide(x):
    positive = pdist.constraints.positive
    counts = pyro.param("counts", torch.tensor([4.0, 5.0]), constraint=positive)
    pyro.sample("weights", pdist.Dirichlet(counts))
    centre = pyro.param("centre", torch.tensor([-1.0, 2.0]))
    with pyro.plate("components", 2):
        pyro.sample("means", pdist.Normal(centre, 0.4))
    middle = pyro.param("middle", torch.tensor(0.2))
    pyro.sample("scale", pdist.LogNormal(middle, 0.2))


def numpyro_model(x):
    weights = numpyro.sample("weights", ndist.Dirichlet(jnp.ones(2)))
    with numpyro.plate("components", 2):
        means = numpyro.sample("means", ndist.Normal(0.0, 5.0))
    scale = numpyro.sample("scale", ndist.LogNormal(0.0, 1.0))
    with numpyro.plate("N", len(x)):
        z = numpyro.sample("z", ndist.Categorical(weights))
        numpyro.sample("x", ndist.Normal(means[z], scale), obs=x)


def numpyro_guide(x):
    positive = ndist.constraints.positive
    counts = numpyro.param("counts", jnp.array([4.0, 5.0]), constraint=positive)
    numpyro.sample("weights", ndist.Dirichlet(counts))
    centre = numpyro.param("centre", jnp.array([-1.0, 2.0]))
    with numpyro.plate("components", 2):
        numpyro.sample("means", ndist.Normal(centre, 0.4))
    middle = numpyro.param("middle", 0.2)
    numpyro.sample("scale", ndist.LogNormal(middle, 0.2))


def data():
    rng = np.random.default_rng(12)
    return {"x": np.concatenate([rng.normal(-1.5, 0.8, size=6), rng.normal(2.0, 0.8, size=8)])}
