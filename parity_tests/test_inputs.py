"""What a backend makes of what it is given: whole numbers are numbers, and what does not fit is refused."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from parity_tests.native_cases import needs_kernel, run_python
from ppl_parity import native, reference
from ppl_parity.errors import InputError
from ppl_parity.spec import FORMULATIONS, MixtureSpec, SamplerSettings

SPEC = MixtureSpec(2, 2, prior_cov=25.0)
X = np.array([[1, 2], [3, 4], [-2, 0], [5, 5], [0, -3], [4, 2]])
POINT = {"theta": np.array([0.4, 0.6]), "beta": np.array([[-1.0, 0.25], [3.0, 3.5]])}
UNCONSTRAINED = {"theta": np.array([0.3]), "beta": POINT["beta"]}


def part(backend: Any, module: str) -> Any:
    return importlib.import_module(f"{backend.__name__}.{module}")


def site_x(backend: Any, model: Any, x: np.ndarray) -> float:
    """log p(x | theta, beta) by the framework's own handlers, without a program of ours."""
    runtime = part(backend, "runtime")
    with runtime.session():
        given, point = runtime.to_framework(x), runtime.to_framework(POINT)
        if backend.NAME == "numpyro":
            from numpyro import handlers

            traced = handlers.trace(handlers.substitute(handlers.seed(model, 0), data=point)).get_trace(given)
            site = traced["x"]
        else:
            from pyro import poutine

            site = poutine.trace(poutine.condition(model, point)).get_trace(given).nodes["x"]
        return float(site["fn"].log_prob(site["value"]).sum())


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_whole_numbers_are_numbers(backend: Any, formulation: str, precision: str) -> None:
    model, found = backend.mixture(SPEC, formulation), []
    for dtype in ("float64", "int64", "int32"):
        program = backend.Program(model, {"x": X.astype(dtype)}, precision=precision)
        value, gradient = program.potential_and_gradient(UNCONSTRAINED)
        found.append(
            (program.log_density(POINT), value, *(gradient[name].tolist() for name in sorted(gradient)))
        )
    assert found[1] == found[0]
    assert found[2] == found[0]
    expected = reference.potential(SPEC, UNCONSTRAINED, X)
    assert found[0][1] == pytest.approx(expected, rel=1e-12 if precision == "float64" else 1e-5)


