"""Zero-inflated counts: with some probability nothing could be counted at all."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    gate = pyro.sample("gate", pdist.Beta(2.0, 4.0))
    level = pyro.sample("level", pdist.Normal(1.0, 1.0))
    slope = pyro.sample("slope", pdist.Normal(0.0, 0.5))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.ZeroInflatedPoisson(torch.exp(level + slope * x), gate=gate), obs=y)


def numpyro_model(x, y):
    gate = numpyro.sample("gate", ndist.Beta(2.0, 4.0))
    level = numpyro.sample("level", ndist.Normal(1.0, 1.0))
    slope = numpyro.sample("slope", ndist.Normal(0.0, 0.5))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.ZeroInflatedPoisson(gate, jnp.exp(level + slope * x)), obs=y)


def data():
    rng = np.random.default_rng(8)
    x = rng.normal(size=25)
    y = rng.poisson(np.exp(1.2 + 0.4 * x)) * (rng.uniform(size=25) > 0.3)
    return {"x": x, "y": y.astype(float)}
