"""A gamma prior where the original has an inverse gamma.

Published: issue 1360 of pyro-ppl/numpyro. Written anew here, as a normal model with an unknown variance.

The two take the same arguments, draw positive numbers, and neither raises: only the numbers are wrong.
"""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = {"verdict": "different", "rung": "density", "site": "variance"}


def pyro_model(x, y):
    variance = pyro.sample("variance", pdist.InverseGamma(2.0, 1.0))
    slope = pyro.sample("slope", pdist.Normal(0.0, 2.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Normal(slope * x, torch.sqrt(variance)), obs=y)


def numpyro_model(x, y):
    variance = numpyro.sample("variance", ndist.Gamma(2.0, 1.0))
    slope = numpyro.sample("slope", ndist.Normal(0.0, 2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Normal(slope * x, jnp.sqrt(variance)), obs=y)


def data():
    rng = np.random.default_rng(1360)
    x = rng.normal(size=15)
    return {"x": x, "y": 0.8 * x + 0.7 * rng.normal(size=15)}
