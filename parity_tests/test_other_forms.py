"""The same density in another form: ordered outcomes, a gate's logits, a factor, a filter; and what is wrong in it."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro
RNG = np.random.default_rng(3)
RUNGS = ["structure", "density"]


def outcomes(ppl: str, order: int = 1) -> Callable:
    """Ordered outcomes, and their probabilities written out."""

    def model(x, y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        b = library.sample("b", dist.Normal(0.0, 1.0))
        cuts = array.arange(3.0) - 1.0
        if ppl == "pyro":
            made = dist.OrderedLogistic(b * x, cuts)
        else:
            below = 1 / (1 + array.exp((b * x)[:, None] - cuts))
            ends = array.zeros((len(x), 1))
            made = dist.Categorical(
                probs=array.diff(array.concatenate([ends, below, ends + 1], axis=1))[:, ::order]
            )
        with library.plate("rows", len(x)):
            library.sample("y", made, obs=y)

    return model


def test_ordered_outcomes_are_their_probabilities(sides: dict[str, Side]) -> None:
    data = {"x": RNG.normal(size=9), "y": RNG.integers(0, 4, 9)}
    assert check(outcomes("pyro"), outcomes("numpyro"), data, level="quick", sides=sides).verdict == "same"
    first = check(outcomes("pyro"), outcomes("numpyro", -1), data, rungs=RUNGS, sides=sides).first_difference
    assert first is not None
    assert first["hint"].endswith("numpyro's is pyro's reversed")


def gated(ppl: str, wrong: str = "") -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        g = library.sample("g", dist.Normal(0.0, 1.0))
        if ppl == "pyro":
            made = dist.ZeroInflatedPoisson(rate=numbers(ppl).full((5,), 2.0), gate_logits=g)
        else:
            gate = 1 / (1 + numbers(ppl).exp(g if wrong else -g))
            made = dist.ZeroInflatedPoisson(rate=numbers(ppl).full((5,), 2.0), gate=gate)
        with library.plate("rows", 5):
            library.sample("y", made, obs=y)

    return model


def test_a_gate_is_compared_whatever_it_is_given_as(sides: dict[str, Side]) -> None:
    data = {"y": np.array([0.0, 3.0, 0.0, 1.0, 2.0])}
    assert check(gated("pyro"), gated("numpyro"), data, rungs=RUNGS, sides=sides).verdict == "same"
    first = check(
        gated("pyro"), gated("numpyro", "1 - gate"), data, rungs=RUNGS, sides=sides
    ).first_difference
    assert first is not None
    assert "numpyro's is one minus pyro's" in first["hint"]


def censored(ppl: str, share: float = 1.0, scale: float = 2.0) -> Callable:
    """What was seen and what was cut off: a site and a factor, or one factor."""

    def model(t, seen):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        rate = library.sample("rate", dist.Gamma(scale, 1.0))
        if ppl == "pyro":
            with importlib.import_module("pyro").poutine.mask(mask=seen > 0):
                library.sample("t", dist.Exponential(rate).expand([len(t)]), obs=t)
            library.factor("cut", -(rate * t * (1 - seen)).sum())
        else:
            library.factor("all", (seen * array.log(rate) - share * rate * t).sum())

    return model


@pytest.mark.long
def test_sites_that_stand_for_others_are_compared_together(sides: dict[str, Side]) -> None:
    data = {"t": np.array([0.3, 1.2, 2.0, 0.7]), "seen": np.array([1.0, 0.0, 1.0, 0.0])}
    report = check(censored("pyro"), censored("numpyro"), data, rungs=RUNGS, sides=sides)
    assert report.verdict == "same", report.first_difference
    assert not any("agrees to" in finding.detail for finding in told(report, "density"))
    first = check(censored("pyro"), censored("numpyro", 1.5), data, rungs=RUNGS, sides=sides).first_difference
    assert first is not None
    assert (
        "'t', 'cut', in pyro alone, and 'all', in numpyro alone, may stand for each other" in first["detail"]
    )
    for name in ("t", "cut", "all"):  # a known difference may be declared of any of them
        known = {f"density/{name}": "on purpose"}
        models = censored("pyro"), censored("numpyro", 1.5)
        report = check(*models, data, rungs=RUNGS, sides=sides, known_differences=known)
        assert report.verdict == "same", report.first_difference
    # The fault of another site is not theirs.
    first = check(
        censored("pyro"), censored("numpyro", scale=3.0), data, rungs=RUNGS, sides=sides
    ).first_difference
    assert first is not None
    assert first["site"] == "rate"


def process(ppl: str, jitter: float = 1e-6) -> Callable:
    """A covariance that has hardly an inverse at many a prior draw."""

    def model(x, y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        height = library.sample("height", dist.LogNormal(0.0, 5.0))
        length = library.sample("length", dist.LogNormal(0.0, 2.0))
        apart = (x[:, None] - x[None]) / length
        if ppl == "pyro":
            kernel = height * array.exp(-(apart**2) / 2)
        else:
            kernel = array.exp(array.log(height) - apart * apart * 0.5)
        cov = kernel + jitter * array.eye(len(x))
        library.sample("y", dist.MultivariateNormal(array.zeros(len(x)), covariance_matrix=cov), obs=y)

    return model


@pytest.mark.parametrize(("jitter", "verdict"), [(1e-6, "same"), (2e-6, "different")])
def test_digits_that_a_covariance_has_lost_are_not_asked_for(
    sides: dict[str, Side], jitter: float, verdict: str
) -> None:
    x = np.linspace(-1.0, 1.0, 20)
    data = {"x": x, "y": np.sin(2 * x)}
    report = check(process("pyro"), process("numpyro", jitter), data, rungs=RUNGS, sides=sides)
    assert report.verdict == verdict, report.first_difference
    if verdict == "same":
        found = [finding.detail for finding in told(report, "density") if finding.quantity == "digits"]
        assert found
        assert (
            "a rounding of the latent values, or of a covariance made of them, moves the log density"
            in found[0]
        )


def certain(ppl: str) -> Callable:
    """Logits that are large, given for probabilities on one side: of some the logistic function is 1, exactly."""

    def model(x, y):
        library, dist = libraries(ppl)
        b = library.sample("b", dist.Normal(0.0, 50.0))
        given = {"logits" if ppl == "pyro" else "probs": b * x}
        with library.plate("rows", len(x)):
            library.sample("y", dist.Bernoulli(**given), obs=y)

    return model


def test_logits_given_for_probabilities_are_none(sides: dict[str, Side]) -> None:
    data = {"x": RNG.normal(size=9), "y": RNG.integers(0, 2, 9).astype(float)}
    first = check(certain("pyro"), certain("numpyro"), data, rungs=RUNGS, sides=sides).first_difference
    assert first is not None
    assert "numpyro's are no probabilities: logits that are taken for these?" in first["hint"]


def fixed(ppl: str, jitter: float = 1e-10) -> Callable:
    """A covariance that hangs on no latent site: no value that is moved by a rounding moves it."""

    def model(x, y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        b = library.sample("b", dist.Normal(0.0, 1.0))
        apart = x[:, None] - x[None]
        kernel = array.exp(-(apart**2) / 2) if ppl == "pyro" else array.exp(-0.5 * apart * apart)
        cov = kernel + jitter * array.eye(len(x))
        library.sample("y", dist.MultivariateNormal(b * array.ones(len(x)), covariance_matrix=cov), obs=y)

    return model


@pytest.mark.parametrize(("jitter", "verdict"), [(1e-10, "same"), (1.1e-10, "different")])
def test_a_fixed_covariance_s_condition_is_known(sides: dict[str, Side], jitter: float, verdict: str) -> None:
    x = np.linspace(-1.0, 1.0, 30)
    data = {"x": x, "y": np.sin(2 * x)}
    report = check(fixed("pyro"), fixed("numpyro", jitter), data, rungs=RUNGS, sides=sides)
    assert report.verdict == verdict, report.first_difference
