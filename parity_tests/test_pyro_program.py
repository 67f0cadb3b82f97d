"""What is true of the Pyro side only: its enumeration, its shapes, its global state, its NUTS."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

pyro = pytest.importorskip("pyro")
torch = pytest.importorskip("torch")

import pyro.distributions as dist  # noqa: E402
from pyro import poutine  # noqa: E402
from pyro.infer import MCMC, NUTS  # noqa: E402
from pyro.infer.reparam import LocScaleReparam  # noqa: E402

import pyro_impl  # noqa: E402
from ppl_parity.errors import InputError  # noqa: E402
from ppl_parity.spec import MixtureSpec, SamplerSettings  # noqa: E402
from pyro_impl import formulations  # noqa: E402
from pyro_impl.compiled import one_thread  # noqa: E402
from pyro_impl.nuts import _RecordingNUTS  # noqa: E402
from pyro_impl.program import Program  # noqa: E402
from pyro_impl.runtime import seed_to_rng, session, to_framework  # noqa: E402

pytestmark = pytest.mark.pyro

EXACT = 1e-11


def regression(group, w, y=None):
    mu = pyro.sample("mu", dist.Normal(0.0, 2.0))
    tau = pyro.sample("tau", dist.HalfNormal(1.5))
    with pyro.plate("groups", 3):
        slope = pyro.sample("slope", dist.Normal(mu, tau))
    pyro.deterministic("spread", slope.max() - slope.min())
    pyro.factor("pull", -0.5 * mu**2)
    with pyro.plate("rows", len(w)):
        pyro.sample("y", dist.Normal(slope[group] * w, 0.3), obs=y)


REGRESSION_DATA = {
    "group": np.array([0, 1, 2, 2, 1, 0]),
    "w": np.array([0.5, -1.0, 2.0, 0.1, 0.3, 1.2]),
    "y": np.array([0.4, -1.3, 1.9, 0.2, 0.5, 1.0]),
}
REGRESSION_POINT = {"mu": np.array(0.3), "tau": np.array(0.8), "slope": np.array([0.5, 1.2, 0.9])}


def hmm(y):
    rows = pyro.sample("rows", dist.Dirichlet(torch.ones(3, 3)).to_event(1))
    loc = pyro.sample("loc", dist.Normal(torch.arange(3.0), 1.0).to_event(1))
    z = 0
    for t in pyro.markov(range(len(y))):
        z = pyro.sample(f"z_{t}", dist.Categorical(rows[z]))
        pyro.sample(f"y_{t}", dist.Normal(loc[z], 0.7), obs=y[t])


def test_hierarchical_regression_agrees_with_its_formula():
    program = Program(regression, REGRESSION_DATA)
    mu, tau, slope = REGRESSION_POINT["mu"], REGRESSION_POINT["tau"], REGRESSION_POINT["slope"]
    expected = {
        "mu": stats.norm(0, 2).logpdf(mu),
        "tau": stats.halfnorm(scale=1.5).logpdf(tau),
        "slope": stats.norm(mu, tau).logpdf(slope),
        "pull": -0.5 * mu**2,
        "y": stats.norm(slope[REGRESSION_DATA["group"]] * REGRESSION_DATA["w"], 0.3).logpdf(
            REGRESSION_DATA["y"]
        ),
    }
    found = program.site_log_probs(REGRESSION_POINT)
    assert list(found) == ["mu", "tau", "slope", "pull", "y"]
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=EXACT)
    total = sum(np.sum(value) for value in expected.values())
    assert program.log_density(REGRESSION_POINT) == pytest.approx(total, rel=EXACT)
    u = program.unconstrain(REGRESSION_POINT)
    assert u["tau"] == pytest.approx(np.log(0.8), rel=EXACT)
    assert program.potential(u) == pytest.approx(-total - np.log(0.8), rel=EXACT)
    back = program.constrain(u)
    assert back["spread"] == pytest.approx(0.7)
    kinds = {site.name: site.kind for site in program.sites()}
    assert kinds == {
        "mu": "latent",
        "tau": "latent",
        "slope": "latent",
        "spread": "deterministic",
        "pull": "factor",
        "y": "observed",
    }


@pytest.mark.parametrize("K", [1, 2, 3])
@pytest.mark.parametrize("formulation", ["enumerated", "marginal", "fused"])
def test_mixture_agrees_with_the_sum_over_z(K, formulation):
    rng = np.random.default_rng(K)
    spec = MixtureSpec(
        K, 2, np.arange(1, K + 1.0), prior_mean=[0.5, -1], prior_cov=[[2, 0.5], [0.5, 1]], noise_scale=0.7
    )
    x, theta, beta = rng.normal(size=(5, 2)), rng.dirichlet(np.ones(K)), rng.normal(size=(K, 2))
    joint = np.log(theta) + np.stack(
        [stats.multivariate_normal(beta[k], 0.49 * np.eye(2)).logpdf(x) for k in range(K)], axis=1
    )
    prior = stats.multivariate_normal(spec.prior_mean, spec.prior_cov).logpdf(beta).sum()
    prior += stats.dirichlet(spec.concentration).logpdf(theta) if K > 1 else 0.0
    program = Program(pyro_impl.mixture(spec, formulation), {"x": x})
    values = {"theta": theta, "beta": beta}
    assert program.log_density(values) == pytest.approx(prior + logsumexp(joint, axis=1).sum(), rel=EXACT)
    r = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(pyro_impl.responsibilities(spec, theta[None], beta[None], x), r, atol=EXACT)
    if formulation == "enumerated":
        np.testing.assert_allclose(program.discrete_marginals(values)["z"], r, atol=EXACT)


def test_hmm_agrees_with_the_sum_over_all_paths():
    rng = np.random.default_rng(0)
    y, rows, loc = rng.normal(size=4), rng.dirichlet(np.ones(3), size=3), np.array([-1.0, 0.3, 1.1])
    program = Program(hmm, {"y": y})
    values = {"rows": rows, "loc": loc}
    paths = list(itertools.product(range(3), repeat=4))
    joint = np.array(
        [program.log_joint(values | {f"z_{t}": np.array(z) for t, z in enumerate(path)}) for path in paths]
    )
    by_hand = [
        stats.dirichlet(np.ones(3)).logpdf(rows.T).sum()
        + stats.norm(np.arange(3), 1).logpdf(loc).sum()
        + sum(
            np.log(rows[a, b]) + stats.norm(loc[b], 0.7).logpdf(y[t])
            for t, (a, b) in enumerate(itertools.pairwise((0, *path)))
        )
        for path in paths
    ]
    np.testing.assert_allclose(joint, by_hand, rtol=EXACT)
    assert program.log_density(values) == pytest.approx(logsumexp(joint), rel=EXACT)
    weights = np.exp(joint - logsumexp(joint))
    found = program.discrete_marginals(values)
    for t in range(4):
        expected = [weights[[path[t] == k for path in paths]].sum() for k in range(3)]
        np.testing.assert_allclose(found[f"z_{t}"], expected, atol=EXACT)


def test_marginals_of_other_discrete_families_hold_under_a_scale():
    def model(y):
        with poutine.scale(scale=2.0), pyro.plate("n", 2):
            a = pyro.sample("a", dist.Bernoulli(0.3))
            b = pyro.sample("b", dist.Binomial(3, 0.4))
            pyro.sample("y", dist.Normal(a - b, 1.0), obs=y)

    y = np.array([0.2, -1.5])
    found = Program(model, {"y": y}).discrete_marginals({})
    a, b = np.arange(2)[:, None, None], np.arange(4)[None, :, None]
    log_joint = stats.bernoulli(0.3).logpmf(a) + stats.binom(3, 0.4).logpmf(b) + stats.norm(a - b).logpdf(y)
    joint = np.exp(2 * log_joint)
    joint /= joint.sum(axis=(0, 1))
    np.testing.assert_allclose(found["a"], joint.sum(axis=1).T, rtol=1e-7)
    np.testing.assert_allclose(found["b"], joint.sum(axis=0).T, rtol=1e-7)


def test_mask_scale_and_subsample():
    def model(y, mask):
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(y), subsample_size=2) as index, poutine.mask(mask=mask[index]):
            pyro.sample("y", dist.Normal(mu, 1.0), obs=y[index])

    y, mask = np.array([0.1, 2.0, -1.0, 0.7]), np.array([True, False, True, True])
    program = Program(model, {"y": y, "mask": mask})
    values = {"mu": np.array(0.5), "rows": np.array([1, 3])}
    found = program.site_log_probs(values)["y"]
    np.testing.assert_allclose(found, [0.0, 2 * stats.norm(0.5).logpdf(0.7)], rtol=EXACT)
    site = program.sites(values)[-1]
    assert (site.scale, site.masked, site.plates[0].size, site.plates[0].subsample_size) == (2.0, True, 4, 2)
    with pytest.raises(InputError, match="subsample"):
        program.potential({"mu": np.array(0.5)})


def test_a_value_outside_its_support_has_probability_zero():
    def model(y, k):
        sigma = pyro.sample("sigma", dist.Gamma(2.0, 1.0))
        with pyro.plate("rows", 3):
            pyro.sample("y", dist.Exponential(sigma), obs=y)
            pyro.sample("k", dist.Categorical(torch.ones(2) / 2), obs=k)

    program = Program(model, {"y": np.array([1.0, -1.0, 0.0]), "k": np.array([0, 5, 1])})
    found = program.site_log_probs({"sigma": np.array(2.0)})
    assert np.isneginf(found["y"]).tolist() == [False, True, False]
    assert np.isneginf(found["k"]).tolist() == [False, True, False]
    assert program.site_log_probs({"sigma": np.array(-1.0)})["sigma"] == -np.inf


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"slope": np.array(0.5)}, r"shape \(3,\)"),
        ({"mu": None}, "'mu' is needed"),
        ({"mux": np.array(0.0)}, "no latent site 'mux'"),
        ({"spread": np.array(0.0)}, "no latent site 'spread'"),
    ],
)
def test_values_that_do_not_fit_are_refused(change, match):
    values = {name: value for name, value in (REGRESSION_POINT | change).items() if value is not None}
    with pytest.raises(InputError, match=match):
        Program(regression, REGRESSION_DATA).log_joint(values)


def test_what_the_model_raises_names_the_side():
    with pytest.raises(
        InputError,
        match=r"pyro: the model cannot be run on these data; it failed at .*test_pyro_program.py:\d+: IndexError",
    ):
        Program(regression, REGRESSION_DATA | {"group": np.full(6, 9)})
    with pytest.raises(InputError, match="whole numbers"):
        Program(hmm, {"y": np.zeros(1)}).log_joint(
            {"rows": np.full((3, 3), 1 / 3), "loc": np.zeros(3), "z_0": np.array(0.5)}
        )


def test_moving_support_is_frozen_in_the_potential_and_nowhere_else():
    def model():
        a = pyro.sample("a", dist.Exponential(1.0))
        pyro.sample("b", dist.Uniform(0.0, a))

    program = Program(model, {})
    values = {"a": np.array(2.0), "b": np.array(1.9)}
    u = program.unconstrain(values)
    assert u["b"] == pytest.approx(np.log(0.95 / 0.05))
    np.testing.assert_allclose(program.constrain(u)["b"], 1.9)
    truth = -program.log_joint(values) - sum(program.log_abs_det_jacobian(u).values())
    assert program.potential(u) != pytest.approx(truth, rel=1e-3)


def test_a_reparametrised_site_is_reached_by_its_new_name():
    def model(y):
        mu = pyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), (2,)))
        with pyro.plate("groups", 3):
            b = pyro.sample("b", dist.Normal(mu[0], 2.0))
        pyro.sample("y", dist.Normal(b.sum(), 1.0), obs=y)

    program = Program(poutine.reparam(model, {"b": LocScaleReparam(0.0)}), {"y": np.array(0.0)})
    values = {"mu": np.array([1.0, 2.0]), "b_decentered": np.array([0.1, 0.2, -0.4])}
    back = program.constrain(program.unconstrain(values))
    for name, value in values.items():
        np.testing.assert_allclose(back[name], value, rtol=EXACT)
    np.testing.assert_allclose(back["b"], [1.2, 1.4, 0.2], rtol=EXACT)
    site = {site.name: site for site in program.sites(values)}
    np.testing.assert_array_equal(site["b_decentered"].value, values["b_decentered"])
    assert (site["b"].kind, site["b_decentered"].kind) == ("deterministic", "latent")
    expected = stats.norm.logpdf(values["b_decentered"]).sum() + stats.norm(2.8).logpdf(0.0)
    assert program.log_density(values) == pytest.approx(expected, rel=EXACT)


def test_simulation_keeps_shapes_and_skips_what_is_not_random():
    program = Program(regression, REGRESSION_DATA)
    prior = program.prior_samples(num_draws=400, seed=1)
    shapes = {name: value.shape for name, value in prior.items()}
    assert shapes == {"mu": (400,), "tau": (400,), "slope": (400, 3), "spread": (400,), "y": (400, 6)}
    np.testing.assert_allclose(prior["spread"], np.ptp(prior["slope"], axis=1))
    draws = {name: np.repeat(value[None], 400, axis=0) for name, value in REGRESSION_POINT.items()}
    y = program.predictive_samples(draws, seed=2)["y"]
    loc = REGRESSION_POINT["slope"][REGRESSION_DATA["group"]] * REGRESSION_DATA["w"]
    z = (y - loc) / 0.3
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    np.testing.assert_allclose(
        program.log_likelihood(draws)["y"][7], program.site_log_probs(REGRESSION_POINT)["y"]
    )


def test_leapfrog_is_reversible_and_keeps_a_harmonic_energy():
    program = Program(lambda: pyro.sample("q", dist.Normal(torch.zeros(2), 1.0).to_event(1)), {})
    start, momentum = {"q": np.array([1.0, -0.5])}, {"q": np.array([0.3, 0.7])}
    there = program.leapfrog(start, momentum, step_size=0.1, num_steps=20)
    assert there.potential.shape == (21,)
    assert np.ptp(there.energy) < 0.01
    half = momentum["q"] - 0.05 * start["q"]
    np.testing.assert_allclose(there.position["q"][1], start["q"] + 0.1 * half, rtol=EXACT)
    back = program.leapfrog(
        {"q": there.position["q"][-1]}, {"q": -there.momentum["q"][-1]}, step_size=0.1, num_steps=20
    )
    np.testing.assert_allclose(back.position["q"][-1], start["q"], atol=1e-12)


def test_fused_mixture_has_its_closed_form_gradient_and_no_second_one():
    with session("float64"):
        generator = torch.Generator().manual_seed(0)
        log_theta = torch.log_softmax(torch.randn(3, generator=generator), 0).requires_grad_()
        beta = torch.randn(3, 2, generator=generator).requires_grad_()
        x = torch.randn(7, 2, generator=generator).requires_grad_()
        value_and_gradient = formulations.value_and_gradient.apply
        assert torch.autograd.gradcheck(value_and_gradient, (log_theta, beta, x, 0.8))
        theta = log_theta.exp()
        value = formulations.log_likelihood(theta, beta, x, 0.8)
        (gradient,) = torch.autograd.grad(value, beta, create_graph=True)
        with pytest.raises(InputError, match="first derivative only"):
            gradient.sum().backward()
        with pytest.raises(InputError, match="first derivative only"):
            torch.autograd.functional.hessian(lambda b: formulations.log_likelihood(theta, b, x, 0.8), beta)
        vertex = torch.tensor([1.0, 0.0, 0.0], requires_grad=True)
        value = formulations.log_likelihood(vertex, beta, x, 0.8)
        assert torch.isfinite(value)
        assert torch.isfinite(torch.autograd.grad(value, vertex)[0]).all()


@pytest.mark.parametrize(
    ("distribution", "name"),
    [
        (dist.Normal(0.0, 1.0).expand([2]).to_event(1), "real"),
        (dist.Gamma(1.0, 1.0), "positive"),
        (dist.LogNormal(0.0, 1.0), "positive"),
        (dist.Uniform(torch.zeros(3), torch.tensor([2.0, 2.0, 2.0])), "interval(0, 2)"),
        (dist.Uniform(0.0, torch.tensor([1.0, 2.0])), "interval(0, array)"),
        (dist.Beta(1.0, 1.0), "interval(0, 1)"),
        (dist.Pareto(2.0, 1.0), "greater_than(2)"),
        (dist.Dirichlet(torch.ones(2)), "simplex"),
        (dist.LKJCholesky(2), "corr_cholesky"),
        (dist.Poisson(1.0), "nonnegative_integer"),
        (dist.Binomial(4, 0.5), "integer_interval(0, 4)"),
        (dist.Bernoulli(0.5), "boolean"),
    ],
)
def test_supports_have_names(distribution, name):
    program = Program(lambda: pyro.sample("q", distribution), {}, precision="float32")
    assert program.sites()[0].support == name


def test_nothing_of_the_process_is_changed():
    def model(y):
        scale = pyro.param("scale", torch.tensor(1.0))
        pyro.sample("y", dist.Normal(pyro.sample("mu", dist.Normal(0.0, 1.0)), scale), obs=y)

    def state():
        numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002
        validation = torch.distributions.Distribution._validate_args
        rng = (torch.random.get_rng_state().tolist(), numpy_state, random.getstate())
        return (
            torch.get_default_dtype(),
            validation,
            torch.get_num_threads(),
            list(pyro.get_param_store()),
            rng,
        )

    before = state()
    settings = SamplerSettings(num_draws=3, num_warmup=2, num_chains=1, precision="float32")
    groups, _ = pyro_impl.sample_posterior(model, {"y": np.zeros(2)}, settings)
    assert groups["posterior"]["mu"].dtype == np.float32
    with pytest.raises(InputError, match="gpu"):
        Program(model, {"y": np.zeros(2)}, device="gpu:99")
    assert state() == before


def test_recording_does_not_change_the_draws():
    spec = MixtureSpec(2, 1, prior_cov=9.0)
    x = np.concatenate([np.full((5, 1), -2.0), np.full((8, 1), 1.5)])
    program = Program(pyro_impl.mixture(spec, "fused"), {"x": x})
    start = {name: value[0] for name, value in program.initial("uniform", num_chains=1, seed=0).items()}
    draws, records = {}, []
    for kind in (NUTS, _RecordingNUTS):

        def hook(kernel, params, stage, i):
            if stage == "Sample" and isinstance(kernel, _RecordingNUTS):
                records.append(kernel.record(i))

        with program.session(), seed_to_rng(5), one_thread():
            mcmc = MCMC(
                kind(potential_fn=program.potential_function),
                num_samples=20,
                warmup_steps=20,
                initial_params=to_framework(start),
                hook_fn=hook,
                disable_progbar=True,
            )
            mcmc.run()
            draws[kind] = mcmc.get_samples()
    for name, value in draws[NUTS].items():
        assert torch.equal(value, draws[_RecordingNUTS][name])
    for i, record in enumerate(records):
        u = {name: value[i].numpy() for name, value in draws[_RecordingNUTS].items()}
        assert record["lp"] == pytest.approx(-program.potential(u), rel=EXACT)
        assert record["energy"] > -record["lp"]
        assert 2 ** (record["tree_depth"] - 1) <= record["n_steps"] < 2 ** record["tree_depth"]


@pytest.mark.long
def test_chains_are_the_same_in_processes_and_in_turn():
    spec = MixtureSpec(2, 1, prior_cov=9.0)
    data = {"x": np.concatenate([np.full((5, 1), -2.0), np.full((8, 1), 1.5)])}
    run = {}
    for method in ("sequential", "parallel"):
        settings = SamplerSettings(num_draws=8, num_warmup=4, num_chains=2, seed=7, chain_method=method)
        run[method], attributes = pyro_impl.sample_posterior(
            pyro_impl.mixture(spec, "marginal"), data, settings
        )
        assert attributes["chain_method"] == method
    for group, variables in run["sequential"].items():
        for name, value in variables.items():
            np.testing.assert_array_equal(value, run["parallel"][group][name])
    assert not np.array_equal(*run["sequential"]["posterior"]["theta"])


def test_settings_that_pyro_cannot_use_are_refused():
    model, data = pyro_impl.mixture(MixtureSpec(2, 1), "fused"), {"x": np.zeros((2, 1))}
    with pytest.raises(InputError, match=r"pyro cannot run chains vectorized; numpyro can"):
        pyro_impl.sample_posterior(model, data, SamplerSettings(chain_method="vectorized"))
    with pytest.raises(InputError, match="kmeans"):
        pyro_impl.sample_posterior(model, data, SamplerSettings(init="kmeans"))


def test_a_model_that_cannot_travel_is_run_in_turn():
    import threading

    lock = threading.Lock()

    def model():
        with lock:
            pyro.sample("q", dist.Normal(0.0, 1.0))

    settings = SamplerSettings(num_draws=2, num_warmup=0, num_chains=2, chain_method="auto")
    _, attributes = pyro_impl.sample_posterior(model, {}, settings)
    assert attributes["chain_method"] == "sequential"


def test_a_seed_is_pyro_s_own():
    def drawn():
        return torch.rand(3).tolist(), random.random(), float(np.random.rand())  # noqa: NPY002 - as a model draws

    with seed_to_rng(11):
        ours = drawn()
    pyro.set_rng_seed(11)
    assert ours == drawn()


def test_what_is_expanded_still_tells_its_scale():
    def model():
        pyro.sample(
            "x", dist.MultivariateStudentT(torch.tensor(3.0), torch.zeros(2), 2 * torch.eye(2)).expand([4])
        )

    (site,) = Program(model, {}).sites()
    np.testing.assert_array_equal(np.squeeze(site.params["scale_tril"]), 2 * np.eye(2))


def test_what_pyro_has_no_bijection_to_is_told():
    def model():
        pyro.sample("P", dist.Wishart(torch.tensor(5.0), torch.eye(2)))

    program = Program(model, {})
    with pytest.raises(InputError, match="'P' are positive definite, to which Pyro has no bijection"):
        program.unconstrain({"P": np.eye(2)})
