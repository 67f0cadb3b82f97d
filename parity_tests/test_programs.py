"""``Program`` on models of several kinds: each backend against SciPy and against sums done by hand."""

from __future__ import annotations

import importlib
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ppl_parity.backend.chains import checked_inverse_mass, starting_points
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec, SamplerSettings

X = np.linspace(-1, 1, 5)
Y = np.array([-1.1, -0.2, 0.3, 0.4, 1.7])
KEEP = np.array([True, False, True, True, False])


@pytest.fixture(scope="module")
def models(backend: Any) -> Any:
    return importlib.import_module(f"parity_tests.models_{backend.NAME}")


@pytest.fixture(scope="module")
def regression(backend: Any, models: Any) -> Any:
    return backend.Program(models.regression, {"x": X, "y": Y})


def test_site_log_probs_of_a_regression(regression: Any) -> None:
    values = {"slope": np.array(0.7), "sigma": np.array(0.9)}
    got = regression.site_log_probs(values)
    expected = {
        "slope": stats.norm.logpdf(0.7, 0, 2),
        "sigma": stats.halfnorm.logpdf(0.9),
        "y": stats.norm.logpdf(Y, 0.7 * X, 0.9),
    }
    assert set(got) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-12)
    total = sum(np.sum(value) for value in expected.values())
    np.testing.assert_allclose(
        [regression.log_joint(values), regression.log_density(values)], total, rtol=1e-12
    )


def test_potential_includes_the_jacobian_and_its_gradient_is_a_derivative(regression: Any) -> None:
    point = {"slope": np.array(0.3), "sigma": np.array(-0.4)}
    values = regression.constrain(point)
    np.testing.assert_allclose(values["sigma"], np.exp(-0.4), rtol=1e-14)
    np.testing.assert_allclose(values["twice"], 0.6, rtol=1e-14)
    value, gradient = regression.potential_and_gradient(point)
    latent = {name: values[name] for name in ("slope", "sigma")}
    np.testing.assert_allclose(value, -regression.log_density(latent) + 0.4, rtol=1e-12)
    for name in point:
        step = 1e-5
        sides = [regression.potential(point | {name: point[name] + h}) for h in (step, -step)]
        np.testing.assert_allclose(gradient[name], (sides[0] - sides[1]) / (2 * step), rtol=1e-7)


def test_leapfrog_is_the_leapfrog(regression: Any) -> None:
    q, p = (
        {"slope": np.array(0.3), "sigma": np.array(-0.4)},
        {"slope": np.array(1.0), "sigma": np.array(-0.5)},
    )
    mass = {"slope": np.array(0.5), "sigma": np.array(2.0)}
    path = regression.leapfrog(q, p, step_size=0.1, num_steps=3, inverse_mass=mass)
    for t in range(3):
        _, gradient = regression.potential_and_gradient(q)
        p = {name: p[name] - 0.05 * gradient[name] for name in p}
        q = {name: q[name] + 0.1 * mass[name] * p[name] for name in q}
        value, gradient = regression.potential_and_gradient(q)
        p = {name: p[name] - 0.05 * gradient[name] for name in p}
        for name in q:
            np.testing.assert_allclose(path.position[name][t + 1], q[name], rtol=1e-12)
            np.testing.assert_allclose(path.momentum[name][t + 1], p[name], rtol=1e-12)
        kinetic = 0.5 * sum(mass[name] * p[name] ** 2 for name in p)
        np.testing.assert_allclose(path.energy[t + 1], value + kinetic, rtol=1e-12)
    assert path.potential.shape == path.energy.shape == (4,)


def test_sites_of_a_regression(regression: Any) -> None:
    sites = {site.name: site for site in regression.sites()}
    assert list(sites) == ["slope", "sigma", "twice", "y"]
    assert [site.kind for site in sites.values()] == ["latent", "latent", "deterministic", "observed"]
    assert sites["sigma"].family == "HalfNormal"
    assert (sites["slope"].support, sites["sigma"].support) == ("real", "positive")
    assert [(p.name, p.dim, p.size) for p in sites["y"].plates] == [("N", -1, 5)]
    np.testing.assert_array_equal(sites["y"].value, Y)


