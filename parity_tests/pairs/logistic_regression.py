"""Logistic regression: a Bernoulli outcome with a linear predictor on the logit scale."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(x, y):
    intercept = pyro.sample("intercept", pdist.Normal(0.0, 2.0))
    slope = pyro.sample("slope", pdist.Normal(torch.zeros(x.shape[1]), 1.5).to_event(1))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Bernoulli(logits=intercept + x @ slope), obs=y)


def numpyro_model(x, y):
    intercept = numpyro.sample("intercept", ndist.Normal(0.0, 2.0))
    slope = numpyro.sample("slope", ndist.Normal(jnp.zeros(x.shape[1]), 1.5).to_event(1))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Bernoulli(logits=intercept + x @ slope), obs=y)


def data():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(25, 2))
    chance = 1 / (1 + np.exp(-(0.3 + x @ np.array([1.0, -0.8]))))
    return {"x": x, "y": (rng.uniform(size=25) < chance).astype(float)}
