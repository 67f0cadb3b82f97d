"""A port that has renamed its sites; ``rename`` says which is which."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"

rename = {"mu": "location", "sigma": "noise_scale", "y": "outcome"}


def pyro_model(y):
    mu = pyro.sample("mu", pdist.Normal(0.0, 3.0))
    sigma = pyro.sample("sigma", pdist.HalfCauchy(2.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Normal(mu, sigma), obs=y)


def numpyro_model(y):
    location = numpyro.sample("location", ndist.Normal(0.0, 3.0))
    noise_scale = numpyro.sample("noise_scale", ndist.HalfCauchy(2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("outcome", ndist.Normal(location, noise_scale), obs=y)


def data():
    return {"y": np.array([1.3, 0.2, 2.1, 1.8, 0.9, 1.4, 0.4, 1.1])}
