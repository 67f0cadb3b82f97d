"""Measurements of classes within schools: two plates, one inside the other."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(y):
    num_classes, num_schools = y.shape
    mu = pyro.sample("mu", pdist.Normal(0.0, 3.0))
    between = pyro.sample("between", pdist.HalfNormal(2.0))
    within = pyro.sample("within", pdist.HalfNormal(1.0))
    with pyro.plate("schools", num_schools, dim=-1):
        school = pyro.sample("school", pdist.Normal(mu, between))
        with pyro.plate("classes", num_classes, dim=-2):
            pyro.sample("y", pdist.Normal(school, within), obs=y)


def numpyro_model(y):
    num_classes, num_schools = y.shape
    mu = numpyro.sample("mu", ndist.Normal(0.0, 3.0))
    between = numpyro.sample("between", ndist.HalfNormal(2.0))
    within = numpyro.sample("within", ndist.HalfNormal(1.0))
    with numpyro.plate("schools", num_schools, dim=-1):
        school = numpyro.sample("school", ndist.Normal(mu, between))
        with numpyro.plate("classes", num_classes, dim=-2):
            numpyro.sample("y", ndist.Normal(school, within), obs=y)


def data():
    rng = np.random.default_rng(4)
    school = 1.0 + 1.5 * rng.normal(size=5)
    return {"y": school + 0.6 * rng.normal(size=(5, 5))}
