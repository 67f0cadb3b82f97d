"""A panel with holes: a mask keeps what was not measured out of the likelihood."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
from numpyro import handlers
from pyro import poutine

EXPECTED = "same"


def pyro_model(y, measured):
    num_units, num_times = y.shape
    mu = pyro.sample("mu", pdist.Normal(0.0, 2.0))
    sigma = pyro.sample("sigma", pdist.Gamma(2.0, 2.0))
    with pyro.plate("units", num_units, dim=-2):
        level = pyro.sample("level", pdist.Normal(mu, 1.0))
        with pyro.plate("times", num_times, dim=-1), poutine.mask(mask=measured):
            pyro.sample("y", pdist.Normal(level, sigma), obs=y)


def numpyro_model(y, measured):
    num_units, num_times = y.shape
    mu = numpyro.sample("mu", ndist.Normal(0.0, 2.0))
    sigma = numpyro.sample("sigma", ndist.Gamma(2.0, 2.0))
    with numpyro.plate("units", num_units, dim=-2):
        level = numpyro.sample("level", ndist.Normal(mu, 1.0))
        with numpyro.plate("times", num_times, dim=-1), handlers.mask(mask=measured):
            numpyro.sample("y", ndist.Normal(level, sigma), obs=y)


def data():
    rng = np.random.default_rng(9)
    y = 0.5 + rng.normal(size=(6, 1)) + 0.7 * rng.normal(size=(6, 4))
    return {"y": y, "measured": rng.uniform(size=(6, 4)) > 0.3}
