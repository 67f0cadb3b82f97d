"""The evidence lower bound: both libraries' estimates beside the exact one, and gradients that one side lost."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries, numbers

Y = np.array([0.4, 1.3, 0.9])
DATA = {"y": Y}
# m ~ N(0, 1) and y ~ N(m, 1), approximated by N(loc, scale^2).
SETTINGS = [
    {"loc": np.array(0.2), "scale": np.array(0.7)},
    {"loc": np.array(0.65), "scale": np.array(0.5)},  # the posterior itself: every draw's bound is log p(y)
]


def model(ppl: str, constant: float = 0.0) -> Callable:
    def written(y):
        library, dist = libraries(ppl)
        m = library.sample("m", dist.Normal(0.0, 1.0))
        if constant:
            library.factor("constant", numbers(ppl).zeros_like(y[0]) + constant)
        with library.plate("rows", 3):
            library.sample("y", dist.Normal(m, 1.0), obs=y)

    return written


def guide(ppl: str, *, detached: str | None = None, shift: float = 0.0) -> Callable:
    def written(y):
        library, dist = libraries(ppl)

        def param(name: str, value: float, **options: Any) -> Any:
            found = library.param(name, y[0] * 0 + value, **options)
            if name != detached:
                return found
            return found.detach() if ppl == "pyro" else stopped(found)

        loc = param("loc", 0.1)
        scale = param("scale", 0.8, constraint=dist.constraints.positive)
        library.sample("m", dist.Normal(loc + shift, scale))

    return written


def stopped(value: Any) -> Any:
    import jax

    return jax.lax.stop_gradient(value)


def exact(loc: float, scale: float) -> tuple[float, float, float]:
    """E[log p(y, m) - log q(m)], and its derivatives in loc and scale."""
    terms = -0.5 * np.log(2 * np.pi) - 0.5 * ((Y - loc) ** 2 + scale**2)
    prior = -0.5 * np.log(2 * np.pi) - 0.5 * (loc**2 + scale**2)
    entropy = 0.5 * np.log(2 * np.pi * np.e) + np.log(scale)
    return terms.sum() + prior + entropy, (Y - loc).sum() - loc, 1 / scale - 4 * scale


def test_estimates_are_the_exact_bound_and_gradient_in_the_mean(backend: Any) -> None:
    num_draws = 600
    bounds, slopes = backend.elbo(
        model(backend.NAME), guide(backend.NAME), DATA, SETTINGS, num_draws=num_draws, seed=3
    )
    assert bounds.shape == (2, num_draws)
    assert {n: v.shape for n, v in slopes.items()} == {
        "loc": (2, num_draws),
        "scale": (2, num_draws),
    }
    for p, at in enumerate(SETTINGS):
        wanted = exact(float(at["loc"]), float(at["scale"]))
        for draws, value in zip((bounds[p], slopes["loc"][p], slopes["scale"][p]), wanted, strict=True):
            error = draws.std() / np.sqrt(num_draws)
            assert abs(draws.mean() - value) <= 4 * error + 1e-9
    log_evidence = np.log(0.5) - 1.5 * np.log(2 * np.pi) - 0.5 * (np.sum(Y**2) - np.sum(Y) ** 2 / 4)
    np.testing.assert_allclose(bounds[1], log_evidence, rtol=1e-9)


def test_the_same_seed_draws_the_same(backend: Any) -> None:
    def bound(seed: int) -> np.ndarray:
        return backend.elbo(
            model(backend.NAME), guide(backend.NAME), DATA, SETTINGS[:1], num_draws=5, seed=seed
        )[0]

    np.testing.assert_array_equal(bound(1), bound(1))
    assert not np.array_equal(bound(1), bound(2))


def test_no_gradient_where_a_draw_has_no_pathwise_derivative(backend: Any) -> None:
    def counted(y):
        library, dist = libraries(backend.NAME)
        m = library.sample("m", dist.Normal(0.0, 1.0))
        k = library.sample("k", dist.Poisson(2.0))
        library.sample("y", dist.Normal(m + k, 1.0), obs=y[0])

    def guided(y):
        library, dist = libraries(backend.NAME)
        library.sample("m", dist.Normal(library.param("loc", y[0] * 0), 1.0))
        library.sample("k", dist.Poisson(3.0))

    bounds, slopes = backend.elbo(counted, guided, DATA, [{"loc": np.array(0.5)}], num_draws=4, seed=0)
    assert np.all(np.isfinite(bounds))
    assert slopes == {}


def test_the_steps_that_are_timed_learn(backend: Any) -> None:
    timing = importlib.import_module(f"{backend.NAME}_impl.timing")
    learns = timing.learning(model(backend.NAME), guide(backend.NAME), DATA)
    learns.many(1)
    first = dict(learns.learned)
    learns.many(1500)
    assert abs(first["loc"] - 0.1) < 0.02  # from where the params begin
    assert abs(learns.learned["loc"] - 0.65) < 0.1  # to the posterior's
    assert abs(learns.learned["scale"] - 0.5) < 0.1


@pytest.mark.pyro
class TestTheRung:
    """Both sides' estimates, held to each other."""

    def judged(self, sides: Any, *, rungs: Any = ("density", "guide", "elbo"), **wrong: Any) -> Any:
        from ppl_parity import check

        constant = wrong.pop("constant", 0.0)
        guides = {"pyro": guide("pyro"), "numpyro": guide("numpyro", **wrong)}
        both = model("pyro"), model("numpyro", constant)
        return check(*both, DATA, guides=guides, rungs=rungs, sides=sides)

    def test_one_bound_is_the_same(self, sides: Any) -> None:
        report = self.judged(sides)
        assert report.verdict == "same"
        (rung,) = [each for each in report.rungs if each.name == "elbo"]
        assert {each.site for each in rung.findings} == {None, "loc", "scale"}

    @pytest.mark.parametrize("name", ["loc", "scale"])
    def test_a_gradient_that_does_not_flow_is_found_at_its_param(self, sides: Any, name: str) -> None:
        from ppl_parity.report.wording import conclusion

        report = self.judged(sides, detached=name)
        first = report.first_difference
        assert (first["rung"], first["site"]) == ("elbo", name)
        assert "stop_gradient" in first["hint"]
        assert conclusion(report) == "The models agree, and the guides: their bounds differ"

    @pytest.mark.long
    def test_a_constant_of_one_side_s_density_is_no_difference_of_the_bounds(self, sides: Any) -> None:
        report = self.judged(sides, constant=2.5)
        assert [rung.verdict for rung in report.rungs] == ["same"] * 3

    def test_without_the_exact_rungs_the_bounds_alone_part(self, sides: Any) -> None:
        first = self.judged(sides, rungs=("elbo",), shift=0.6).first_difference
        assert first["site"] is None
        assert "evidence lower bound" in first["detail"]
        assert "densities of models and guides first" in first["hint"]

    def test_a_beta_s_gradient_is_compared_in_the_mean(self, sides: Any) -> None:
        from parity_tests.pairs.guides import fairness
        from ppl_parity import check

        def detached(heads):
            numpyro, dist = libraries("numpyro")
            a = numpyro.param("a", 15.0, constraint=dist.constraints.positive)
            b = numpyro.param("b", 12.0, constraint=dist.constraints.positive)
            numpyro.sample("fairness", dist.Beta(stopped(a), b))

        report = check(
            fairness.pyro_model,
            fairness.numpyro_model,
            fairness.data(),
            guides={"pyro": fairness.pyro_guide, "numpyro": detached},
            rungs=("guide", "elbo"),
            sides=sides,
        )
        first = report.first_difference
        assert (first["rung"], first["site"], first["quantity"]) == ("elbo", "a", "gradient of the bound")
        assert "and 0 in numpyro" in first["detail"]
