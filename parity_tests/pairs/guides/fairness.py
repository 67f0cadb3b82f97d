"""A coin's fairness with a Beta guide, whose draws each library differentiates in its own way."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(heads):
    fairness = pyro.sample("fairness", pdist.Beta(10.0, 10.0))
    with pyro.plate("flips", len(heads)):
        pyro.sample("heads", pdist.Bernoulli(fairness), obs=heads)


def pyro_guide(heads):
    a = pyro.param("a", torch.tensor(15.0), constraint=pdist.constraints.positive)
    b = pyro.param("b", torch.tensor(12.0), constraint=pdist.constraints.positive)
    pyro.sample("fairness", pdist.Beta(a, b))


def numpyro_model(heads):
    fairness = numpyro.sample("fairness", ndist.Beta(10.0, 10.0))
    with numpyro.plate("flips", len(heads)):
        numpyro.sample("heads", ndist.Bernoulli(fairness), obs=heads)


def numpyro_guide(heads):
    a = numpyro.param("a", 15.0, constraint=ndist.constraints.positive)
    b = numpyro.param("b", 12.0, constraint=ndist.constraints.positive)
    numpyro.sample("fairness", ndist.Beta(a, b))


def data():
    return {"heads": np.array([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])}
