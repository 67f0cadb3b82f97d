"""Small NumPyro models of different kinds; ``models_pyro`` holds the same ones."""

import os

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro import handlers
from numpyro.contrib.funsor import markov


def regression(x, y):
    slope = numpyro.sample("slope", dist.Normal(0.0, 2.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    numpyro.deterministic("twice", 2 * slope)
    with numpyro.plate("N", len(x)):
        numpyro.sample("y", dist.Normal(slope * x, sigma), obs=y)


def standard_normal(dim):
    numpyro.sample("z", dist.Normal(jnp.zeros(dim), 1.0).to_event(1))


def supports(y):
    numpyro.sample("unit", dist.Beta(2.0, 3.0))
    numpyro.sample(
        "ordered",
        dist.TransformedDistribution(
            dist.Normal(jnp.zeros(3), 1.0).to_event(1), dist.transforms.OrderedTransform()
        ),
    )
    numpyro.sample("corr", dist.LKJCholesky(3, 2.0))
    interval = numpyro.sample("interval", dist.Uniform(-1.0, 2.0))
    simplex = numpyro.sample("simplex", dist.Dirichlet(jnp.array([1.0, 2.0, 3.0])))
    numpyro.sample("y", dist.Normal(interval + simplex[0], 1.0), obs=y)


def weighted(y, keep):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.factor("extra", -0.5 * mu**4)
    with handlers.scale(scale=2.0), numpyro.plate("N", len(y)), handlers.mask(mask=keep):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def hidden_markov(y):
    stay = numpyro.sample("stay", dist.Beta(2.0, 2.0))
    rows = jnp.stack([jnp.stack([stay, 1 - stay]), jnp.stack([1 - stay, stay])])
    state = 0
    for t in markov(range(len(y))):
        state = numpyro.sample(f"z_{t}", dist.Categorical(rows[state]), infer={"enumerate": "parallel"})
        numpyro.sample(f"y_{t}", dist.Normal(2.0 * state, 1.0), obs=y[t])


def crashes(y):
    numpyro.sample("mu", dist.Normal(0.0, 1.0))
    os._exit(7)


def chatters(y):
    print("a model that prints")
    numpyro.sample("mu", dist.Normal(0.0, 1.0))
