"""A vector of effects by a plate that expands a scalar, or by parameters written out in full."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(y):
    with pyro.plate("groups", y.shape[-1]):
        rate = pyro.sample("rate", pdist.Gamma(2.0, 1.0))
        with pyro.plate("rows", y.shape[0]):
            pyro.sample("y", pdist.Exponential(rate), obs=y)


def numpyro_model(y):
    rate = numpyro.sample("rate", ndist.Gamma(2.0 * jnp.ones(y.shape[-1]), 1.0))
    numpyro.sample("y", ndist.Exponential(rate).expand(y.shape), obs=y)


def data():
    return {"y": np.array([[0.3, 1.2, 0.4], [0.9, 2.5, 0.1], [0.2, 0.8, 0.7], [1.1, 3.0, 0.2]])}