def test_scale_mask_and_factor(backend: Any, models: Any) -> None:
    program = backend.Program(models.weighted, {"y": Y, "keep": KEEP})
    got = program.site_log_probs({"mu": np.array(0.5)})
    np.testing.assert_allclose(got["mu"], stats.norm.logpdf(0.5), rtol=1e-12)
    np.testing.assert_allclose(got["y"], 2 * KEEP * stats.norm.logpdf(Y, 0.5), rtol=1e-12)
    np.testing.assert_allclose(got["extra"], -0.5 * 0.5**4, rtol=1e-12)
    sites = {site.name: site for site in program.sites()}
    assert (sites["extra"].kind, sites["y"].scale, sites["y"].masked) == ("factor", 2.0, True)
    assert set(program.prior_samples(num_draws=3, seed=0)) == {"mu", "y"}


@pytest.mark.long
def test_supports_and_transforms(backend: Any, models: Any) -> None:
    program = backend.Program(models.supports, {"y": np.array(0.3)})
    supports = {site.name: site.support for site in program.sites()}
    assert supports == {
        "unit": "interval(0, 1)",
        "ordered": "ordered_vector",
        "corr": "corr_cholesky",
        "interval": "interval(-1, 2)",
        "simplex": "simplex",
        "y": "real",
    }
    # By hand: XLA takes seconds to compile the samplers of these families.
    corr = np.array([[1.0, 0.5, -0.2], [0.5, 1.0, 0.3], [-0.2, 0.3, 1.0]])
    values = {
        "unit": np.array(0.3),
        "ordered": np.array([-1.2, 0.1, 0.8]),
        "corr": np.linalg.cholesky(corr),
        "interval": np.array(1.1),
        "simplex": np.array([0.2, 0.5, 0.3]),
    }
    point = program.unconstrain(values)
    back = program.constrain(point)
    for name, value in values.items():
        np.testing.assert_allclose(back[name], value, rtol=1e-9, atol=1e-12)
    total = program.log_density(values) + sum(program.log_abs_det_jacobian(point).values())
    np.testing.assert_allclose(program.potential(point), -total, rtol=1e-10)


def test_a_hidden_markov_model_is_summed_over_every_path(backend: Any, models: Any) -> None:
    program = backend.Program(models.hidden_markov, {"y": Y})
    values = {"stay": np.array(0.8)}
    paths, weights = [], []
    for path in itertools.product((0, 1), repeat=len(Y)):
        log_joint = program.log_joint(values | {f"z_{t}": np.array(z) for t, z in enumerate(path)})
        paths.append(path)
        weights.append(log_joint)
    weights = np.array(weights)
    np.testing.assert_allclose(program.log_density(values), np.logaddexp.reduce(weights), rtol=1e-10)
    share = np.exp(weights - np.logaddexp.reduce(weights))
    marginals = program.discrete_marginals(values)
    for t in range(len(Y)):
        expected = [share[[path[t] == k for path in paths]].sum() for k in (0, 1)]
        np.testing.assert_allclose(marginals[f"z_{t}"], expected, rtol=1e-9)


def test_predictive_and_log_likelihood(regression: Any) -> None:
    rng = np.random.default_rng(0)
    draws = {"slope": rng.normal(size=400), "sigma": np.exp(rng.normal(size=400))}
    expected = stats.norm.logpdf(Y, draws["slope"][:, None] * X, draws["sigma"][:, None])
    np.testing.assert_allclose(regression.log_likelihood(draws)["y"], expected, rtol=1e-12)
    replicates = regression.predictive_samples(draws, seed=1)["y"]
    standard = (replicates - draws["slope"][:, None] * X) / draws["sigma"][:, None]
    assert stats.kstest(standard.ravel(), "norm").pvalue > 1e-3
    again = regression.predictive_samples(draws, seed=1)["y"]
    np.testing.assert_array_equal(replicates, again)


def test_prior_samples_follow_the_prior_and_do_not_see_the_data(regression: Any) -> None:
    samples = regression.prior_samples(num_draws=1000, seed=2)
    assert samples["y"].shape == (1000, 5)
    assert stats.kstest(samples["slope"] / 2, "norm").pvalue > 1e-3
    assert stats.kstest(samples["sigma"], "halfnorm").pvalue > 1e-3
    standard = (samples["y"] - samples["slope"][:, None] * X) / samples["sigma"][:, None]
    assert stats.kstest(standard[:, 0], "norm").pvalue > 1e-3
    np.testing.assert_allclose(samples["twice"], 2 * samples["slope"], rtol=1e-14)


