"""Independent effects as one event on one side, as a plate on the other."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = "same"


def pyro_model(group, y):
    tau = pyro.sample("tau", pdist.HalfNormal(2.0))
    effect = pyro.sample("effect", pdist.Normal(torch.zeros(3), tau).to_event(1))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", pdist.Normal(effect[group], 0.5), obs=y)


def numpyro_model(group, y):
    tau = numpyro.sample("tau", ndist.HalfNormal(2.0))
    with numpyro.plate("groups", 3):
        effect = numpyro.sample("effect", ndist.Normal(0.0, tau))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", ndist.Normal(effect[group], 0.5), obs=y)


def data():
    return {"group": np.array([0, 0, 1, 1, 2, 2]), "y": np.array([0.3, 0.7, -1.2, -0.4, 1.9, 1.5])}
