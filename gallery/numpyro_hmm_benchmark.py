"""A semi-supervised hidden Markov model whose Pyro model calls ``numpyro.factor``.

Published: NumPyro's own benchmark against Pyro, ``benchmarks/hmm.py`` on the branch ``benchmarks`` of
pyro-ppl/numpyro. Written anew here, smaller.

The likelihood of the unsupervised words is a forward algorithm whose result is given to ``factor``. In the
Pyro model that call is NumPyro's: under Pyro it does nothing and raises nothing, so Pyro fits a model without
that likelihood, and the timing compares two different posteriors.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as ndist
import pyro
import pyro.distributions as pdist
import torch

EXPECTED = {"verdict": "different", "rung": "structure", "site": "forward_log_prob"}


def pyro_model(categories, words, unsupervised_words):
    with pyro.plate("states", 3):
        transition = pyro.sample("transition", pdist.Dirichlet(torch.ones(3)))
        emission = pyro.sample("emission", pdist.Dirichlet(torch.full((5,), 0.5)))
    with pyro.plate("steps", len(words) - 1):
        pyro.sample("categories", pdist.Categorical(transition[categories[:-1]]), obs=categories[1:])
    with pyro.plate("words", len(words)):
        pyro.sample("supervised", pdist.Categorical(emission[categories]), obs=words)
    log_alpha = emission.log()[:, unsupervised_words[0]]
    for word in unsupervised_words[1:]:
        log_alpha = torch.logsumexp(log_alpha[:, None] + transition.log(), 0) + emission.log()[:, word]
    numpyro.factor("forward_log_prob", torch.logsumexp(log_alpha, 0))


def numpyro_model(categories, words, unsupervised_words):
    with numpyro.plate("states", 3):
        transition = numpyro.sample("transition", ndist.Dirichlet(jnp.ones(3)))
        emission = numpyro.sample("emission", ndist.Dirichlet(jnp.full(5, 0.5)))
    with numpyro.plate("steps", len(words) - 1):
        numpyro.sample("categories", ndist.Categorical(transition[categories[:-1]]), obs=categories[1:])
    with numpyro.plate("words", len(words)):
        numpyro.sample("supervised", ndist.Categorical(emission[categories]), obs=words)
    log_alpha = jnp.log(emission)[:, unsupervised_words[0]]
    for word in unsupervised_words[1:]:
        step = log_alpha[:, None] + jnp.log(transition)
        log_alpha = jax.nn.logsumexp(step, axis=0) + jnp.log(emission)[:, word]
    numpyro.factor("forward_log_prob", jax.nn.logsumexp(log_alpha))


def data():
    return {
        "categories": np.array([0, 0, 1, 2, 1, 1, 2, 0, 0, 1]),
        "words": np.array([1, 0, 2, 4, 3, 2, 4, 1, 0, 3]),
        "unsupervised_words": np.array([0, 1, 2, 4]),
    }
