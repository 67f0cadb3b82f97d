"""Where a side has latent sites of its own, what hangs on none of them is compared exactly, and named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro
SCHOOLS = {"y": np.array([28.0, 8.0, -3.0, 7.0])}
QUICK = {"rungs": ["structure", "density", "enumeration"]}


def schools(ppl: str, *, scale: float = 5.0, centred: bool = True, factor: bool = False) -> Callable:
    """A root, a site that hangs on it, and effects that one side computes, unrecorded, from a site of its own."""

    def model(y):
        library, dist = libraries(ppl)
        tau = library.sample("tau", dist.HalfCauchy(scale))
        mu = library.sample("mu", dist.Normal(0.0, 1.0 + tau))
        if factor:
            library.factor("more", -tau)
        with library.plate("schools", 4):
            if centred:
                theta = library.sample("theta", dist.Normal(mu, tau))
            else:
                theta = mu + tau * library.sample("raw", dist.Normal(0.0, 1.0))
            library.sample("y", dist.Normal(theta, 10.0), obs=y)

    return model


def test_what_is_shared_and_right_is_told(sides: dict[str, Side]) -> None:
    report = check(schools("pyro"), schools("numpyro", centred=False), SCHOOLS, sides=sides, **QUICK)
    assert report.verdict == "unresolved"
    assert report.first_difference is None
    assert any("exactly: 'tau', 'mu'." in finding.detail for finding in told(report, "density"))


def test_a_prior_that_differs_needs_no_draws(sides: dict[str, Side]) -> None:
    models = schools("pyro"), schools("numpyro", scale=2.5, centred=False)
    report = check(*models, SCHOOLS, sides=sides, **QUICK)
    first = report.first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", "tau")
    assert "its scale is 5 in pyro and 2.5 in numpyro" in first["hint"]


def test_beside_a_factor_it_says_nothing(sides: dict[str, Side]) -> None:
    models = schools("pyro", factor=True), schools("numpyro", scale=2.5, centred=False, factor=True)
    report = check(*models, SCHOOLS, sides=sides, **QUICK)
    assert report.first_difference is None
    assert not any("on no latent site of one side's own" in f.detail for f in told(report, "density"))


def turned(ppl: str) -> Callable:
    """One joint prior written in two orders: no density of a site is the other side's."""

    def model(y):
        library, dist = libraries(ppl)
        root = numbers(ppl).sqrt
        one = numbers(ppl).ones(())
        if ppl == "pyro":
            a = library.sample("a", dist.Normal(0.0, 1.0))
            own = library.sample("own", dist.Normal(a, 1.0))
            b = library.sample("b", dist.Normal(own, 1.0))
        else:
            b = library.sample("b", dist.Normal(0.0, root(3 * one)))
            a = library.sample("a", dist.Normal(b / 3, root(2 * one / 3)))
            other = library.sample("other", dist.Normal((a + b) / 2, root(one / 2)))
            del other
        library.sample("y", dist.Normal(a + b, 1.0), obs=y)

    return model


def test_one_prior_in_two_orders_is_no_difference(sides: dict[str, Side]) -> None:
    report = check(turned("pyro"), turned("numpyro"), {"y": np.array(0.4)}, sides=sides, **QUICK)
    assert report.first_difference is None


def mixture(ppl: str, scale: float = 2.0) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        weights = array.ones(2) / 2
        sigma = library.sample("sigma", dist.HalfNormal(scale))
        means = array.arange(2.0) * sigma
        with library.plate("rows", len(y)):
            if ppl == "pyro":
                z = library.sample("z", dist.Categorical(weights), infer={"enumerate": "parallel"})
                library.sample("y", dist.Normal(means[z], 1.0), obs=y)
            else:
                parts = dist.Normal(means, 1.0)
                library.sample("y", dist.MixtureSameFamily(dist.Categorical(weights), parts), obs=y)

    return model


@pytest.mark.long
def test_a_sum_that_differs_is_blamed_on_the_prior_that_does(sides: dict[str, Side]) -> None:
    data = {"y": np.array([0.1, 2.2, 1.9])}
    assert check(mixture("pyro"), mixture("numpyro"), data, sides=sides, **QUICK).verdict == "same"
    first = check(mixture("pyro"), mixture("numpyro", 1.0), data, sides=sides, **QUICK).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("enumeration", "sigma")
    assert "its scale is 2 in pyro and 1 in numpyro" in first["hint"]


def likely(ppl: str, *, centred: bool) -> Callable:
    """What is shared is right, and differs by a library's clamp, or float32's digits, at many a prior draw."""

    def model(x, won, y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        w = library.sample("w", dist.Normal(0.0, 10.0))
        chance = array.sigmoid(w * x) if ppl == "pyro" else 1 / (1 + array.exp(-w * x))
        library.sample("won", dist.Bernoulli(probs=chance).to_event(1), obs=won)
        if centred:
            b = library.sample("b", dist.Normal(0.0, 2.0))
        else:
            b = 2 * library.sample("raw", dist.Normal(0.0, 1.0))
        library.sample("y", dist.Normal(b, 1.0), obs=y)

    return model


def test_a_library_s_clamp_is_no_difference_of_what_is_shared(sides: dict[str, Side]) -> None:
    x = np.linspace(-5.0, 5.0, 12)
    data = {"x": x, "won": (x > 0.3).astype(float), "y": np.array(0.4)}
    report = check(likely("pyro", centred=True), likely("numpyro", centred=False), data, sides=sides, **QUICK)
    assert report.first_difference is None


def rarely(ppl: str, share: float = 0.02) -> Callable:
    """A switch that is seldom turned, or summed over by hand."""

    def model(y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        m = library.sample("m", dist.Normal(0.0, 1.0))
        if ppl == "pyro":
            u = library.sample("u", dist.Uniform(0.0, 1.0))
            library.sample("y", dist.Normal(array.where(u < share, m + 5, m), 1.0), obs=y)
        else:
            weights = array.array([share, 1 - share])
            parts = dist.Normal(array.stack([m + 5, m]), 1.0)
            library.sample("y", dist.MixtureSameFamily(dist.Categorical(probs=weights), parts), obs=y)

    return model


def test_what_hangs_on_a_rare_case_is_not_taken_for_shared(sides: dict[str, Side]) -> None:
    report = check(rarely("pyro"), rarely("numpyro"), {"y": np.array(0.4)}, sides=sides, **QUICK)
    assert report.first_difference is None
