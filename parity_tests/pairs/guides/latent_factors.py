"""One factor a row, on a subsample of the rows, with a guide that computes each row's factor from the row itself."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"
LOADINGS = [[0.5, -0.3, 0.2]]


def pyro_model(x, size):
    loadings = pyro.param("loadings", torch.tensor(LOADINGS))
    with pyro.plate("N", len(x), subsample_size=size) as rows:
        factor = pyro.sample("factor", pdist.Normal(torch.zeros(size, 1), 1.0).to_event(1))
        pyro.sample("x", pdist.Normal(factor @ loadings, 0.5).to_event(1), obs=x[rows])


def pyro_guide(x, size):
    weights = pyro.param("weights", torch.tensor([[0.4], [-0.2], [0.1]]))
    log_scale = pyro.param("log_scale", torch.tensor([-0.5]))
    with pyro.plate("N", len(x), subsample_size=size) as rows:
        pyro.sample("factor", pdist.Normal(x[rows] @ weights, log_scale.exp()).to_event(1))


def numpyro_model(x, size):
    loadings = numpyro.param("loadings", jnp.array(LOADINGS))
    with numpyro.plate("N", len(x), subsample_size=size) as rows:
        factor = numpyro.sample("factor", ndist.Normal(jnp.zeros((size, 1)), 1.0).to_event(1))
        numpyro.sample("x", ndist.Normal(factor @ loadings, 0.5).to_event(1), obs=x[rows])


def numpyro_guide(x, size):
    weights = numpyro.param("weights", jnp.array([[0.4], [-0.2], [0.1]]))
    log_scale = numpyro.param("log_scale", jnp.array([-0.5]))
    with numpyro.plate("N", len(x), subsample_size=size) as rows:
        numpyro.sample("factor", ndist.Normal(x[rows] @ weights, jnp.exp(log_scale)).to_event(1))


def data():
    rng = np.random.default_rng(8)
    return {"x": rng.normal(size=(24, 1)) @ np.array(LOADINGS) + 0.5 * rng.normal(size=(24, 3)), "size": 8}
