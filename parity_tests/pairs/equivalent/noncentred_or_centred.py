"""Eight schools, centred on one side and non-centred on the other: ``theta`` is drawn, or derived."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(y, sigma):
    mu = pyro.sample("mu", pdist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", pdist.Gamma(4.0, 0.8))
    with pyro.plate("schools", len(y)):
        theta = pyro.sample("theta", pdist.Normal(mu, tau))
        pyro.sample("y", pdist.Normal(theta, sigma), obs=y)


def numpyro_model(y, sigma):
    mu = numpyro.sample("mu", ndist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", ndist.Gamma(4.0, 0.8))
    with numpyro.plate("schools", len(y)):
        raw = numpyro.sample("raw", ndist.Normal(0.0, 1.0))
        theta = numpyro.deterministic("theta", mu + tau * raw)
        numpyro.sample("y", ndist.Normal(theta, sigma), obs=y)


def data():
    return {
        "y": np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]),
        "sigma": np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]),
    }
