"""Param statements, which are learned and have no prior: told of, and compared by value and constraint."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import Y, libraries, told
from ppl_parity import check
from ppl_parity.sides import Side

pytestmark = pytest.mark.pyro


def test_a_param_is_told_of(sides: dict[str, Side]) -> None:
    def model(y):
        pyro, dist = libraries("pyro")
        scale = pyro.param("scale", importlib.import_module("torch").tensor(1.5).double())
        pyro.sample("y", dist.Normal(pyro.sample("x", dist.Normal(0.0, 1.0)), scale), obs=y)

    def port(y, learned=False):
        numpyro, dist = libraries("numpyro")
        scale = numpyro.param("scale", 1.5) if learned else 1.5
        numpyro.sample("y", dist.Normal(numpyro.sample("x", dist.Normal(0.0, 1.0)), scale), obs=y)

    for learned, where in ((False, "pyro alone"), (True, "pyro and numpyro")):
        data = {"pyro": {"y": Y["y"]}, "numpyro": {"y": Y["y"], "learned": learned}}
        report = check(model, port, data, rungs=["structure", "density"], sides=sides)
        assert report.verdict == "same"
        assert any(
            f"'scale' is a param in {where};" in finding.detail for finding in told(report, "structure")
        )


def test_a_param_has_its_value_and_its_constraint(sides: dict[str, Side]) -> None:
    def model(ppl: str, value: float = 1.5, constraint: str = "positive") -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            array = importlib.import_module({"pyro": "torch", "numpyro": "jax.numpy"}[ppl])
            within = getattr(dist.constraints, constraint)
            scale = library.param("scale", array.full((2,), value), constraint=within)
            library.sample("y", dist.Normal(library.sample("x", dist.Normal(0.0, 1.0)), scale[0]), obs=y)

        return run

    def first(**port) -> tuple[str, str] | None:
        found = check(
            model("pyro"), model("numpyro", **port), {"y": Y["y"]}, rungs=["structure"], sides=sides
        ).first_difference
        return None if found is None else (found["site"], found["quantity"])

    assert first() is None
    assert first(constraint="softplus_positive") is None
    assert first(constraint="real") == ("scale", "constraint")
    assert first(value=1.6) == ("scale", "initial value")


def learnt(ppl: str, *, prior: bool) -> Callable:
    """A mean that is a param, or that has a prior."""

    def model(y, w):
        library, dist = libraries(ppl)
        zero = 0.0 * y
        m = library.sample("m", dist.Normal(zero, 1.0)) if prior else library.param("m", zero)
        a = library.sample("a", dist.Normal(m, 1.0))
        library.sample("y", dist.Normal(a, w), obs=y)

    return model


def test_a_param_is_no_latent_site(sides: dict[str, Side]) -> None:
    models = learnt("pyro", prior=False), learnt("numpyro", prior=True)
    first = check(*models, Y, rungs=["structure"], sides=sides).first_difference
    assert first is not None
    assert (first["site"], first["quantity"]) == ("m", "kind")
    assert "a param in pyro" in first["detail"]
