"""The same sites in another order: what is drawn first matters to a seed, not to a density."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(x, y):
    intercept = pyro.sample("intercept", pdist.Normal(0.0, 2.0))
    slope = pyro.sample("slope", pdist.Normal(0.0, 1.0))
    sigma = pyro.sample("sigma", pdist.Gamma(2.0, 2.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Normal(intercept + slope * x, sigma), obs=y)


def numpyro_model(x, y):
    sigma = numpyro.sample("sigma", ndist.Gamma(2.0, 2.0))
    slope = numpyro.sample("slope", ndist.Normal(0.0, 1.0))
    intercept = numpyro.sample("intercept", ndist.Normal(0.0, 2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Normal(intercept + slope * x, sigma), obs=y)


def data():
    rng = np.random.default_rng(22)
    x = rng.normal(size=15)
    return {"x": x, "y": 0.4 - 0.7 * x + 0.5 * rng.normal(size=15)}
