"""The recorded potential of Pyro: the program's own numbers, or it is not used."""

from __future__ import annotations

import random
from contextlib import nullcontext

import numpy as np
import pytest

pyro = pytest.importorskip("pyro")
import pyro.distributions as dist  # noqa: E402
import torch  # noqa: E402
from pyro.ops import integrator  # noqa: E402
from pyro.ops.integrator import potential_grad  # noqa: E402

import pyro_impl  # noqa: E402
from ppl_parity import native  # noqa: E402
from ppl_parity.spec import MixtureSpec, SamplerSettings  # noqa: E402
from pyro_impl import compiled, nuts, simulation  # noqa: E402
from pyro_impl.compiled import SamplingPotential, gradient_of, sampling_potential  # noqa: E402
from pyro_impl.formulations import FusedMixture  # noqa: E402

pytestmark = pytest.mark.pyro

ENOUGH = compiled.LEAST_ITERATIONS
Y = np.array([0.3, -1.2, 0.8, 2.0])


def line(y):
    centre = pyro.sample("centre", dist.Normal(0.0, 2.0))
    scale = pyro.sample("scale", dist.HalfNormal(1.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(centre, scale), obs=y)


def covariance(y):
    """A matrix that stops being positive definite as ``tie`` nears 1, where torch raises."""
    tie = pyro.sample("tie", dist.Normal(0.0, 0.1))
    matrix = torch.eye(2) + tie * (1 - torch.eye(2))
    factor = torch.linalg.cholesky(matrix)
    pyro.sample("y", dist.MultivariateNormal(torch.zeros(2), scale_tril=factor), obs=y[:2])


def branch_on_a_latent(y):
    centre = pyro.sample("centre", dist.Normal(0.0, 2.0))
    scale = 1.0 if centre > 0 else 2.0
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(centre, scale), obs=y)


def hidden_branch(y):
    """A branch on plain numbers, which no recording can see."""
    centre = pyro.sample("centre", dist.Normal(0.0, 2.0))
    scale = 1.0 if centre.detach().numpy() > 0 else 2.0
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(centre, scale), obs=y)


