"""Batting averages: successes out of known numbers of trials, overdispersed between players."""

import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist

EXPECTED = "same"


def pyro_model(trials, hits):
    centre = pyro.sample("centre", pdist.Beta(3.0, 7.0))
    concentration = pyro.sample("concentration", pdist.Pareto(1.0, 1.5))
    a, b = centre * concentration, (1 - centre) * concentration
    with pyro.plate("players", len(hits)):
        pyro.sample("hits", pdist.BetaBinomial(a, b, trials), obs=hits)


def numpyro_model(trials, hits):
    centre = numpyro.sample("centre", ndist.Beta(3.0, 7.0))
    concentration = numpyro.sample("concentration", ndist.Pareto(1.0, 1.5))
    a, b = centre * concentration, (1 - centre) * concentration
    with numpyro.plate("players", len(hits)):
        numpyro.sample("hits", ndist.BetaBinomial(a, b, trials), obs=hits)


def data():
    trials = np.array([45, 40, 30, 45, 22, 45, 37, 18, 45, 28])
    hits = np.array([18.0, 13.0, 6.0, 12.0, 4.0, 14.0, 12.0, 5.0, 9.0, 11.0])
    return {"trials": trials, "hits": hits}
