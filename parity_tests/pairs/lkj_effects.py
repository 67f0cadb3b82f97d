"""Correlated intercepts and slopes: an LKJ prior on the Cholesky factor of their correlation."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(group, x, y):
    mean = pyro.sample("mean", pdist.Normal(torch.zeros(2), 2.0).to_event(1))
    spread = pyro.sample("spread", pdist.HalfNormal(torch.ones(2)).to_event(1))
    chol = pyro.sample("chol", pdist.LKJCholesky(2, 2.0))
    noise = pyro.sample("noise", pdist.HalfNormal(1.0))
    with pyro.plate("groups", 5):
        effect = pyro.sample("effect", pdist.MultivariateNormal(mean, scale_tril=spread[:, None] * chol))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Normal(effect[group, 0] + effect[group, 1] * x, noise), obs=y)


def numpyro_model(group, x, y):
    mean = numpyro.sample("mean", ndist.Normal(jnp.zeros(2), 2.0).to_event(1))
    spread = numpyro.sample("spread", ndist.HalfNormal(jnp.ones(2)).to_event(1))
    chol = numpyro.sample("chol", ndist.LKJCholesky(2, 2.0))
    noise = numpyro.sample("noise", ndist.HalfNormal(1.0))
    with numpyro.plate("groups", 5):
        effect = numpyro.sample("effect", ndist.MultivariateNormal(mean, scale_tril=spread[:, None] * chol))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Normal(effect[group, 0] + effect[group, 1] * x, noise), obs=y)


def data():
    rng = np.random.default_rng(5)
    group, x = np.repeat(np.arange(5), 5), rng.normal(size=25)
    effect = rng.multivariate_normal([1.0, -0.5], [[1.0, 0.4], [0.4, 0.5]], size=5)
    return {"group": group, "x": x, "y": effect[group, 0] + effect[group, 1] * x + 0.4 * rng.normal(size=25)}
