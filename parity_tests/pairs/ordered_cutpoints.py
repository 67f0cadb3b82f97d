"""Ordinal regression: an ordered latent vector of cutpoints for an ordered logistic outcome."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    slope = pyro.sample("slope", pdist.Normal(0.0, 1.5))
    base = pdist.Normal(torch.zeros(3), 1.5).to_event(1)
    cutpoints = pyro.sample(
        "cutpoints", pdist.TransformedDistribution(base, pdist.transforms.OrderedTransform())
    )
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.OrderedLogistic(slope * x, cutpoints), obs=y)


def numpyro_model(x, y):
    slope = numpyro.sample("slope", ndist.Normal(0.0, 1.5))
    base = ndist.Normal(jnp.zeros(3), 1.5).to_event(1)
    cutpoints = numpyro.sample(
        "cutpoints", ndist.TransformedDistribution(base, ndist.transforms.OrderedTransform())
    )
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.OrderedLogistic(slope * x, cutpoints), obs=y)


def data():
    rng = np.random.default_rng(6)
    x = rng.normal(size=25)
    return {"x": x, "y": np.digitize(1.2 * x + rng.logistic(size=25), [-1.5, 0.0, 1.5])}
