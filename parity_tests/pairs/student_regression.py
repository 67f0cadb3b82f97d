"""Robust regression: Student's t noise with unknown degrees of freedom."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(x, y):
    intercept = pyro.sample("intercept", pdist.Normal(0.0, 3.0))
    slope = pyro.sample("slope", pdist.Laplace(0.0, 1.0))
    freedom = pyro.sample("freedom", pdist.Gamma(2.0, 0.1))
    scale = pyro.sample("scale", pdist.HalfNormal(2.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.StudentT(freedom, intercept + slope * x, scale), obs=y)


def numpyro_model(x, y):
    intercept = numpyro.sample("intercept", ndist.Normal(0.0, 3.0))
    slope = numpyro.sample("slope", ndist.Laplace(0.0, 1.0))
    freedom = numpyro.sample("freedom", ndist.Gamma(2.0, 0.1))
    scale = numpyro.sample("scale", ndist.HalfNormal(2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.StudentT(freedom, intercept + slope * x, scale), obs=y)


def data():
    rng = np.random.default_rng(14)
    x = rng.normal(size=25)
    return {"x": x, "y": 0.5 + 1.3 * x + 0.6 * rng.standard_t(3.0, size=25)}
