"""A chain over time as a loop with a site a step, and as a scan with one site of all steps."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
from numpyro.contrib.control_flow import scan

EXPECTED = "same"


def pyro_model(y):
    persistence = pyro.sample("persistence", pdist.Beta(4.0, 2.0))
    state = 0.0
    for t in range(len(y)):
        state = pyro.sample(f"state_{t}", pdist.Normal(persistence * state, 1.0))
        pyro.sample(f"y_{t}", pdist.Normal(state, 0.5), obs=y[t])


def numpyro_model(y):
    persistence = numpyro.sample("persistence", ndist.Beta(4.0, 2.0))

    def step(state, seen):
        state = numpyro.sample("state", ndist.Normal(persistence * state, 1.0))
        numpyro.sample("y", ndist.Normal(state, 0.5), obs=seen)
        return state, None

    scan(step, 0.0, y)


def data():
    return {"y": np.random.default_rng(31).normal(size=6)}