def rolls_dice(y):
    centre = pyro.sample("centre", dist.Normal(0.0, 2.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(centre, 1.0 + random.random()), obs=y)


def potential_of(model, data=None, num_iterations=ENOUGH):
    program = pyro_impl.Program(model, {"y": Y} if data is None else data)
    starts = program.initial("uniform", num_chains=2, seed=0)
    return program, sampling_potential(program, starts, num_iterations)


@pytest.mark.parametrize(
    ("model", "data"),
    [(line, {"y": Y}), (pyro_impl.mixture(MixtureSpec(2, 1, prior_cov=9.0), "fused"), {"x": Y[:, None]})],
)
def test_a_gradient_that_is_known_is_the_one_of_autograd(monkeypatch, model, data):
    program = pyro_impl.Program(model, data)
    starts = program.initial("uniform", num_chains=1, seed=0)
    function = sampling_potential(program, starts, ENOUGH).function(program)
    with program.session():
        point = {name: torch.tensor(value[0]) for name, value in starts.items()}
        own, known = potential_grad(function, dict(point)), gradient_of(function)(point)
        assert torch.equal(own[1], known[1])
        assert all(torch.equal(own[0][name], known[0][name]) for name in own[0])
    # And NUTS takes the same steps with either.
    settings = SamplerSettings(num_draws=100, num_warmup=100, num_chains=1, seed=2)
    draws = pyro_impl.sample_posterior(model, data, settings)[0]["posterior"]
    assert integrator.potential_grad is potential_grad
    monkeypatch.setattr(nuts, "known_gradients", nullcontext)
    plain = pyro_impl.sample_posterior(model, data, settings)[0]["posterior"]
    assert all(np.array_equal(draws[name], plain[name]) for name in draws)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_recording_gives_the_program_s_value_and_gradient(precision):
    program = pyro_impl.Program(line, {"y": Y}, precision=precision)
    starts = program.initial("uniform", num_chains=2, seed=0)
    potential = sampling_potential(program, starts, ENOUGH)
    assert potential.kind == "traced"
    with program.session():
        for u in ({"centre": 0.3, "scale": -0.7}, {"centre": -9.0, "scale": 4.0}):
            point = {name: torch.tensor(value) for name, value in u.items()}
            own = potential_grad(program.potential_function, dict(point))
            recorded = potential_grad(potential.function(program), dict(point))
            assert torch.equal(own[1], recorded[1])
            assert all(torch.equal(own[0][name], recorded[0][name]) for name in own[0])


def test_an_enumerated_program_is_recorded_too():
    spec = MixtureSpec(2, 1, prior_cov=9.0)
    data = {"x": np.concatenate([np.full((5, 1), -2.0), np.full((8, 1), 1.5)])}
    assert potential_of(pyro_impl.mixture(spec, "enumerated"), data)[1].kind == "traced"
    assert potential_of(pyro_impl.mixture(spec, "fused"), data)[1].kind == "direct"


def scattered(x):
    """A model of a user's own, with the fused mixture in it."""
    theta = pyro.sample("theta", dist.Dirichlet(torch.ones(2)))
    spread = pyro.sample("spread", dist.HalfNormal(3.0))
    with pyro.plate("components", 2):
        beta = pyro.sample("beta", dist.Normal(torch.zeros(1), spread).to_event(1))
    pyro.sample("x", FusedMixture(theta, beta, 1.0, len(x)), obs=x)


@pytest.mark.long
def test_a_model_with_the_native_kernel_in_it_is_recorded():
    data = {"x": np.concatenate([np.full((5, 1), -2.0), np.full((8, 1), 1.5)])}
    assert potential_of(scattered, data)[1].kind == "traced"
    settings = SamplerSettings(num_draws=60, num_warmup=60, num_chains=2, chain_method="parallel")
    groups, about = pyro_impl.sample_posterior(scattered, data, settings)
    assert about["potential"] == "traced"
    assert np.isfinite(groups["posterior"]["beta"]).all()


@pytest.mark.skipif(not native.available(), reason="There is no native kernel here.")
def test_the_native_kernel_is_an_operator_of_torch():
    x = torch.linspace(-2.0, 2.0, 14).reshape(7, 2)
    for arithmetic in (torch.float32, torch.float64):
        given = torch.log(torch.tensor([0.3, 0.7])), torch.tensor([[0.5, -1.0], [2.0, 0.1]])
        torch.library.opcheck(
            torch.ops.ppl_parity.one_pass.default,
            (*(tensor.double() for tensor in given), x.to(arithmetic), 0.8),
            test_utils=("test_schema", "test_faketensor"),
        )


def test_a_failed_factorisation_is_a_rejected_point_as_in_the_program():
    program, potential = potential_of(covariance)
    assert potential.kind == "traced"
    with program.session():
        for tie, fails in ((0.5, False), (1.5, True)):
            for function in (program.potential_function, potential.function(program)):
                gradient, value = gradient_of(function)({"tie": torch.tensor(tie)})
                assert bool(torch.isnan(value)) == fails
                assert (float(gradient["tie"]) == 0.0) == fails


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (branch_on_a_latent, "cannot be recorded"),
        (hidden_branch, "not the program"),
        (rolls_dice, "not the program"),
    ],
)
def test_what_a_graph_cannot_hold_is_run_as_a_program(model, said):
    _, potential = potential_of(model)
    assert potential.kind == "eager"
    assert said in potential.reason
    assert potential.graph is None


def test_a_short_run_is_not_worth_a_recording():
    assert potential_of(line, num_iterations=ENOUGH - 1)[1].kind == "eager"


def test_draws_do_not_depend_on_the_recording_or_on_the_process(monkeypatch):
    runs = {}
    for kind, least, method in (
        ("eager", 10**9, "sequential"),
        ("traced", 0, "sequential"),
        ("traced", 0, "parallel"),
    ):
        monkeypatch.setattr(compiled, "LEAST_ITERATIONS", least)
        settings = SamplerSettings(
            num_draws=15, num_warmup=15, num_chains=2, seed=3, init="uniform", chain_method=method
        )
        groups, attributes = pyro_impl.sample_posterior(line, {"y": Y}, settings)
        assert attributes["potential"] == kind
        runs[kind, method] = groups
    first, *others = runs.values()
    for other in others:
        for group, variables in first.items():
            assert set(variables) == set(other[group])
            for name, value in variables.items():
                np.testing.assert_array_equal(value, other[group][name])


