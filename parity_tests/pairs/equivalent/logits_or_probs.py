"""A binomial outcome by its logits on one side, by its probabilities on the other."""

import jax
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(x, trials, y):
    level = pyro.sample("level", pdist.Normal(0.0, 1.5))
    slope = pyro.sample("slope", pdist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Binomial(trials, logits=level + slope * x), obs=y)


def numpyro_model(x, trials, y):
    level = numpyro.sample("level", ndist.Normal(0.0, 1.5))
    slope = numpyro.sample("slope", ndist.Normal(0.0, 1.0))
    chance = jax.nn.sigmoid(level + slope * x)
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Binomial(trials, probs=chance), obs=y)


def data():
    x = np.array([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
    return {"x": x, "trials": np.full(7, 10), "y": np.array([1.0, 2.0, 4.0, 4.0, 7.0, 8.0, 9.0])}
