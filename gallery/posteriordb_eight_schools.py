"""Eight schools with a Cauchy prior on a scale that lives on the whole line.

Published: the PyMC3 port of posteriordb's ``eight_schools``. Written anew here, non-centred.

Stan declares ``real<lower=0> tau`` and then writes ``tau ~ cauchy(0, 5)``, which is a half-Cauchy. The port took
over the second line and not the first. Wherever tau is positive both densities agree up to the constant log 2
and both gradients are equal, so a comparison at such points finds nothing.
"""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = {"verdict": "different", "rung": "structure", "site": "tau"}


def pyro_model(y, sigma):
    mu = pyro.sample("mu", pdist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", pdist.HalfCauchy(5.0))
    with pyro.plate("schools", len(y)):
        raw = pyro.sample("raw", pdist.Normal(0.0, 1.0))
        pyro.sample("y", pdist.Normal(mu + tau * raw, sigma), obs=y)


def numpyro_model(y, sigma):
    mu = numpyro.sample("mu", ndist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", ndist.Cauchy(0.0, 5.0))
    with numpyro.plate("schools", len(y)):
        raw = numpyro.sample("raw", ndist.Normal(0.0, 1.0))
        numpyro.sample("y", ndist.Normal(mu + tau * raw, sigma), obs=y)


def data():
    return {
        "y": np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]),
        "sigma": np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]),
    }
