"""Capture and recapture (Cormack-Jolly-Seber): states summed out, surveys masked before the first capture."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch
from numpyro import handlers
from numpyro.contrib.funsor import markov
from pyro import poutine

EXPECTED = "same"


def pyro_model(history):
    survival = pyro.sample("survival", pdist.Uniform(0.0, 1.0))
    capture = pyro.sample("capture", pdist.Uniform(0.0, 1.0))
    with pyro.plate("animals", len(history), dim=-1):
        alive = torch.ones(len(history))
        seen = torch.zeros(len(history), dtype=torch.bool)
        for t in pyro.markov(range(history.shape[1])):
            chance = survival * alive * seen.float() + (1 - seen.float())
            alive = pyro.sample(f"z_{t}", pdist.Bernoulli(chance), infer={"enumerate": "parallel"})
            with poutine.mask(mask=seen):
                pyro.sample(f"y_{t}", pdist.Bernoulli(capture * alive), obs=history[:, t])
            seen = seen | history[:, t].bool()


def numpyro_model(history):
    survival = numpyro.sample("survival", ndist.Uniform(0.0, 1.0))
    capture = numpyro.sample("capture", ndist.Uniform(0.0, 1.0))
    with numpyro.plate("animals", len(history), dim=-1):
        alive = jnp.ones(len(history))
        seen = jnp.zeros(len(history), dtype=bool)
        for t in markov(range(history.shape[1])):
            chance = survival * alive * seen + (1 - seen)
            alive = numpyro.sample(f"z_{t}", ndist.Bernoulli(chance), infer={"enumerate": "parallel"})
            with handlers.mask(mask=seen):
                numpyro.sample(f"y_{t}", ndist.Bernoulli(capture * alive), obs=history[:, t])
            seen = seen | (history[:, t] > 0)


def data():
    rows = ["1101", "0110", "1000", "0010", "1111", "0101"]
    return {"history": np.array([[float(mark) for mark in row] for row in rows])}
