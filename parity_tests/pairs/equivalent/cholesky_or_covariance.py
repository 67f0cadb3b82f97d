"""A multivariate normal by its Cholesky factor on one side, by its covariance on the other."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(y):
    centre = pyro.sample("centre", pdist.Normal(torch.zeros(2), 2.0).to_event(1))
    spread = pyro.sample("spread", pdist.HalfNormal(torch.ones(2)).to_event(1))
    chol = pyro.sample("chol", pdist.LKJCholesky(2, 1.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.MultivariateNormal(centre, scale_tril=spread[:, None] * chol), obs=y)


def numpyro_model(y):
    centre = numpyro.sample("centre", ndist.Normal(jnp.zeros(2), 2.0).to_event(1))
    spread = numpyro.sample("spread", ndist.HalfNormal(jnp.ones(2)).to_event(1))
    chol = numpyro.sample("chol", ndist.LKJCholesky(2, 1.0))
    covariance = jnp.outer(spread, spread) * (chol @ chol.T)
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.MultivariateNormal(centre, covariance_matrix=covariance), obs=y)


def data():
    rng = np.random.default_rng(21)
    return {"y": rng.multivariate_normal([1.0, -1.0], [[1.0, 0.5], [0.5, 0.8]], size=15)}
