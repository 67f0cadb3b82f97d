"""Rounding that is no difference: digits lost at an edge or far out, numbers of float32, sums that are huge."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests import fakes
from parity_tests.written import Y, libraries, numbers, told
from ppl_parity import check
from ppl_parity.frozen.freezing import freeze
from ppl_parity.frozen.side import FrozenSide
from ppl_parity.ladder.context import CheckSettings
from ppl_parity.ladder.exact import precision
from ppl_parity.ladder.exact.clamps import level_clamps
from ppl_parity.ladder.rungs import density
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines

pytestmark = pytest.mark.pyro


def test_digits_lost_near_the_edge_of_a_simplex_are_no_detached_value(sides: dict[str, Side]) -> None:
    def chain(ppl: str) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            eye = importlib.import_module({"pyro": "torch", "numpyro": "jax.numpy"}[ppl]).eye(4)
            with library.plate("rows", 4):
                p = library.sample("p", dist.Dirichlet(0.9 * eye + 0.1))
            library.sample("y", dist.Normal(p[..., 0].sum(), 1.0), obs=y)

        return model

    assert check(chain("pyro"), chain("numpyro"), {"y": Y["y"]}, level="quick", sides=sides).verdict == "same"


def test_a_detached_value_stays_one(sides: dict[str, Side]) -> None:
    def model(y):
        pyro, dist = libraries("pyro")
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(x.detach(), 1.0), obs=y)

    def port(y):
        numpyro, dist = libraries("numpyro")
        stop = importlib.import_module("jax.lax").stop_gradient
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(stop(x), 1.0), obs=y)

    report = check(model, port, {"y": Y["y"]}, level="quick", sides=sides)
    assert report.first_difference is not None
    assert report.first_difference["quantity"] == "numerical derivative"


def test_data_cast_to_float32_are_judged_as_that(sides: dict[str, Side]) -> None:
    x = {"x": np.linspace(0.0, 3.0, 7), "y": np.linspace(-1.0, 2.0, 7)}

    def model(x, y):
        pyro, dist = libraries("pyro")
        torch = importlib.import_module("torch")
        x, y = (torch.as_tensor(given).to(torch.float32) for given in (x, y))
        slope = pyro.sample("slope", dist.Normal(0.0, 2.0))
        with pyro.plate("rows", 7):
            pyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)

    def port(x, y):
        numpyro, dist = libraries("numpyro")
        slope = numpyro.sample("slope", dist.Normal(0.0, 2.0))
        with numpyro.plate("rows", 7):
            numpyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)

    assert check(model, port, x, level="quick", sides=sides).verdict == "same"


def test_rounding_of_a_huge_density_is_told_with_its_size(sides: dict[str, Side]) -> None:
    def sharp(ppl: str) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            a = library.sample("a", dist.Normal(0.0, 2.0))
            with library.plate("rows", len(y)):
                library.sample("y", dist.Normal(a, 1e-5), obs=y)

        return model

    y = {"y": np.random.default_rng(0).normal(size=2000)}
    report = check(sharp("pyro"), sharp("numpyro"), y, rungs=["density", "gradient"], sides=sides)
    assert report.verdict == "same"
    for rung in ("density", "gradient"):
        found = max(told(report, rung), key=lambda finding: finding.size or 0.0)
        assert found.size is not None
        assert 1e-3 < found.size < 1e-13 * found.numbers["magnitude"]
    assert re.search(
        r"largest difference \S+ in \S+e1\d \(density\), \S+ in \S+e1\d \(gradient\)", three_lines(report)
    )


def overflowing(ppl: str, *, slope: float) -> Callable:
    """exp(-slope u): NumPyro's way of computing it ends at u = 709, where exp(u) does."""

    def model():
        library, dist = libraries(ppl)
        u = library.sample("u", dist.LogNormal(0.0, 1.0))
        xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
        library.factor("f", -slope * (u if ppl == "pyro" else u * xp.exp(u) / xp.exp(u)))

    return model


@pytest.mark.parametrize(("slope", "verdict"), [(1.0, "same"), (0.01, "different")])
def test_a_number_is_asked_only_where_a_posterior_could_be(
    sides: dict[str, Side], slope: float, verdict: str
) -> None:
    models = [overflowing(ppl, slope=slope) for ppl in ("pyro", "numpyro")]
    report = check(*models, {}, rungs=["density", "gradient", "transform"], sides=sides)
    assert report.verdict == verdict
    left_out = [f for f in told(report, "density") if "no posterior is there" in f.detail]
    assert len(left_out) == (verdict == "same")


