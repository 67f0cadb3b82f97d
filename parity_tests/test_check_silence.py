"""What a check was silent on: beside a known difference, under a library's limit, beside discrete sites, in a loop."""

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
RNG = np.random.default_rng(0)


def grouped(ppl: str, *, prior: float = 1.0, turn: int = 0, scale: float = 1.0) -> Callable:
    """Rows of three groups, and a site of its own that no latent site moves."""

    def model(y, v, g):
        library, dist = libraries(ppl)
        mu = library.sample("mu", dist.Normal(0.0, prior))
        b = library.sample("b", dist.Normal(numbers(ppl).zeros(3), 1.0).to_event(1))
        library.sample("y", dist.Normal(mu + b[(g + turn) % 3], 1.0).to_event(1), obs=y)
        with library.plate("rows", len(y)):
            library.sample("w", dist.Normal(mu + b[(g + turn) % 3], 1.0), obs=0.5 + 0 * y)
        library.sample("v", dist.Normal(0.0, scale), obs=v)

    return model


def test_a_known_difference_is_no_reason_to_be_silent_on_others(sides: dict[str, Side]) -> None:
    data = {"y": np.full(6, 0.3), "v": np.array(0.5), "g": np.array([0, 1, 2, 0, 1, 2])}
    known = dict.fromkeys(("density/mu", "gradient/mu", "dynamics"), "a wider prior, on purpose")
    models = grouped("pyro"), grouped("numpyro", prior=2.0, turn=1, scale=3.0)
    report = check(*models, data, level="quick", sides=sides, known_differences=known)
    assert report.verdict == "same", report.first_difference
    remarks = {finding.site: finding.detail for finding in told(report, "density") if finding.notable}
    assert "not row by row" in remarks["w"]
    assert "differ by the constant" in remarks["v"]


def counts(ppl: str, sign: float = 1.0) -> Callable:
    """Many rows of a family that a library makes to 1e-6 each; the first alone hangs on ``a``."""

    def model(y):
        library, dist = libraries(ppl)
        a = library.sample("a", dist.Normal(0.0, 1.0))
        array = numbers(ppl)
        first = array.arange(len(y)) == 0
        rate = array.where(first, array.exp(sign * 2e-3 * a), array.ones(len(y)))
        with library.plate("rows", len(y)):
            library.sample("y", dist.GammaPoisson(2.0, rate), obs=y)

    return model


def test_a_row_is_seen_under_what_a_library_s_limit_adds_up_to(sides: dict[str, Side]) -> None:
    data = {"y": RNG.negative_binomial(2, 0.5, 20_000).astype(float)}
    rungs = ["structure", "density"]
    assert check(counts("pyro"), counts("numpyro"), data, rungs=rungs, sides=sides).verdict == "same"
    first = check(counts("pyro"), counts("numpyro", -1.0), data, rungs=rungs, sides=sides).first_difference
    assert first is not None
    assert (first["site"], first["index"]) == ("y", [0])
    assert "in row 0 alone" in first["detail"]


def beside(ppl: str, times: float = 1.0) -> Callable:
    """A factor of a latent site that each side writes otherwise, beside a discrete one."""

    def model(y, w):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        mu = library.sample("mu" if ppl == "pyro" else "raw", dist.Normal(0.0, 1.0))
        library.factor("ll", dist.Normal(times * mu, 1.0).log_prob(y).sum())
        with library.plate("rows", 4):
            c = library.sample("c", dist.Bernoulli(array.ones(()) / 2), infer={"enumerate": "parallel"})
            library.sample("w", dist.Normal(2.0 * c, 1.0), obs=w)

    return model


def test_a_factor_that_is_compared_nowhere_is_unresolved(sides: dict[str, Side]) -> None:
    data = {"y": np.arange(4.0), "w": np.array([0.1, 2.0, 1.9, 0.2])}
    report = check(beside("pyro"), beside("numpyro", 3.0), data, rungs=["structure", "forward"], sides=sides)
    assert report.verdict == "unresolved"
    found = [finding for finding in told(report, "structure") if finding.site == "ll"]
    assert "beside 'c', which is discrete in pyro, and the latent sites differ" in found[0].detail


@pytest.mark.parametrize(("order", "verdict"), [(1, "same"), (-1, "different")])
def test_what_collects_the_steps_of_a_loop_is_these(sides: dict[str, Side], order: int, verdict: str) -> None:
    def loop(y):
        pyro, dist = libraries("pyro")
        torch = importlib.import_module("torch")
        x = torch.stack([pyro.sample(f"x_{i}", dist.Normal(0.0, 1.0)) for i in range(3)])
        pyro.deterministic("x", x if order == 1 else x.flip(0))
        pyro.sample("y", dist.Normal(x.sum(), 1.0), obs=y)

    def whole(y):
        numpyro, dist = libraries("numpyro")
        x = numpyro.sample("x", dist.Normal(numbers("numpyro").zeros(3), 1.0).to_event(1))
        numpyro.sample("y", dist.Normal(x.sum(), 1.0), obs=y)

    report = check(loop, whole, {"y": np.array(0.4)}, rungs=["structure", "density"], sides=sides)
    assert report.verdict == verdict
    if verdict == "different":
        assert report.first_difference is not None
        assert (report.first_difference["site"], report.first_difference["quantity"]) == (
            "x",
            "deterministic",
        )


def rare(ppl: str, slope: float) -> Callable:
    """Events of a probability between exp(-36), where torch clamps, and exp(-30)."""

    def model(y):
        library, dist = libraries(ppl)
        n = library.sample("n", dist.Poisson(3.0))
        chance = numbers(ppl).exp(-32 + slope * n)
        with library.plate("rows", 10):
            library.sample("y", dist.Bernoulli(probs=chance), obs=y)

    return model


@pytest.mark.parametrize(("slope", "verdict"), [(-0.1, "same"), (0.05, "different")])
def test_what_no_library_clamps_is_compared(sides: dict[str, Side], slope: float, verdict: str) -> None:
    data = {"y": np.array([1.0] + [0.0] * 9)}
    report = check(
        rare("pyro", -0.1), rare("numpyro", slope), data, rungs=["structure", "density"], sides=sides
    )
    assert report.verdict == verdict


def vague(ppl: str, *, probs: bool = False) -> Callable:
    """BUGS's vague prior, most of whose draws have no square; and, wrong, logits given for probabilities."""

    def model(n, r):
        library, dist = libraries(ppl)
        a = library.sample("a", dist.Normal(0.0, 1000.0))
        tau = library.sample("tau", dist.Gamma(0.001, 0.001))
        with library.plate("rows", 5):
            b = library.sample("b", dist.Normal(0.0, tau**-0.5))
            given = {"probs" if probs else "logits": a + b}
            library.sample("r", dist.Binomial(total_count=n, **given), obs=r)

    return model


@pytest.mark.long
@pytest.mark.parametrize(("probs", "verdict"), [(False, "same"), (True, "different")])
def test_draws_that_vanish_and_probabilities_that_are_none(
    sides: dict[str, Side], probs: bool, verdict: str
) -> None:
    data = {"n": np.array([9.0, 12.0, 30.0, 5.0, 8.0]), "r": np.array([3.0, 2.0, 20.0, 5.0, 0.0])}
    report = check(vague("pyro"), vague("numpyro", probs=probs), data, level="quick", sides=sides)
    assert report.verdict == verdict, report.first_difference
