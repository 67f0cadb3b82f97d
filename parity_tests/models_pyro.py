"""Small Pyro models of different kinds; ``models_numpyro`` holds the same ones."""

import os

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine


def regression(x, y):
    slope = pyro.sample("slope", dist.Normal(0.0, 2.0))
    sigma = pyro.sample("sigma", dist.HalfNormal(1.0))
    pyro.deterministic("twice", 2 * slope)
    with pyro.plate("N", len(x)):
        pyro.sample("y", dist.Normal(slope * x, sigma), obs=y)


def standard_normal(dim):
    pyro.sample("z", dist.Normal(torch.zeros(dim), 1.0).to_event(1))


def supports(y):
    pyro.sample("unit", dist.Beta(2.0, 3.0))
    pyro.sample(
        "ordered",
        dist.TransformedDistribution(
            dist.Normal(torch.zeros(3), 1.0).to_event(1), dist.transforms.OrderedTransform()
        ),
    )
    pyro.sample("corr", dist.LKJCholesky(3, 2.0))
    interval = pyro.sample("interval", dist.Uniform(-1.0, 2.0))
    simplex = pyro.sample("simplex", dist.Dirichlet(torch.tensor([1.0, 2.0, 3.0])))
    pyro.sample("y", dist.Normal(interval + simplex[0], 1.0), obs=y)


def weighted(y, keep):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    pyro.factor("extra", -0.5 * mu**4)
    with poutine.scale(scale=2.0), pyro.plate("N", len(y)), poutine.mask(mask=keep):
        pyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def hidden_markov(y):
    stay = pyro.sample("stay", dist.Beta(2.0, 2.0))
    rows = torch.stack([torch.stack([stay, 1 - stay]), torch.stack([1 - stay, stay])])
    state = 0
    for t in pyro.markov(range(len(y))):
        state = pyro.sample(f"z_{t}", dist.Categorical(rows[state]), infer={"enumerate": "parallel"})
        pyro.sample(f"y_{t}", dist.Normal(2.0 * state, 1.0), obs=y[t])


def crashes(y):
    pyro.sample("mu", dist.Normal(0.0, 1.0))
    os._exit(7)


def chatters(y):
    print("a model that prints")
    pyro.sample("mu", dist.Normal(0.0, 1.0))
