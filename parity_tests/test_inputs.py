"""What a backend makes of what it is given: whole numbers are numbers, and what does not fit is refused."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from ppl_parity import reference
from ppl_parity.errors import InputError
from ppl_parity.spec import FORMULATIONS, MixtureSpec

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