def test_a_site_that_is_kept_has_its_data_in_every_draw(backend: Any) -> None:
    library = importlib.import_module(backend.NAME)
    dist = importlib.import_module(f"{backend.NAME}.distributions")

    def model(y: Any) -> None:
        mu = library.sample("mu", dist.Normal(0.0, 1.0))
        first = library.sample("y", dist.Normal(mu, 1.0), obs=y)
        library.sample("then", dist.Normal(first, 0.01), obs=y)

    program = backend.Program(model, {"y": np.array(50.0)})
    for kept, centre, within in (((), 0.0, 10.0), (("y",), 50.0, 0.1)):
        prior = program.prior_samples(num_draws=300, seed=0, kept=kept)  # enough for a recording
        replicates = program.predictive_samples({"mu": np.zeros(3)}, seed=0, kept=kept)
        assert set(prior) == {"mu", "y", "then"} - set(kept)
        assert set(replicates) == {"y", "then"} - set(kept)
        for then in (prior["then"], replicates["then"]):
            assert np.all(np.abs(then - centre) < within)


@pytest.mark.parametrize("strategy", ["uniform", "prior"])
def test_starting_points_differ_and_repeat(regression: Any, strategy: str) -> None:
    points = regression.initial(strategy, num_chains=3, seed=5)
    assert points["slope"].shape == (3,)
    assert len(np.unique(points["slope"])) == 3
    if strategy == "uniform":
        assert np.all(np.abs(points["slope"]) < 2)
    again = regression.initial(strategy, num_chains=3, seed=5)
    np.testing.assert_array_equal(points["slope"], again["slope"])


@pytest.mark.parametrize(
    ("sigma", "words"),
    [
        (np.array([1.0, -1.0]), "'sigma' must lie inside its support, positive; that of chain 1 does not"),
        (np.array([0.0, 1.0]), "that of chain 0 does not"),
        (np.array([np.nan, 1.0]), "that of chain 0 does not"),
        (np.array(1.0), "must be given for 2 chains, along their first axis; got shape ()"),
        (np.ones(3), "must be given for 2 chains, along their first axis; got shape (3,)"),
    ],
)
def test_a_chain_may_start_inside_the_support_only(regression: Any, sigma: np.ndarray, words: str) -> None:
    settings = SamplerSettings(num_chains=2)
    values = {"slope": np.zeros(2), "sigma": sigma}
    with pytest.raises(InputError) as caught:
        starting_points(regression, settings, values, ["slope", "sigma"])
    assert words in str(caught.value)
    started = starting_points(regression, settings, values | {"sigma": np.ones(2)}, ["slope", "sigma"])
    np.testing.assert_array_equal(started["sigma"], [0, 0])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"slope": np.array(0.7)}, "a value for the site 'sigma' is needed"),
        ({"slope": np.zeros(3), "sigma": np.array(1.0)}, "has shape ()"),
        ({"slope": np.array(0.0), "sigma": np.array(1.0), "sigme": np.array(1.0)}, "Did you mean 'sigma'"),
    ],
)
def test_values_that_a_framework_would_take_in_silence_are_refused(
    backend: Any, regression: Any, values: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(InputError, match=backend.NAME) as caught:
        regression.log_density(values)
    assert words in str(caught.value)


def test_threads_take_turns(backend: Any, models: Any) -> None:
    def slow(x: Any, y: Any) -> None:
        models.standard_normal(2)
        time.sleep(0.02)  # in which another thread would draw sites among these
        models.regression(x, y)

    with ThreadPoolExecutor(3) as pool:
        programs = list(pool.map(lambda n: backend.Program(slow, {"x": X[:n], "y": Y[:n]}), (3, 4, 5)))
    point = {"z": np.zeros(2), "slope": np.array(0.3), "sigma": np.array(-0.4)}
    alone = [program.potential(point) for program in programs]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda program: program.potential(point), programs)) == alone


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        (3, {"y": Y}, "a model must be a function; got int"),
        (
            print,
            [Y],
            "data must be a mapping from the names of the model's arguments to their values; got list",
        ),
        (print, {1: Y}, r"got the keys \[1\]"),
        (print, None, "got NoneType"),
    ],
)
def test_what_is_no_model_or_no_data_is_told(backend: Any, model: Any, data: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"{backend.NAME}: .*{words}"):
        backend.Program(model, data)


