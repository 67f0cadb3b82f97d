"""Two outcomes at once: a matrix of coefficients, and a covariance by its scales and a Cholesky factor."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    weights = pyro.sample("weights", pdist.Normal(torch.zeros(2, 2), 1.0).to_event(2))
    scales = pyro.sample("scales", pdist.LogNormal(torch.zeros(2), 0.5).to_event(1))
    chol = pyro.sample("chol", pdist.LKJCholesky(2, 1.5))
    with pyro.plate("rows", len(y)):
        tril = torch.diag(scales) @ chol
        pyro.sample("y", pdist.MultivariateNormal(x @ weights, scale_tril=tril), obs=y)


def numpyro_model(x, y):
    weights = numpyro.sample("weights", ndist.Normal(jnp.zeros((2, 2)), 1.0).to_event(2))
    scales = numpyro.sample("scales", ndist.LogNormal(jnp.zeros(2), 0.5).to_event(1))
    chol = numpyro.sample("chol", ndist.LKJCholesky(2, 1.5))
    with numpyro.plate("rows", len(y)):
        tril = jnp.diag(scales) @ chol
        numpyro.sample("y", ndist.MultivariateNormal(x @ weights, scale_tril=tril), obs=y)


def data():
    rng = np.random.default_rng(15)
    x = rng.normal(size=(20, 2))
    noise = rng.multivariate_normal([0.0, 0.0], [[0.5, 0.3], [0.3, 0.6]], size=20)
    return {"x": x, "y": x @ np.array([[1.0, -0.5], [0.3, 0.8]]) + noise}
