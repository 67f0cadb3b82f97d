"""A regression with a guide of normals, and a gamma for its scale; where one param starts is drawn anew in each run."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    weights = pyro.sample("weights", pdist.Normal(0.0, 1.0).expand([2]).to_event(1))
    noise = pyro.sample("noise", pdist.Gamma(2.0, 2.0))
    with pyro.plate("N", len(x)):
        pyro.sample("y", pdist.Normal(weights[0] + weights[1] * x, noise), obs=y)


def pyro_guide(x, y):
    positive = pdist.constraints.positive
    loc = pyro.param("loc", lambda: 0.1 * torch.randn(2))
    scale = pyro.param("scale", torch.tensor([0.3, 0.5]), constraint=positive)
    pyro.sample("weights", pdist.Normal(loc, scale).to_event(1))
    shape = pyro.param("shape", torch.tensor(9.0), constraint=positive)
    rate = pyro.param("rate", torch.tensor(7.0), constraint=positive)
    pyro.sample("noise", pdist.Gamma(shape, rate))


def numpyro_model(x, y):
    weights = numpyro.sample("weights", ndist.Normal(0.0, 1.0).expand([2]).to_event(1))
    noise = numpyro.sample("noise", ndist.Gamma(2.0, 2.0))
    with numpyro.plate("N", len(x)):
        numpyro.sample("y", ndist.Normal(weights[0] + weights[1] * x, noise), obs=y)


def numpyro_guide(x, y):
    positive = ndist.constraints.positive
    loc = numpyro.param("loc", lambda key: 0.1 * jax.random.normal(key, (2,)))
    scale = numpyro.param("scale", jnp.array([0.3, 0.5]), constraint=positive)
    numpyro.sample("weights", ndist.Normal(loc, scale).to_event(1))
    shape = numpyro.param("shape", 9.0, constraint=positive)
    rate = numpyro.param("rate", 7.0, constraint=positive)
    numpyro.sample("noise", ndist.Gamma(shape, rate))


def data():
    rng = np.random.default_rng(31)
    x = np.linspace(-1, 1, 15)
    return {"x": x, "y": 0.3 + 0.8 * x + 0.6 * rng.normal(size=15)}