def test_an_inverse_mass_is_of_numbers() -> None:
    with pytest.raises(InputError, match="pyro: the inverse mass must be an array of numbers; got str"):
        checked_inverse_mass("pyro", "unit", {"slope": np.zeros(2)})


def test_an_inverse_mass_is_a_covariance_in_any_unit() -> None:
    position = {"slope": np.zeros((4, 2))}
    units = np.diag([1.0, 1e-9])
    given = units @ np.array([[2.0, 1.0], [1.0, 1.0]]) @ units
    assert np.array_equal(checked_inverse_mass("pyro", given, position), given)
    for wrong in ([[2.0, 2.0], [2.0, 1.0]], [[2.0, 1.0], [0.5, 1.0]], [[2.0, 0.0], [0.0, 0.0]]):
        with pytest.raises(InputError, match="symmetric and positive definite"):
            checked_inverse_mass("pyro", units @ np.array(wrong) @ units, position)


def test_a_model_that_raises_is_named(backend: Any) -> None:
    def broken(y: Any) -> None:
        raise KeyError("no such column")

    with pytest.raises(InputError, match=f"{backend.NAME}: the model cannot be run.*no such column"):
        backend.Program(broken, {"y": Y})


def test_float32_is_float32(backend: Any, models: Any) -> None:
    program = backend.Program(models.regression, {"x": X, "y": Y}, precision="float32")
    value, gradient = program.potential_and_gradient({"slope": np.array(0.3), "sigma": np.array(0.1)})
    assert gradient["slope"].dtype == np.float32
    double = backend.Program(models.regression, {"x": X, "y": Y})
    exact, _ = double.potential_and_gradient({"slope": np.array(0.3), "sigma": np.array(0.1)})
    assert 0 < abs(value - exact) < 1e-5


def test_what_nothing_has_validated_is_refused(backend: Any) -> None:
    model = backend.mixture(MixtureSpec(2, 1))
    for sample in (backend.fit, backend.sample_posterior):
        with pytest.raises(InputError, match=f"{backend.NAME}: settings must be a SamplerSettings.*got dict"):
            sample(model, {"x": np.zeros((3, 1))}, {"num_draws": 10})
    for of_spec in (backend.mixture, lambda spec: backend.sample_mixture(spec, 3)):
        with pytest.raises(InputError, match=f"{backend.NAME}: the mixture's spec must be .*got str"):
            of_spec("x")


def test_the_gradient_of_a_compiled_density_is_its_derivative() -> None:
    """XLA got this one wrong at a level that compiles in less time: -37 for -9.4, of a density that was right."""
    numpyro = pytest.importorskip("numpyro")
    dist = numpyro.distributions

    def model(trials, hits):
        centre = numpyro.sample("centre", dist.Beta(3.0, 7.0))
        concentration = numpyro.sample("concentration", dist.Pareto(1.0, 1.5))
        with numpyro.plate("players", len(hits)):
            shares = centre * concentration, (1 - centre) * concentration
            numpyro.sample("hits", dist.BetaBinomial(*shares, trials), obs=hits)

    trials = np.array([45, 40, 30, 45, 22, 45, 37, 18, 45, 28])
    hits = np.array([18.0, 13.0, 6.0, 12.0, 4.0, 14.0, 12.0, 5.0, 9.0, 11.0])
    program = importlib.import_module("numpyro_impl").Program(model, {"trials": trials, "hits": hits})
    for i in range(6):
        at = {"centre": np.array(-1.2 + 0.05 * i), "concentration": np.array(3.0 + 0.3 * i)}
        _, gradient = program.potential_and_gradient(at)
        for name, slope in gradient.items():
            ends = [program.potential(at | {name: at[name] + step}) for step in (1e-4, -1e-4)]
            # NumPyro's log-beta is good to 1e-6, and so is a difference of it to 1e-6 over the step.
            assert abs(slope - (ends[0] - ends[1]) / 2e-4) < 0.05
