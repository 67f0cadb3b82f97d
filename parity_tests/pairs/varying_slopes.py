"""Varying intercepts and slopes: rows of a multivariate normal in Pyro, standard normals times a factor in NumPyro."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, group, y):
    b = pyro.sample("b", pdist.Normal(torch.zeros(2), 3.0).to_event(1))
    tau = pyro.sample("tau", pdist.HalfNormal(torch.ones(2)).to_event(1))
    factor = pyro.sample("factor", pdist.LKJCholesky(2, 2.0))
    sigma = pyro.sample("sigma", pdist.HalfNormal(1.0))
    with pyro.plate("groups", 6):
        effect = pyro.sample("effect", pdist.MultivariateNormal(b, scale_tril=tau[:, None] * factor))
    mean = (effect[group] * x).sum(-1)
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Normal(mean, sigma), obs=y)


def numpyro_model(x, group, y):
    b = numpyro.sample("b", ndist.Normal(jnp.zeros(2), 3.0).to_event(1))
    tau = numpyro.sample("tau", ndist.HalfNormal(jnp.ones(2)).to_event(1))
    factor = numpyro.sample("factor", ndist.LKJCholesky(2, 2.0))
    sigma = numpyro.sample("sigma", ndist.HalfNormal(1.0))
    with numpyro.plate("groups", 6):
        raw = numpyro.sample("raw", ndist.Normal(jnp.zeros(2), 1.0).to_event(1))
        effect = numpyro.deterministic("effect", b + raw @ (tau[:, None] * factor).T)
    mean = (effect[group] * x).sum(-1)
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Normal(mean, sigma), obs=y)


def data():
    rng = np.random.default_rng(0)
    group = np.arange(48) % 6
    x = np.stack([np.ones(48), rng.normal(size=48)], axis=1)
    effect = rng.multivariate_normal([1.0, -0.5], [[1.0, 0.3], [0.3, 0.5]], size=6)
    return {"x": x, "group": group, "y": (effect[group] * x).sum(-1) + 0.5 * rng.normal(size=48)}
