"""A survey whose rows stand for different numbers of people: a ``scale`` on the likelihood."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
from numpyro import handlers
from pyro import poutine

EXPECTED = "same"


def pyro_model(weight, y):
    mu = pyro.sample("mu", pdist.Normal(0.0, 4.0))
    sigma = pyro.sample("sigma", pdist.LogNormal(0.0, 1.0))
    with pyro.plate("rows", len(y)), poutine.scale(scale=weight):
        pyro.sample("y", pdist.Normal(mu, sigma), obs=y)


def numpyro_model(weight, y):
    mu = numpyro.sample("mu", ndist.Normal(0.0, 4.0))
    sigma = numpyro.sample("sigma", ndist.LogNormal(0.0, 1.0))
    with numpyro.plate("rows", len(y)), handlers.scale(scale=weight):
        numpyro.sample("y", ndist.Normal(mu, sigma), obs=y)


def data():
    rng = np.random.default_rng(11)
    return {"weight": rng.uniform(0.5, 3.0, size=20).round(1), "y": 2.0 + rng.normal(size=20)}
