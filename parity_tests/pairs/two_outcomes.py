"""One latent ability, two outcomes of different kinds: a score and a pass mark."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(score, passed):
    difficulty = pyro.sample("difficulty", pdist.Logistic(0.0, 1.0))
    noise = pyro.sample("noise", pdist.Weibull(1.0, 2.0))
    with pyro.plate("pupils", len(score)):
        ability = pyro.sample("ability", pdist.Normal(0.0, 1.0))
        pyro.sample("score", pdist.Normal(ability, noise), obs=score)
        pyro.sample("passed", pdist.Bernoulli(logits=2.0 * (ability - difficulty)), obs=passed)


def numpyro_model(score, passed):
    difficulty = numpyro.sample("difficulty", ndist.Logistic(0.0, 1.0))
    noise = numpyro.sample("noise", ndist.Weibull(1.0, 2.0))
    with numpyro.plate("pupils", len(score)):
        ability = numpyro.sample("ability", ndist.Normal(0.0, 1.0))
        numpyro.sample("score", ndist.Normal(ability, noise), obs=score)
        numpyro.sample("passed", ndist.Bernoulli(logits=2.0 * (ability - difficulty)), obs=passed)


def data():
    rng = np.random.default_rng(17)
    ability = rng.normal(size=12)
    score = ability + 0.5 * rng.normal(size=12)
    return {"score": score, "passed": (ability + 0.4 * rng.normal(size=12) > 0.2).astype(float)}
