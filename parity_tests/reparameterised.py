"""Models one side of which computes an effect that the other draws, for the tests of changes of variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity_tests.written import libraries, numbers
from ppl_parity import check
from ppl_parity.findings import Report
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.sides import Side

DATA = {
    "y": np.array([2.8, 0.8, -0.3, 0.7]),
    "x": np.array([[1.0, 0.3], [0.2, -1.0], [-0.7, 0.4], [0.1, 1.2]]),
}
LOWER = np.array([[1.0, 0.0], [0.5, 1.3]])

Written = Callable[[Any, Any, Any, bool], Any]


def model(ppl: str, write: Written, computes: bool) -> Callable:
    """``write``'s effect u beneath four observed rows; it is computed where ``computes``, else drawn."""

    def written(y, x):
        library, dist = libraries(ppl)
        mean = write(library, dist, numbers(ppl), computes)
        with library.plate("rows", 4):
            library.sample("y", dist.Normal((x * mean).sum(-1), 1.0), obs=y)

    return written


def judged(write: Written, sides: dict[str, Side], computing: str = "numpyro", **options: Any) -> Report:
    models = [model(side, write, side == computing) for side in SIDES]
    return check(*models, DATA, **{"level": "quick", "sides": sides, **options})


def hyper(library, dist):
    return library.sample("mu", dist.Normal(0.0, 3.0)), library.sample("tau", dist.HalfNormal(2.0))


def standard(library, dist, size=2):
    """``size`` standard normal numbers in a plate of their own."""
    with library.plate("effects", size):
        return library.sample("z", dist.Normal(0.0, 1.0))


def effects(value: Callable[..., Any], drawn: Callable[..., Any]) -> Written:
    """u computed as ``value(lib, mu, tau, z)``, or drawn from ``drawn(dist, mu, tau)``, two of them."""

    def write(library, dist, lib, computes):
        mu, tau = hyper(library, dist)
        if computes:
            return library.deterministic("u", value(lib, mu, tau, standard(library, dist)))
        with library.plate("effects", 2):
            return library.sample("u", drawn(dist, mu, tau))

    return write


def of_rows(library, dist, lib, computes):
    """Correlated rows: by a Cholesky factor, or as a multivariate normal."""
    _, tau = hyper(library, dist)
    factor = lib.asarray(LOWER) * tau
    with library.plate("rows of u", 4):
        if computes:
            z = library.sample("z", dist.Normal(lib.zeros(2), 1.0).to_event(1))
            return library.deterministic("u", z @ factor.T)
        return library.sample("u", dist.MultivariateNormal(lib.zeros(2), scale_tril=factor))


def walk(library, dist, lib, computes):
    """A random walk: a running sum of steps, or one multivariate normal; rows mix."""
    _, tau = hyper(library, dist)
    if computes:
        z = library.sample("z", dist.Normal(lib.zeros(2), 1.0).to_event(1))
        return library.deterministic("u", tau * lib.cumsum(z, 0))
    sums = lib.asarray(np.tril(np.ones((2, 2)))) * tau
    return library.sample("u", dist.MultivariateNormal(lib.zeros(2), scale_tril=sums))


LINE = effects(lambda lib, mu, tau, z: mu + tau * z, lambda dist, mu, tau: dist.Normal(mu, tau))
CURVE = effects(lambda lib, mu, tau, z: lib.exp(mu + tau * z), lambda dist, mu, tau: dist.LogNormal(mu, tau))
SQUARED = effects(lambda lib, mu, tau, z: mu + tau**2 * z, lambda dist, mu, tau: dist.Normal(mu, tau))