@pytest.mark.parametrize("formulation", ["marginal", "fused"])
def test_whole_numbers_without_a_program_and_without_the_native_kernel(
    backend: Any, formulation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = backend.mixture(SPEC, formulation)
    for usable in (part(backend, "kernels").cpu.usable, lambda x: False):
        monkeypatch.setattr(part(backend, "kernels").cpu, "usable", usable)
        found = site_x(backend, model, X)
        assert found == pytest.approx(site_x(backend, model, X.astype(float)), rel=1e-14)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("shape", [(6, 1), (6, 3), (6,), (1, 6, 2)], ids=str)
def test_an_x_of_other_columns(backend: Any, formulation: str, shape: tuple[int, ...]) -> None:
    model, x = backend.mixture(SPEC, formulation), np.zeros(shape)
    with pytest.raises(InputError, match=r"x must have shape \(N, D\), with D = 2"):
        backend.Program(model, {"x": x})
    with pytest.raises(InputError, match=r"x must have shape \(N, D\), with D = 2"):
        site_x(backend, model, x)


@pytest.mark.parametrize("way", ["one_pass", "cpu.native_pass", "cpu.array_pass", "gpu.kernel_pass"])
def test_no_kernel_is_given_what_does_not_fit(backend: Any, way: str) -> None:
    module = part(backend, "kernels")
    for name in way.split("."):
        module = getattr(module, name)
    if way == "cpu.native_pass" and not native.available():
        pytest.skip("no native kernel here")
    runtime = part(backend, "runtime")
    log_theta, beta, x = np.log(POINT["theta"]), POINT["beta"], X.astype(float)
    with runtime.session():
        for given in (
            (log_theta, beta, np.zeros((6, 1))),
            (log_theta, beta, np.zeros((6, 3))),
            (log_theta, beta, np.zeros(6)),
            (np.zeros(3), beta, x),
            (log_theta[:, None], beta, x),
            (log_theta, beta[0], x),
        ):
            with pytest.raises(InputError, match="The kernel takes log_theta"):
                module(*runtime.to_framework(given), 1.0)
        with pytest.raises(InputError, match="x must be float32 or float64; got int"):
            module(*runtime.to_framework((log_theta, beta, X)), 1.0)


@needs_kernel
def test_nor_is_the_native_potential(backend: Any) -> None:
    runtime = part(backend, "runtime")
    program = backend.Program(backend.mixture(SPEC, "fused"), {"x": X.astype(float)})
    arrays = () if backend.NAME == "pyro" else (program.arrays,)
    y, beta = UNCONSTRAINED["theta"], POINT["beta"]
    with program.session():
        for given in (
            (np.zeros(2), beta),
            (np.zeros(0), beta),
            (y, beta[:1]),
            (y, beta[:, :1]),
            (y, beta[0]),
        ):
            with pytest.raises(InputError, match="the mixture's potential takes"):
                program.potential_function(
                    *arrays, dict(zip(("theta", "beta"), runtime.to_framework(given), strict=True))
                )


@pytest.mark.pyro
@needs_kernel
def test_nor_is_an_address_of_rows_that_lie_otherwise() -> None:
    import torch

    from pyro_impl.kernels import cpu

    for x in (torch.zeros(2, 6).T, torch.zeros(6), torch.zeros((6, 2), dtype=torch.float16)):
        with pytest.raises(InputError, match=r"takes an x \(N, D\) of float32 or float64, rows side by side"):
            cpu.mixture_call(x, 2, 1.0)


@pytest.mark.parametrize("function", ["responsibilities", "sample_assignments", "pointwise_log_likelihood"])
def test_draws_of_another_spec(backend: Any, function: str) -> None:
    ask, theta, beta = getattr(backend, function), POINT["theta"][None], POINT["beta"][None]
    assert len(ask(SPEC, theta, beta, X))
    for draws in (
        (theta[0], beta[0]),
        (theta, beta[0]),
        (theta, np.repeat(beta, 3, axis=0)),
        (np.full((1, 3), 1 / 3), np.zeros((1, 3, 2))),
        (theta, np.zeros((1, 2, 1))),
    ):
        with pytest.raises(InputError, match=r"theta must have shape \(S, K\) and beta \(S, K, D\)"):
            ask(SPEC, *draws, X)
    for x in (X[:, :1], X[0]):
        with pytest.raises(InputError, match=r"x must have shape \(N, D\), with D = 2"):
            ask(SPEC, theta, beta, x)
    with pytest.raises(InputError, match="precision must be one of"):
        ask(SPEC, theta, beta, X, precision="float16")


@pytest.mark.parametrize("formulation", ["marginal", "fused"])
def test_a_precision_that_there_is_none_of(backend: Any, formulation: str) -> None:
    with pytest.raises(InputError, match="precision must be one of float32, float64; got 'float16'"):
        backend.Program(backend.mixture(SPEC, formulation), {"x": X}, precision="float16")


def test_a_trajectory_of_no_steps(backend: Any) -> None:
    program = backend.Program(backend.mixture(SPEC, "fused"), {"x": X})
    with pytest.raises(InputError, match="num_steps must be at least 1; got 0"):
        program.leapfrog(UNCONSTRAINED, UNCONSTRAINED, step_size=0.1, num_steps=0)


@pytest.mark.pyro
def test_a_model_that_calls_the_other_framework_is_not_fitted_without_it(backend: Any) -> None:
    import numpyro
    import pyro
    import torch

    own, other = (numpyro, pyro) if backend.NAME == "numpyro" else (pyro, numpyro)

    def model() -> None:
        own.sample("mu", own.distributions.Normal(0.0, 1.0))
        other.factor("likelihood", torch.tensor(-50.0) if other is pyro else -50.0)

    statement = rf"{other.__name__}\.factor\('likelihood'\)"
    with pytest.raises(InputError, match=f"must be its own framework's, .* the model runs {statement}"):
        backend.fit(model, {}, SamplerSettings(num_draws=5, num_warmup=5, num_chains=1))


def ppl(backend: Any) -> Any:
    return importlib.import_module(backend.NAME)


def test_a_model_with_nothing_to_sample(backend: Any) -> None:
    framework = ppl(backend)

    def model(y: Any) -> None:
        framework.sample("y", framework.distributions.Normal(0.0, 1.0), obs=y)

    with pytest.raises(InputError, match="NUTS needs a continuous latent site; the model has none"):
        backend.fit(model, {"y": np.array(1.0)}, SamplerSettings(num_draws=5, num_warmup=5, num_chains=1))


@pytest.fixture(scope="module")
def of_one_width(backend: Any) -> Any:
    """One model for all widths, which are its data: NumPyro then compiles NUTS once, and not for each."""
    framework = ppl(backend)

    def model(sd: Any) -> None:
        framework.sample("mu", framework.distributions.Normal(0.0, sd))

    return model


@pytest.mark.parametrize("sd", [0.01, pytest.param(1.0, marks=pytest.mark.long), 100.0])
@pytest.mark.parametrize("init", ["uniform", "prior"])
def test_a_step_size_without_warmup(backend: Any, of_one_width: Any, sd: float, init: str) -> None:
    """Of 480 chains of either: 0.16 to 1.6 standard deviations, accepted 0.7 and more, and all but one 0.91."""
    settings = SamplerSettings(num_draws=200, num_warmup=0, init=init, chain_method="sequential")
    stats = backend.sample_posterior(of_one_width, {"sd": np.array(sd)}, settings)[0]["sample_stats"]
    steps, accepted = stats["step_size"] / sd, stats["acceptance_rate"].mean(axis=1)
    assert np.all((steps > 0.05) & (steps < 1.8)), steps
    assert np.all(accepted > 0.6), accepted


def test_rows_over_devices_are_checked_before_they_are_spread() -> None:
    run_python(
        """
import numpy as np
import numpyro_impl
from parity_tests.test_inputs import SPEC, UNCONSTRAINED, X
from ppl_parity.errors import InputError

model = numpyro_impl.mixture(SPEC, "fused")
whole, real = (numpyro_impl.Program(model, {"x": x}, num_shards=2) for x in (X, X.astype(float)))
assert whole.potential(UNCONSTRAINED) == real.potential(UNCONSTRAINED)
for x in (X[:, :1], X[:, 0]):
    try:
        numpyro_impl.Program(model, {"x": x}, num_shards=2)
    except InputError as error:
        assert "x must have shape (N, D), with D = 2" in str(error)
    else:
        raise AssertionError(x.shape)
""",
        XLA_FLAGS="--xla_force_host_platform_device_count=2",
        JAX_PLATFORMS="cpu",
    )
