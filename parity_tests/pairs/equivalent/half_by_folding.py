"""A half-normal scale on one side; on the other a normal one, folded at zero."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(y):
    mu = pyro.sample("mu", pdist.Normal(0.0, 3.0))
    sigma = pyro.sample("sigma", pdist.HalfNormal(2.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Normal(mu, sigma), obs=y)


def numpyro_model(y):
    mu = numpyro.sample("mu", ndist.Normal(0.0, 3.0))
    sigma = numpyro.sample("sigma", ndist.FoldedDistribution(ndist.Normal(0.0, 2.0)))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Normal(mu, sigma), obs=y)


def data():
    return {"y": np.array([1.3, 0.2, 2.1, 1.8, 0.9, 1.4, 0.4, 1.1])}
