"""A level for each row, on a subsample of the rows, with a guide that has params of its own for each row."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, size):
    centre = pyro.sample("centre", pdist.Normal(0.0, 1.0))
    with pyro.plate("N", len(x), subsample_size=size) as rows:
        level = pyro.sample("level", pdist.Normal(centre, 1.0))
        pyro.sample("x", pdist.Normal(level, 0.5), obs=x[rows])


def pyro_guide(x, size):
    middle = pyro.param("middle", torch.tensor(0.3))
    pyro.sample("centre", pdist.Normal(middle, 0.2))
    with pyro.plate("N", len(x), subsample_size=size):
        loc = pyro.param("loc", torch.linspace(-1.0, 1.0, len(x)), event_dim=0)
        scale = pyro.param(
            "scale", 0.6 * torch.ones(len(x)), constraint=pdist.constraints.positive, event_dim=0
        )
        pyro.sample("level", pdist.Normal(loc, scale))


def numpyro_model(x, size):
    centre = numpyro.sample("centre", ndist.Normal(0.0, 1.0))
    with numpyro.plate("N", len(x), subsample_size=size) as rows:
        level = numpyro.sample("level", ndist.Normal(centre, 1.0))
        numpyro.sample("x", ndist.Normal(level, 0.5), obs=x[rows])


def numpyro_guide(x, size):
    middle = numpyro.param("middle", 0.3)
    numpyro.sample("centre", ndist.Normal(middle, 0.2))
    with numpyro.plate("N", len(x), subsample_size=size):
        loc = numpyro.param("loc", jnp.linspace(-1.0, 1.0, len(x)), event_dim=0)
        scale = numpyro.param(
            "scale", 0.6 * jnp.ones(len(x)), constraint=ndist.constraints.positive, event_dim=0
        )
        numpyro.sample("level", ndist.Normal(loc, scale))


def data():
    return {"x": np.random.default_rng(40).normal(size=14), "size": 5}