def test_a_recording_that_fails_at_the_kept_draws_is_dropped_and_the_run_repeated(monkeypatch):
    settings = SamplerSettings(
        num_draws=6, num_warmup=6, num_chains=1, seed=3, init="uniform", chain_method="sequential"
    )
    eager, _ = pyro_impl.sample_posterior(line, {"y": Y}, settings)
    monkeypatch.setattr(compiled, "LEAST_ITERATIONS", 0)
    other = potential_of(line, {"y": Y + 1.0}, 10**6)[1]
    monkeypatch.setattr("pyro_impl.nuts.sampling_potential", lambda *_: other)
    groups, attributes = pyro_impl.sample_posterior(line, {"y": Y}, settings)
    assert attributes["potential"] == "eager"
    assert "mid-run" in attributes["potential_reason"]
    assert "holds" not in groups["sample_stats"]
    np.testing.assert_array_equal(groups["posterior"]["centre"], eager["posterior"]["centre"])


def test_the_test_at_kept_draws_sees_another_density():
    program, _ = potential_of(line)
    other = potential_of(line, {"y": Y + 1.0})[1]
    draws = {"centre": np.linspace(-1, 1, 5), "scale": np.zeros(5)}
    with program.session():
        assert not other.holds(program, draws)
        assert SamplingPotential("eager", "").holds(program, draws)


def test_a_model_is_recorded_once_for_its_data(monkeypatch):
    calls = []
    recorded = compiled._recorded
    monkeypatch.setattr(compiled, "_recorded", lambda *given: calls.append(1) or recorded(*given))

    def model(y):
        pyro.sample("q", dist.Normal(y.sum(), 1.0))

    for y, count in ((Y, 1), (Y, 1), (Y + 1.0, 2)):
        assert potential_of(model, {"y": y})[1].kind == "traced"
        assert len(calls) == count


def families(y):
    """Samplers of many kinds, each with constants that a careless graph would draw once and for all."""
    rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
    weights = pyro.sample("weights", dist.Dirichlet(torch.ones(3)))
    pyro.sample("factor", dist.LKJCholesky(3, 2.0))
    with pyro.plate("rows", len(y)):
        z = pyro.sample("z", dist.Categorical(weights))
        count = pyro.sample("count", dist.Poisson(rate))
        pyro.sample("y", dist.StudentT(4.0, z.to(rate.dtype), 1.0 + count), obs=y)
    pyro.deterministic("twice", 2 * rate)


def stops_early(y):
    """As many sites as a draw asks for."""
    length = int(pyro.sample("length", dist.Poisson(2.0)))
    pyro.sample("y", dist.Normal(float(length), 1.0).expand([len(y)]).to_event(1), obs=y)


@pytest.mark.parametrize(
    ("model", "recorded"), [(line, True), (families, True), (rolls_dice, False), (stops_early, False)]
)
def test_recorded_draws_are_those_of_the_program(monkeypatch, model, recorded):
    program = pyro_impl.Program(model, {"y": Y})
    runs = []
    monkeypatch.setattr(simulation, "_run", lambda *given, run=simulation._run: runs.append(1) or run(*given))
    fast = program.prior_samples(num_draws=400, seed=5)
    assert (len(runs) < 100) == recorded
    again = program.prior_samples(num_draws=400, seed=5)
    monkeypatch.setattr(simulation, "LEAST_DRAWS", 10**9)
    slow = program.prior_samples(num_draws=400, seed=5)
    assert set(fast) == set(slow) == set(again)
    for name, value in slow.items():
        assert fast[name].dtype == value.dtype
        np.testing.assert_array_equal(fast[name], value)
        np.testing.assert_array_equal(again[name], value)


def test_recorded_data_are_drawn_at_the_values_given(monkeypatch):
    program = pyro_impl.Program(line, {"y": Y})
    draws = {"centre": np.linspace(-50, 50, 400), "scale": np.full(400, 0.5)}
    fast = program.predictive_samples(draws, seed=2)
    monkeypatch.setattr(simulation, "LEAST_DRAWS", 10**9)
    slow = program.predictive_samples(draws, seed=2)
    np.testing.assert_array_equal(fast["y"], slow["y"])
    assert np.abs(fast["y"].mean(axis=1) - draws["centre"]).max() < 2


def test_a_recording_can_be_refused_for_a_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    program = pyro_impl.Program(line, {"y": Y})
    starts = program.initial("prior", num_chains=1, seed=0)
    assert sampling_potential(program, starts, ENOUGH).kind == "traced"
    monkeypatch.setenv("PPL_PARITY_RECORD", "0")
    assert sampling_potential(program, starts, ENOUGH).kind == "eager"
