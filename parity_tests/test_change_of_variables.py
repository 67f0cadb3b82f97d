"""A side that computes what the other draws is compared exactly: right ports of many forms, and wrong ones, named."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.reparameterised import (
    CURVE,
    DATA,
    LINE,
    LOWER,
    SQUARED,
    Written,
    effects,
    hyper,
    judged,
    of_rows,
    standard,
    walk,
)
from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.checking import CheckSettings
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro


def chained(library, dist, lib, computes, *, slope=0.5):
    """The second effect hangs on the first; both are computed, each of a site of its own."""
    mu, tau = hyper(library, dist)
    if computes:
        a = library.deterministic("a", mu + tau * library.sample("za", dist.Normal(0.0, 1.0)))
        b = library.deterministic("b", slope * a + library.sample("zb", dist.Normal(0.0, 1.0)))
    else:
        a = library.sample("a", dist.Normal(mu, tau))
        b = library.sample("b", dist.Normal(0.5 * a, 1.0))
    return lib.stack([a, b])


def together(library, dist, lib, computes, *, spread=0.8):
    """Two effects that are computed of one site."""
    mu, tau = hyper(library, dist)
    if computes:
        z = library.sample("z", dist.Normal(lib.zeros(2), 1.0).to_event(1))
        a = library.deterministic("a", mu + tau * z[0])
        b = library.deterministic("b", 0.5 * z[0] + spread * z[1])
    else:
        a = library.sample("a", dist.Normal(mu, tau))
        b = library.sample("b", dist.Normal(0.5 * (a - mu) / tau, 0.8))
    return lib.stack([a, b])


LOST = effects(lambda lib, mu, tau, z: tau * z, lambda dist, mu, tau: dist.Normal(mu, tau))
LOG = effects(
    lambda lib, mu, tau, z: lib.exp(mu + 2 * tau * z), lambda dist, mu, tau: dist.LogNormal(mu, tau)
)
TAILS = effects(lambda lib, mu, tau, z: mu + tau * z, lambda dist, mu, tau: dist.StudentT(3.0, mu, tau))


@pytest.mark.parametrize("computing", SIDES)
@pytest.mark.parametrize(
    "write",
    [
        LINE,
        of_rows,
        together,
        *(pytest.param(each, marks=pytest.mark.long) for each in (CURVE, walk, chained)),
    ],
)
def test_a_right_port_is_the_same_on_the_exact_rungs(
    write: Written, computing: str, sides: dict[str, Side]
) -> None:
    report = judged(write, sides, computing)
    assert report.verdict == "same", str(report)
    (note,) = (f for f in told(report, "density") if f.quantity == "change of variables")
    assert note.notable
    assert f"{computing} computes" in note.detail
    assert told(report, "density")[-1].size is not None


@pytest.mark.parametrize("computing", SIDES)
@pytest.mark.parametrize(
    ("write", "cause"),
    [(SQUARED, "squared"), (LOST, "its loc"), (LOG, "its scale"), (TAILS, "StudentT")],
    ids=["a variance", "no mean", "a wrong log scale", "other tails"],
)
def test_a_wrong_map_is_named(write: Written, cause: str, computing: str, sides: dict[str, Side]) -> None:
    first = judged(write, sides, computing).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", "u")
    assert cause in first["hint"] or (
        (cause, computing) == ("squared", "pyro") and "square root" in first["hint"]
    )


@pytest.mark.parametrize(
    ("write", "site", "cause"),
    [
        (lambda *given: chained(*given, slope=0.6), "b", "its loc"),
        (
            lambda *given: together(*given, spread=0.9),
            "a",
            "'a', 'b', together, are computed of 'z' in numpyro",
        ),
    ],
    ids=["the second of two", "two of one"],
)
def test_of_many_the_wrong_one_is_named(
    write: Written, site: str, cause: str, sides: dict[str, Side]
) -> None:
    first = judged(write, sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", site)
    assert cause in first["hint"]


def test_a_scale_of_a_scale_family_is_named(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes):
        if computes:
            return library.deterministic("u", 2.5 * library.sample("z", dist.HalfCauchy(1.0)))
        return library.sample("u", dist.HalfCauchy(5.0))

    first = judged(write, sides).first_difference
    assert first is not None
    assert "its scale is 5 in pyro and 2.5 in numpyro" in first["hint"]


def test_a_detached_value_is_seen_in_the_gradient(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes):
        mu, _ = hyper(library, dist)
        if computes:
            kept = import_module("jax.lax").stop_gradient(mu)
            return library.deterministic("u", mu + library.sample("z", dist.Normal(0.0, 1.0))) + kept - mu
        return library.sample("u", dist.Normal(mu, 1.0))

    first = judged(write, sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("gradient", "mu")
    assert "along a direction of 'mu'" in first["detail"]


@pytest.mark.long
@pytest.mark.parametrize(("spread", "verdict"), [(1.0, "same"), (1.1, "different")])
def test_discrete_sites_are_summed_out_beside_it(spread: float, verdict: str, sides: dict[str, Side]) -> None:
    def mixture(ppl: str) -> Callable:
        def written(y, x):
            library, dist = libraries(ppl)
            mu, tau = hyper(library, dist)
            if ppl == "pyro":
                with library.plate("effects", 2):
                    u = library.sample("u", dist.Normal(mu, tau))
            else:
                u = library.deterministic("u", mu + spread * tau * standard(library, dist))
            with library.plate("rows", 4):
                weights = dist.Categorical(numbers(ppl).asarray([0.3, 0.7]))
                c = library.sample("c", weights, infer={"enumerate": "parallel"})
                library.sample("y", dist.Normal(u[c], 1.0), obs=y)

        return written

    # Given the assignments, and with them summed out: one sum of the other is off by as much, and hides nothing.
    rungs = ["structure", "density", "enumeration"]
    settings = CheckSettings(keep_going=True)
    report = check(*map(mixture, SIDES), DATA, rungs=rungs, settings=settings, sides=sides)
    assert [rung.verdict for rung in report.rungs[1:]] == [verdict, verdict], str(report)


@pytest.mark.parametrize("power", [1, 2])
def test_a_renamed_loop_is_held_to_a_running_sum_step_by_step(power: int, sides: dict[str, Side]) -> None:
    """Given the steps before, each has a density of its own on both sides, and a scale."""

    def loop(y, x):
        library, dist = libraries("pyro")
        tau, h = library.sample("tau", dist.HalfNormal(2.0)), 0.0
        for i in range(4):
            h = library.sample(f"state_{i}", dist.Normal(h, tau))
            library.sample(f"y_{i}", dist.Normal(h, 1.0), obs=y[i])

    def summed(y, x):
        library, dist = libraries("numpyro")
        tau = library.sample("tau", dist.HalfNormal(2.0))
        z = standard(library, dist, 4)
        h = library.deterministic("h", numbers("numpyro").cumsum(tau**power * z))
        with library.plate("rows", 4):
            library.sample("y", dist.Normal(h, 1.0), obs=y)

    options = {"level": "quick", "sides": sides, "rename": {"state_*": "h"}}
    first = check(loop, summed, DATA, **options).first_difference
    if power == 1:
        assert first is None
    else:
        assert first is not None
        assert "The step shown is 'state_" in first["detail"]
        assert "numpyro's is pyro's squared" in first["hint"]


def test_another_layout_of_what_is_drawn_is_no_other_cause(sides: dict[str, Side]) -> None:
    """Rows of a multivariate normal, of standard normals that lie the other way round: one block, and six rows."""

    def rows(library, dist, lib, computes):
        _, tau = hyper(library, dist)
        factor = lib.asarray(LOWER) * tau
        if computes:
            z = library.sample("z", dist.Normal(lib.zeros((2, 4)), 1.0).to_event(2))
            return library.deterministic("u", (factor.T @ z).T)  # the wrong triangle
        with library.plate("rows of u", 4):
            return library.sample("u", dist.MultivariateNormal(lib.zeros(2), scale_tril=factor))

    first = judged(rows, sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", "u")
    assert "covariance is L' L, and pyro's L L', of one factor L" in first["hint"]


def test_an_axis_of_length_one_is_no_other_site(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes):
        mu, tau = hyper(library, dist)
        if computes:
            return library.deterministic("u", mu + tau * standard(library, dist))
        return library.sample("u", dist.Normal(mu + lib.zeros((2, 1)), tau).to_event(2))[:, 0]

    assert judged(write, sides).verdict == "same"


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_param_is_moved_here_too(power: float, sides: dict[str, Side]) -> None:
    """Its initial value is one, so that a power of it hides."""

    def write(library, dist, lib, computes):
        mu, tau = hyper(library, dist)
        a = library.param("a", lib.asarray(1.0))
        if computes:
            return library.deterministic("u", mu + a**power * tau * standard(library, dist))
        with library.plate("effects", 2):
            return library.sample("u", dist.Normal(mu, tau * abs(a)))

    report = judged(write, sides)
    if power:
        assert report.verdict == "same", str(report)
        assert any("at 6 other values the log densities agree" in f.detail for f in told(report, "density"))
    else:
        assert report.first_difference is not None
        assert "away from its initial value" in report.first_difference["detail"]


@pytest.mark.parametrize("computing", SIDES)
def test_a_point_of_the_user_s_counts(computing: str, sides: dict[str, Side]) -> None:
    """Given in the sites of the side that draws, it is followed back to those of the other."""

    def write(library, dist, lib, computes):
        mu, tau = hyper(library, dist)
        mean = lib.where(mu > 1000.0, 0.0, mu) if computes else mu
        if computes:
            return library.deterministic("u", mean + tau * standard(library, dist))
        with library.plate("effects", 2):
            return library.sample("u", dist.Normal(mu, tau))

    far = {"mu": 2000.0, "tau": 1.0} | (
        {"u": [2000.0, 2001.0]} if computing == "numpyro" else {"z": [0.0, 1.0]}
    )
    first = judged(write, sides, computing, points={"far": far}).first_difference
    assert first is not None
    assert first["point"] == "far"


@pytest.mark.parametrize("power", [1, 2])
def test_what_one_side_draws_the_other_may_compute(power: int, sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes):
        mu, tau = hyper(library, dist)
        if computes:
            return library.deterministic("u", mu + tau * standard(library, dist))
        with library.plate("effects", 2):
            u = library.sample("u", dist.Normal(mu, tau))
        library.deterministic("z", (u - mu) / tau**power)
        return u

    first = judged(write, sides).first_difference
    assert (first is None) if power == 1 else (first is not None and first["site"] == "z")


def test_what_is_drawn_and_not_used_leaves_no_density(sides: dict[str, Side]) -> None:
    """A running sum that is off by one: the last step moves nothing."""

    def write(library, dist, lib, computes):
        _, tau = hyper(library, dist)
        if computes:
            z = library.sample("z", dist.Normal(lib.zeros(2), 1.0).to_event(1))
            return library.deterministic("u", tau * (lib.cumsum(z, 0) - z))
        sums = lib.asarray(np.tril(np.ones((2, 2)))) * tau
        return library.sample("u", dist.MultivariateNormal(lib.zeros(2), scale_tril=sums))

    first = judged(write, sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", "u")
    assert "along one direction nothing moves" in first["detail"]