def correlated(ppl: str, *, covariance: bool) -> Callable:
    """Rows with a Cholesky factor, or with the covariance that it makes, which at the edges loses its digits."""

    def model(y):
        library, dist = libraries(ppl)
        xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
        chol = library.sample("chol", dist.LKJCholesky(3, xp.ones(())))
        how = {"covariance_matrix": chol @ chol.T} if covariance else {"scale_tril": chol}
        with library.plate("rows", len(y)):
            library.sample("y", dist.MultivariateNormal(xp.zeros(3), **how), obs=y)

    return model


def test_digits_lost_where_no_posterior_is_make_no_difference(sides: dict[str, Side]) -> None:
    models = correlated("pyro", covariance=False), correlated("numpyro", covariance=True)
    data = {"y": np.random.default_rng(0).normal(size=(12, 3))}
    report = check(*models, data, rungs=["density", "gradient", "dynamics"], sides=sides)
    assert report.verdict == "same"
    assert any("Not compared at" in f.detail for f in told(report, "density"))


@pytest.mark.parametrize("name", SIDES)
def test_digits_lost_on_a_frozen_side_make_no_difference(sides: dict[str, Side], name: str) -> None:
    models = {ppl: correlated(ppl, covariance=ppl == "numpyro") for ppl in SIDES}
    data = {"y": np.random.default_rng(0).normal(size=(12, 3))}
    references = {ppl: CallableReference.of(model) for ppl, model in models.items()}
    pair = Pair("correlated", models=references, data=dict.fromkeys(SIDES, data))
    frozen = FrozenSide(freeze(pair, name, sides[name], settings=None))
    report = check(*models.values(), data, level="quick", sides=sides | {name: frozen})
    assert report.verdict == "same", report.first_difference
    assert any("Not compared at" in f.detail for f in told(report, "density"))


def far_out(ppl: str, *, slope: float) -> Callable:
    """Waiting times; NumPyro's are of a class of one's own, whose log prob has no number beyond 709."""

    def model():
        library, dist = libraries(ppl)
        if ppl == "pyro":
            import torch

            library.sample("u", dist.Exponential(slope * torch.ones(30)).to_event(1))
            return
        import jax.numpy as jnp

        class Waiting(dist.Exponential):
            def log_prob(self, value):
                return jnp.log(self.rate) - self.rate * value * jnp.exp(value) / jnp.exp(value)

        library.sample("u", Waiting(slope * jnp.ones(30)).to_event(1))

    return model


@pytest.mark.parametrize(("slope", "verdict"), [(1.0, "same"), (0.01, "different")])
def test_a_map_may_reach_where_no_posterior_is(sides: dict[str, Side], slope: float, verdict: str) -> None:
    models = [far_out(ppl, slope=slope) for ppl in ("pyro", "numpyro")]
    assert check(*models, {}, rungs=["transform"], sides=sides).verdict == verdict


def won(ppl: str, *, how: str) -> Callable:
    """Outcomes by logits, by their probabilities, or from data that were made float32."""

    def model(x, y):
        library, dist = libraries(ppl)
        xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
        slope = library.sample("slope", dist.Normal(0.0, 5.0))
        eta = slope * x
        given = {"probs": 1 / (1 + xp.exp(-eta))} if how == "probs" else {"logits": eta}
        with library.plate("rows", 60):
            library.sample("y", dist.Bernoulli(**given), obs=y.float() if how == "float32" else y)

    return model


