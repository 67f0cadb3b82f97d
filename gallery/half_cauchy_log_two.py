"""A half-Cauchy that one side does not normalise: not a wrong port, and not to be called one.

Published: issue 8186 of pymc-devs/pymc, on translating Stan models. Written anew here.

Stan's ``real<lower=0> tau; tau ~ cauchy(0, 5)`` evaluates the whole Cauchy density on the half line; a half-Cauchy
of PyMC, Pyro or NumPyro is twice that. The log densities differ by log 2 everywhere, the posteriors not at all. The
NumPyro side below keeps Stan's convention, with the same support.
"""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = {"verdict": "same", "constant": "log 2", "site": "tau"}


class StanHalfCauchy(ndist.HalfCauchy):
    """The Cauchy density on the positive half line, not renormalised."""

    def log_prob(self, value):
        return ndist.Cauchy(0.0, self.scale).log_prob(value)


def pyro_model(y, sigma):
    mu = pyro.sample("mu", pdist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", pdist.HalfCauchy(5.0))
    with pyro.plate("schools", len(y)):
        raw = pyro.sample("raw", pdist.Normal(0.0, 1.0))
        pyro.sample("y", pdist.Normal(mu + tau * raw, sigma), obs=y)


def numpyro_model(y, sigma):
    mu = numpyro.sample("mu", ndist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", StanHalfCauchy(5.0))
    with numpyro.plate("schools", len(y)):
        raw = numpyro.sample("raw", ndist.Normal(0.0, 1.0))
        numpyro.sample("y", ndist.Normal(mu + tau * raw, sigma), obs=y)


def data():
    return {
        "y": np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]),
        "sigma": np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]),
    }
