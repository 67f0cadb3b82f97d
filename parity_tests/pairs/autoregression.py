"""A latent first-order autoregression, one site a time step, with noisy measurements."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(y):
    persistence = pyro.sample("persistence", pdist.Uniform(-1.0, 1.0))
    drift = pyro.sample("drift", pdist.HalfNormal(1.0))
    state = pyro.sample("state_0", pdist.Normal(0.0, 1.0))
    pyro.sample("y_0", pdist.Normal(state, 0.3), obs=y[0])
    for t in range(1, len(y)):
        state = pyro.sample(f"state_{t}", pdist.Normal(persistence * state, drift))
        pyro.sample(f"y_{t}", pdist.Normal(state, 0.3), obs=y[t])


def numpyro_model(y):
    persistence = numpyro.sample("persistence", ndist.Uniform(-1.0, 1.0))
    drift = numpyro.sample("drift", ndist.HalfNormal(1.0))
    state = numpyro.sample("state_0", ndist.Normal(0.0, 1.0))
    numpyro.sample("y_0", ndist.Normal(state, 0.3), obs=y[0])
    for t in range(1, len(y)):
        state = numpyro.sample(f"state_{t}", ndist.Normal(persistence * state, drift))
        numpyro.sample(f"y_{t}", ndist.Normal(state, 0.3), obs=y[t])


def data():
    return {"y": np.array([0.4, 1.1, 0.7, 1.6, 1.2, 0.3, -0.5, -0.1])}
