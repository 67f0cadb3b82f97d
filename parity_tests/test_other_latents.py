"""Pairs whose latent sites differ, so that draws alone decide: right ports among them, and wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries, told
from ppl_parity import check
from ppl_parity.findings import Report
from ppl_parity.ladder.context import CheckSettings
from ppl_parity.ladder.samples import exchangeable
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.preparing import prepare
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import conclusion

RUNGS = ["structure", "density", "forward"]
pytestmark = pytest.mark.pyro


def judged(
    write: Callable[..., Any], y: Any, sides: dict[str, Side], rungs: list[str], **settings: Any
) -> Report:
    """The report on ``write(library, dist, ppl, y)``, which is a model in either library."""

    def model(ppl: str) -> Callable:
        def written(y):
            library, dist = libraries(ppl)
            write(library, dist, ppl, y)

        return written

    data = {"y": np.asarray(y)}
    chosen = CheckSettings(**{"budget": 60.0, **settings})
    return check(model("pyro"), model("numpyro"), data, rungs=rungs, settings=chosen, sides=sides)


@pytest.mark.long
def test_a_site_that_one_side_has_integrated_out_is_no_difference(sides: dict[str, Side]) -> None:
    def write(library, dist, ppl, y):
        mu = library.sample("mu", dist.Normal(0.0, 2.0))
        tau = library.sample("tau", dist.Gamma(4.0, 2.0))
        with library.plate("rows", len(y)):
            if ppl == "pyro":
                theta = library.sample("theta", dist.Normal(mu, tau))
                library.sample("y", dist.Normal(theta, 1.0), obs=y)
            else:
                library.sample("y", dist.Normal(mu, (tau**2 + 1) ** 0.5), obs=y)

    report = judged(
        write, 1 + 2 * np.random.default_rng(2).normal(size=12), sides, [*RUNGS, "posterior"], margin=0.3
    )
    assert report.verdict == "same"
    assert "in what both have" in conclusion(report)
    assert any("pyro alone has 'theta'" in each.detail for each in told(report, "posterior"))


@pytest.mark.long
def test_a_wrong_scale_within_what_neither_records_is_seen_in_the_likelihood(sides: dict[str, Side]) -> None:
    def write(library, dist, ppl, y):
        mu = library.sample("mu", dist.Normal(0.0, 5.0))
        tau = library.sample("tau", dist.LogNormal(1.4, 0.1))
        with library.plate("rows", len(y)):
            if ppl == "pyro":
                theta = library.sample("theta", dist.Normal(mu, tau))
            else:
                theta = mu + 0.3 * tau * library.sample("z", dist.Normal(0.0, 1.0))
            library.sample("y", dist.Normal(theta, 10.0), obs=y)

    report = judged(write, [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0], sides, [*RUNGS, "posterior"])
    assert report.verdict == "different"


@pytest.mark.long
def test_chains_that_are_stuck_where_nothing_is_shared_decide_nothing(sides: dict[str, Side]) -> None:
    def write(library, dist, ppl, y):
        a = 5 * library.sample("z" if ppl == "numpyro" else "a", dist.Normal(0.0, 1.0))
        with library.plate("rows", len(y)):
            library.sample("y", dist.Normal(abs(a) + 0.3 * a, 1.0), obs=y)

    report = judged(
        write, 4 + np.random.default_rng(0).normal(size=20), sides, [*RUNGS, "posterior"], budget=2.0
    )
    assert report.verdict == "unresolved"
    assert any(each.site in ("a", "z") and "R-hat" in each.detail for each in told(report, "posterior"))


def test_a_correlation_that_a_port_has_lost_is_found_among_many_scalars(sides: dict[str, Side]) -> None:
    size = 25
    covariance = np.eye(size)
    covariance[3, 8] = covariance[8, 3] = 0.6

    def write(library, dist, ppl, y):
        if ppl == "pyro":
            b = library.sample("b", dist.MultivariateNormal(y.new_zeros(size), y.new_tensor(covariance)))
        else:
            b = library.deterministic(
                "b", library.sample("z", dist.Normal(0.0, 1.0).expand([size]).to_event(1))
            )
        library.sample("y", dist.Normal(b[0], 10.0), obs=y)

    report = judged(write, 6.0, sides, ["structure", "forward"])  # the density would see it before
    assert report.verdict == "different"
    assert any(
        "ranks of b[3] and b[8]" in f.detail for f in told(report, "forward") if f.verdict == "different"
    )


@pytest.mark.long
def test_torchs_own_sampler_of_correlations_is_no_fault_of_the_port(sides: dict[str, Side]) -> None:
    def write(library, dist, ppl, y):
        factor = library.sample("L", dist.LKJCholesky(3, 2.0))
        library.deterministic("corr", factor @ factor.T)  # a diagonal of ones, up to rounding
        with library.plate("rows", len(y)):
            library.sample("y", dist.MultivariateNormal(0 * y[0], scale_tril=factor), obs=y)

    report = judged(write, np.random.default_rng(0).normal(size=(20, 3)), sides, RUNGS)
    assert report.verdict == "same"
    assert any("torch's sampler" in each.detail for each in told(report, "forward"))


@pytest.mark.long
@pytest.mark.parametrize(("more", "verdict"), [(0, "same"), (2, "different")])
def test_an_integer_that_is_computed_is_compared_in_the_posterior(
    more: int, verdict: str, sides: dict[str, Side]
) -> None:
    def write(library, dist, ppl, y):
        m = library.sample("m", dist.Normal(0.0, 1.0))
        count = (4 * m).long() if ppl == "pyro" else (4 * m).astype(int) + more
        library.deterministic("count", count)
        library.sample("y", dist.Normal(m, 10.0), obs=y)

    report = judged(write, 6.0, sides, ["posterior"], budget=60.0, margin=0.3)
    assert report.verdict == verdict
    assert {each.site for each in told(report, "posterior") if each.size is not None} >= {"count"}


def test_what_one_side_computes_may_be_declared_exchangeable(sides: dict[str, Side]) -> None:
    def model(ppl: str) -> Callable:
        def written(y):
            library, dist = libraries(ppl)
            with library.plate("components", 2):
                if ppl == "pyro":
                    m = library.sample("m", dist.Normal(0.0, 3.0))
                else:
                    m = library.deterministic("m", 3.0 * library.sample("z", dist.Normal(0.0, 1.0)))
            with library.plate("rows", len(y)):
                library.sample("y", dist.Normal(abs(m[0] - m[1]), 1.0), obs=y)

        return written

    data: dict[str, dict[str, Any]] = {side: {"y": np.array([3.8, 4.1])} for side in SIDES}
    models = {side: CallableReference.of(model(side)) for side in SIDES}
    pair = Pair("computed", models, data, exchangeable=("m",))
    context = prepare(pair, CheckSettings(), sides, ["posterior"], lambda _: None)
    components = exchangeable.find(context)
    assert components is not None
    assert (components.axes, components.count, components.declared) == ({"m": (0,)}, 2, True)
    rng = np.random.default_rng(0)
    orders = np.array([[-2.0, 2.0], [2.0, -2.0], [2.0, -2.0], [-2.0, 2.0]])  # a mode of its own in each chain
    draws = {side: {"m": orders[:, None] + 0.1 * rng.normal(size=(4, 300, 2))} for side in SIDES}
    named = exchangeable.renamed(components, draws, None)
    assert all(np.ptp(named[side]["m"], axis=(0, 1)).max() < 1.0 for side in SIDES)