@pytest.mark.parametrize("how", ["probs", "float32"])
def test_digits_of_a_probability_near_one_make_no_difference(sides: dict[str, Side], how: str) -> None:
    rng = np.random.default_rng(3)
    data = {"x": rng.normal(0.0, 2.0, 60), "y": rng.integers(0, 2, 60).astype(float)}
    report = check(won("pyro", how=how), won("numpyro", how="logits"), data, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference
    drifting = any("is float32 in pyro" in finding.detail for finding in told(report, "density"))
    assert drifting == (how == "float32")


def truncated(ppl: str) -> Callable:
    """Normals above 0, whose density far below is 0 / 0; and a rate that has nothing to do with them."""

    def model(y, count):
        library, dist = libraries(ppl)
        xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
        mu = library.sample("mu", dist.Normal(0.0, 2.0))
        sigma = library.sample("sigma", dist.HalfNormal(2.0))
        rate = library.sample("rate", dist.HalfNormal(1.0))
        normal = dist.Normal(mu, sigma)
        library.factor("y", (normal.log_prob(y) - xp.log1p(-normal.cdf(0.0 * y))).sum())
        library.sample("count", dist.Poisson(rate), obs=count)

    return model


def test_a_gradient_that_is_no_number_blames_no_other_site(sides: dict[str, Side]) -> None:
    data = {"y": np.abs(np.random.default_rng(23).normal(1, 1, 30)), "count": np.array(2.0)}
    report = check(truncated("pyro"), truncated("numpyro"), data, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference


def waited(ppl: str, *, scale: float = 1.0) -> Callable:
    """Torch's (t / scale)^k overflows where NumPyro's does not; nothing is there but a shared edge."""

    def model(t):
        library, dist = libraries(ppl)
        k = library.sample("k", dist.LogNormal(0.0, 1.0))
        width = library.sample("width", dist.LogNormal(0.0, 1.0))
        with library.plate("rows", len(t)):
            library.sample("t", dist.Weibull(scale * width, k), obs=t)

    return model


def test_an_overflow_at_an_edge_is_no_end_of_a_support(sides: dict[str, Side]) -> None:
    data = {"t": np.random.default_rng(4).weibull(1.5, 20) + 0.05}
    left_out = []
    for seed in range(8):
        settings = CheckSettings(seed=seed)
        report = check(
            waited("pyro"), waited("numpyro"), data, rungs=["density"], settings=settings, sides=sides
        )
        assert report.verdict == "same", (seed, report.first_difference)
        left_out += [f for f in told(report, "density") if "Not compared at" in f.detail]
    assert left_out
    wrong = check(waited("pyro"), waited("numpyro", scale=1.1), data, rungs=["density"], sides=sides)
    assert wrong.first_difference is not None
    assert wrong.first_difference["site"] == "t"


def test_a_distribution_that_is_made_in_float32_is_drift(sides: dict[str, Side]) -> None:
    pyro, dist = libraries("pyro")

    def model(y, w):
        narrow = [numbers("pyro").tensor(value, dtype=numbers("pyro").float32) for value in (0.0, 2.0)]
        a = pyro.sample("a", dist.Normal(*narrow))
        pyro.sample("y", dist.Normal(a, 1.0), obs=y)

    def port(y, w):
        numpyro, ndist = libraries("numpyro")
        a = numpyro.sample("a", ndist.Normal(0.0, 2.0))
        numpyro.sample("y", ndist.Normal(a, 1.0), obs=y)

    report = check(model, port, Y, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference
    assert any("'a' is float32 in pyro" in finding.detail for finding in told(report, "density"))


@pytest.mark.parametrize("other", [-np.inf, -45.0, -12.001])
def test_unlikely_events_that_differ_are_no_lost_digits(other: float) -> None:
    """Whichever side all but excludes one: what 1 - p loses is measured by the likelier of the two."""
    context = fakes.context()
    context.points = context.points[:1]
    for side in SIDES:
        context.sites[side]["y"] = replace(context.sites[side]["y"], family="Bernoulli")
    values = {side: [{"y": np.array([one, -0.5])}] for side, one in zip(SIDES, (-12.0, other), strict=True)}
    level_clamps(context, values)
    assert [values[side][0]["y"][0] for side in SIDES] == [-12.0, other]
    near = {side: [{"y": np.array([one])}] for side, one in zip(SIDES, (-20.0, -20.0 + 1e-8), strict=True)}
    level_clamps(context, near)
    assert near["pyro"][0]["y"] == near["numpyro"][0]["y"] == -20.0


@pytest.mark.long
@pytest.mark.parametrize(("times", "verdict"), [(1.0, "same"), (1.01, "different")])
def test_float32_is_not_asked_for_digits_where_a_scale_has_gone_to_nothing(
    times: float, verdict: str, sides: dict[str, Side]
) -> None:
    """Near a mode at which every row lies on its own mean: there float32's rounding of the data is several scales."""

    def model(ppl: str, narrow: bool, times: float) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            noise = library.sample("noise", dist.Weibull(1.0, 2.0))
            with library.plate("rows", 12):
                own = library.sample("own", dist.Normal(0.0, 1.0))
                seen = y.astype("float32") if narrow else y
                library.sample("y", dist.Normal(own, noise * times), obs=seen)

        return model

    data = {"y": np.random.default_rng(17).normal(size=12)}
    report = check(model("pyro", False, 1.0), model("numpyro", True, times), data, level="quick", sides=sides)
    assert report.verdict == verdict, three_lines(report)
    said = [finding.detail for result in report.rungs for finding in result.findings]
    assert verdict == "different" or any(
        detail.startswith("Not compared at 'near the mode") for detail in said
    )


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "same"), (1.0 + 1e-5, "different")])
def test_a_cast_on_the_way_is_drift_and_no_more(factor: float, verdict: str, sides: dict[str, Side]) -> None:
    """As in Pyro's capture-recapture models: ``mask.float() * phi`` is float32, and float64 again a factor later."""

    def model(ppl: str) -> Callable:
        def run(seen, y):
            library, dist = libraries(ppl)
            phi = library.sample("phi", dist.Uniform(0.0, 1.0))
            there = (seen > 0).float() if ppl == "pyro" else factor * seen
            with library.plate("n", len(y)):
                library.sample("y", dist.Bernoulli(there * phi * numbers(ppl).ones(len(y))), obs=y)

        return run

    data = {"seen": np.array([1.0, 1.0, 0.0, 1.0]), "y": np.array([1.0, 0.0, 0.0, 1.0])}
    report = check(model("pyro"), model("numpyro"), data, level="quick", sides=sides)
    assert report.verdict == verdict
    assert any("'y' is float32 in pyro" in f.detail for f in told(report, "density")) == (verdict == "same")


