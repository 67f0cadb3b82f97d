"""What is not followed from what one side draws to what the other computes: the draws decide, and it says why."""

from __future__ import annotations

from importlib import import_module

import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.reparameterised import LINE, hyper, judged, standard
from parity_tests.written import told
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_a_map_that_folds_is_left_to_the_draws(mean: float, sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes):
        if computes:
            return library.deterministic("u", abs(library.sample("z", dist.Normal(mean, 1.0))))
        return library.sample("u", dist.HalfNormal(1.0))

    report = judged(write, sides)
    assert report.verdict == "unresolved"
    assert report.first_difference is None


def test_beside_a_site_that_one_side_has_summed_out_the_draws_decide(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes):
        mu, tau = hyper(library, dist)
        chances = dist.Categorical(lib.asarray([0.3, 0.7]))
        if computes:
            u = library.deterministic("u", mu + tau * library.sample("z", dist.Normal(0.0, 1.0)))
            library.sample("c", chances, infer={"enumerate": "parallel"})  # nothing hangs on it
            return u
        return library.sample("u", dist.Normal(mu, tau))

    report = judged(write, sides)
    assert report.verdict == "unresolved"
    assert "one side alone sums over 'c'" in " ".join(f.detail for f in told(report, "density"))


def test_a_model_that_is_random_at_each_call_is_compared_on_no_rung(sides: dict[str, Side]) -> None:
    calls = []

    def write(library, dist, lib, computes):
        mu, tau = hyper(library, dist)
        calls.append(0)
        if computes:
            return library.deterministic("u", mu + tau * standard(library, dist))
        with library.plate("effects", 2):
            return library.sample("u", dist.Normal(mu, tau)) + 0.001 * len(calls)

    report = judged(write, sides)
    assert report.verdict == "unresolved"
    assert {f.quantity for f in told(report, "gradient")} == {"self-consistency"}


def test_a_simplex_is_left_to_the_draws(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes):
        if computes:
            z = library.sample("z", dist.Gamma(2 * lib.ones(2), 1.0).to_event(1))
            return library.deterministic("u", z / z.sum())
        return library.sample("u", dist.Dirichlet(2 * lib.ones(2)))

    assert judged(write, sides).verdict == "unresolved"


def test_where_rounding_hides_what_was_drawn_no_point_counts(sides: dict[str, Side]) -> None:
    """Most draws of this scale vanish beside the mean, and z with them."""

    def write(library, dist, lib, computes):
        tau = library.sample("tau", dist.Gamma(0.02, 0.02))
        mu = library.sample("mu", dist.Normal(0.0, 100.0))
        if computes:
            return library.deterministic("u", mu + tau * library.sample("z", dist.Normal(0.0, 1.0)))
        return library.sample("u", dist.Normal(mu, tau))

    report = judged(write, sides)
    assert report.verdict == "same", str(report)


def test_without_the_density_rung_the_draws_decide(sides: dict[str, Side]) -> None:
    report = judged(LINE, sides, rungs=["structure", "gradient"])
    assert report.verdict == "unresolved"


@pytest.mark.long
def test_a_detached_record_is_told_and_a_detached_model_is_different(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes, *, whole=False):
        mu, tau = hyper(library, dist)
        if not computes:
            with library.plate("effects", 2):
                return library.sample("u", dist.Normal(mu, tau))
        u = mu + tau * standard(library, dist)
        kept = library.deterministic("u", import_module("jax.lax").stop_gradient(u))
        return kept if whole else u

    report = judged(write, sides)
    assert report.verdict == "unresolved"
    assert "a detached value in what is recorded" in str(report)
    first = judged(lambda *given: write(*given, whole=True), sides).first_difference
    assert first is not None
    assert first["rung"] == "gradient"


@pytest.mark.parametrize(
    ("recorded", "advice"),
    [("v", 'rename = {"u": "v"}'), (None, "numpyro.deterministic('u', ...)")],
    ids=["under another name", "not at all"],
)
def test_what_would_help_is_told(recorded: str | None, advice: str, sides: dict[str, Side]) -> None:
    def write(library, dist, lib, computes):
        mu, tau = hyper(library, dist)
        if not computes:
            with library.plate("effects", 2):
                return library.sample("u", dist.Normal(mu, tau))
        u = mu + tau * standard(library, dist)
        return u if recorded is None else library.deterministic(recorded, u)

    report = judged(write, sides)
    assert report.verdict == "unresolved"
    assert advice in str(report)
    # Two sites of one family and shape, but not of one prior: the other reading comes first.
    assert str(report).index("re-parameterisation") < str(report).index("a renamed site")
    if recorded:
        assert judged(write, sides, rename={"u": recorded}).verdict == "same"
