"""A factorial hidden Markov model whose emission table has the wrong shape for its index.

Published: model 3 of ``examples/hmm_enum.py`` of pyro-ppl/numpyro, against ``examples/hmm.py`` of pyro-ppl/pyro.
Written anew here, on two steps of three binary tones.

Two hidden chains of four states each emit together, so Pyro's table of emissions has the shape (4, 4, tones). The
port's has (16, 2, tones) and is indexed in the same way, by w and x in 0..3. JAX clamps an index that is out of
range and says nothing: three states of x share one row, and most of the table is never read.
"""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch
from numpyro.contrib.funsor import markov

EXPECTED = {"verdict": "different", "rung": "structure", "site": "emission"}


def pyro_model(notes):
    stay_w = pyro.sample("stay_w", pdist.Dirichlet(0.9 * torch.eye(4) + 0.1).to_event(1))
    stay_x = pyro.sample("stay_x", pdist.Dirichlet(0.9 * torch.eye(4) + 0.1).to_event(1))
    emission = pyro.sample("emission", pdist.Beta(torch.full((4, 4, 3), 0.8), 1.2).to_event(3))
    tones_plate = pyro.plate("tones", 3, dim=-1)
    w = x = 0
    for t in pyro.markov(range(len(notes))):
        w = pyro.sample(f"w_{t}", pdist.Categorical(stay_w[w]), infer={"enumerate": "parallel"})
        x = pyro.sample(f"x_{t}", pdist.Categorical(stay_x[x]), infer={"enumerate": "parallel"})
        with tones_plate as tones:
            pyro.sample(f"note_{t}", pdist.Bernoulli(emission[w, x, tones]), obs=notes[t])


def numpyro_model(notes):
    stay_w = numpyro.sample("stay_w", ndist.Dirichlet(0.9 * jnp.eye(4) + 0.1).to_event(1))
    stay_x = numpyro.sample("stay_x", ndist.Dirichlet(0.9 * jnp.eye(4) + 0.1).to_event(1))
    emission = numpyro.sample("emission", ndist.Beta(jnp.full((16, 2, 3), 0.8), 1.2).to_event(3))
    tones_plate = numpyro.plate("tones", 3, dim=-1)
    w = x = 0
    for t in markov(range(len(notes))):
        w = numpyro.sample(f"w_{t}", ndist.Categorical(stay_w[w]), infer={"enumerate": "parallel"})
        x = numpyro.sample(f"x_{t}", ndist.Categorical(stay_x[x]), infer={"enumerate": "parallel"})
        with tones_plate as tones:
            numpyro.sample(f"note_{t}", ndist.Bernoulli(emission[w, x, tones]), obs=notes[t])


def data():
    return {"notes": np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])}