@pytest.mark.long
def test_far_down_a_funnel_all_digits_may_be_lost(sides: dict[str, Side]) -> None:
    """The ``baseball`` example: lgamma at a concentration of 1e13 is 0.1 off in torch, and in JAX the other way."""

    def model(ppl: str, *, logits: bool = False) -> Callable:
        def run(at_bats, hits):
            library, dist = libraries(ppl)
            m = library.sample("m", dist.Uniform(0.0, 1.0))
            kappa = library.sample("kappa", dist.Pareto(1.0, 1.5))
            with library.plate("players", len(hits)):
                phi = library.sample("phi", dist.Beta(m * kappa, (1 - m) * kappa))
                how = {"logits" if logits else "probs": phi}
                library.sample("hits", dist.Binomial(at_bats, **how), obs=hits)

        return run

    hits = np.array([18.0, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7])
    data = {"at_bats": np.full(18, 45.0), "hits": hits}
    report = check(model("pyro"), model("numpyro"), data, level="quick", sides=sides)
    assert report.verdict == "same", str(report)
    assert any(f.quantity == "digits" for f in told(report, "density"))
    first = check(
        model("pyro"), model("numpyro", logits=True), data, level="quick", sides=sides
    ).first_difference
    assert first is not None
    assert first["site"] == "hits"  # and not phi, for its rounding


@pytest.mark.long
def test_a_kernel_that_cannot_be_factorised_ends_no_check(sides: dict[str, Side]) -> None:
    """The Gaussian process of NumPyro's examples, whose scales are drawn over many orders of magnitude."""

    def model(ppl: str) -> Callable:
        def run(x, y):
            library, dist = libraries(ppl)
            lib = numbers(ppl)
            var, noise, length = (
                library.sample(name, dist.LogNormal(0.0, 10.0)) for name in ("var", "noise", "length")
            )
            near = var * lib.exp(-0.5 * ((x[:, None] - x) / length) ** 2)
            kernel = near + (noise + 1e-6) * lib.eye(len(x))
            library.sample("y", dist.MultivariateNormal(lib.zeros(len(x)), kernel), obs=y)

        return run

    x = np.linspace(-1, 1, 10)
    data = {"x": x, "y": np.sin(3 * x)}
    assert check(model("pyro"), model("numpyro"), data, level="quick", sides=sides).verdict == "same"


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "same"), (1e-6, "different")])
def test_the_log_of_what_is_left_of_one_has_no_more_digits(
    shift: float, verdict: str, sides: dict[str, Side]
) -> None:
    """Censored rows as people write them: 1 - cdf is so many roundings of one, and each library's last is its own."""

    def model(ppl: str) -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            mu = library.sample("mu", dist.Normal(0.0, 5.0))
            sigma = library.sample("sigma", dist.HalfNormal(2.0))
            with library.plate("n", len(y)):
                left = 1 - dist.Normal(mu + shift * (ppl == "pyro"), sigma).cdf(y)
                library.factor("censored", numbers(ppl).log(left))

        return run

    data = {"y": np.random.default_rng(0).normal(size=12)}
    report = check(model("pyro"), model("numpyro"), data, level="quick", sides=sides)
    assert report.verdict == verdict, str(report)


def test_what_differs_by_more_than_float32_is_not_asked_what_was_cast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes both models' runs at many points, and a difference of that size none explains."""
    asked = []
    monkeypatch.setattr(precision, "_rounded", lambda context: asked.append(context) or [])
    context = fakes.context(pyro=fakes.Faults(), numpyro=fakes.Faults(prior_mean=0.5))
    assert any(finding.verdict == "different" for finding in density.run(context))
    assert not asked
