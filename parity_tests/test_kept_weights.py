"""Guides of networks, that take rows of a plate, or that are a point: moved, and told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.findings import Report
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro

DATA = {"y": np.array([0.4, 1.3, 0.9, -0.2])}


def regression(ppl: str) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        w = library.sample("w", dist.Normal(numbers(ppl).zeros(2), 1.0).to_event(1))
        with library.plate("rows", 4):
            library.sample("y", dist.Normal(w[0] + w[1], 1.0), obs=y)

    return model


def of_a_module(y) -> None:
    """In Pyro's usual form: the distribution is made of a parameter itself, and of one with a constraint."""
    import torch
    from pyro.nn import PyroModule, PyroParam

    pyro, dist = libraries("pyro")

    class Guide(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.loc = torch.nn.Parameter(torch.zeros(2))
            self.scale = PyroParam(torch.full((2,), 0.1), constraint=dist.constraints.positive)

        def forward(self) -> None:
            pyro.sample("w", dist.Normal(self.loc, self.scale).to_event(1))

    Guide()()


def of_params(turned: bool) -> Callable:
    def guide(y):
        numpyro, dist = libraries("numpyro")
        loc = numpyro.param("loc", numbers("numpyro").zeros(2))
        scale = numpyro.param("scale", numbers("numpyro").full(2, 0.1), constraint=dist.constraints.positive)
        numpyro.sample("w", dist.Normal(loc[::-1] if turned else loc, scale).to_event(1))

    return guide


def judged(models: Callable, pyro: Callable, numpyro: Callable, sides: dict[str, Side]) -> Report:
    return check(
        models("pyro"),
        models("numpyro"),
        DATA,
        guides={"pyro": pyro, "numpyro": numpyro},
        rungs=["structure", "density", "guide"],
        sides=sides,
    )


def test_a_distribution_that_holds_a_parameter_itself_is_moved_with_it(sides: dict[str, Side]) -> None:
    report = judged(regression, of_a_module, of_params(turned=False), sides)
    assert report.verdict == "same", report.first_difference
    assert any(
        "'loc', 'scale' are params in pyro and numpyro: at 6 other values the log densities agree" in f.detail
        for f in told(report, "guide")
    )


def test_where_a_module_keeps_its_values_no_cause_is_looked_for(sides: dict[str, Side]) -> None:
    first = judged(regression, of_a_module, of_params(turned=True), sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("guide", "w")
    assert "With the param 'loc' away from its initial value" in first["detail"]
    assert "in pyro" not in first["hint"]


def local(ppl: str) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        with library.plate("rows", 4, subsample_size=2) as i:
            z = library.sample("z", dist.Normal(0.0, 1.0))
            library.sample("y", dist.Normal(z, 1.0), obs=y[i])

    return model


def of_rows(ppl: str, count: int) -> Callable:
    def guide(y):
        library, dist = libraries(ppl)
        loc = library.param("loc", numbers(ppl).zeros(4))
        with library.plate("rows", 4, subsample_size=count) as i:
            library.sample("z", dist.Normal(loc[i], 1.0))

    return guide


@pytest.mark.parametrize(("count", "verdict"), [(2, "same"), (3, "different")])
def test_a_guide_takes_as_many_rows_on_both_sides(count: int, verdict: str, sides: dict[str, Side]) -> None:
    report = judged(local, of_rows("pyro", 2), of_rows("numpyro", count), sides)
    assert report.verdict == verdict
    found = [f.detail for f in told(report, "guide") if f.verdict == "different"]
    assert (
        found
        == ["The plate 'rows' of the guide takes 2 of 4 rows in pyro and 3 of 4 in numpyro."][: count - 2]
    )


def test_a_point_s_value_is_the_cause_where_its_param_is_moved(sides: dict[str, Side]) -> None:
    def point(ppl: str, power: int) -> Callable:
        def guide(y):
            library, dist = libraries(ppl)
            at = library.param("at", numbers(ppl).ones(2), constraint=dist.constraints.positive)
            library.sample("w", dist.Delta(at**power).to_event(1))

        return guide

    first = judged(regression, point("pyro", 1), point("numpyro", 2), sides).first_difference
    assert first is not None
    assert first["hint"].startswith("its v is ")
    assert "squared" in first["hint"]


SIZES = {"first": (3, 2), "second": (2, 3)}  # (out, in)
STARTS = {name: np.sin(np.arange(6.0)).reshape(size) for name, size in SIZES.items()}


def latent(ppl: str) -> Callable:
    def model(x):
        library, dist = libraries(ppl)
        with library.plate("rows", len(x)):
            z = library.sample("z", dist.Normal(0.0, 1.0))
            library.sample("x", dist.Normal(z[:, None] + 0 * x, 1.0).to_event(1), obs=x)

    return model


def of_layers(x) -> None:
    import torch

    pyro, dist = libraries("pyro")
    layers = torch.nn.ModuleDict(
        {name: torch.nn.Linear(*size[::-1], bias=False) for name, size in SIZES.items()}
    )
    for name, layer in layers.items():
        layer.weight = torch.nn.Parameter(torch.tensor(STARTS[name]))
    layers = pyro.module("net", layers)
    out = layers["second"](torch.tanh(layers["first"](x)))
    with pyro.plate("rows", len(x)):
        pyro.sample("z", dist.Normal(out[:, 0], torch.exp(out[:, 1])))


def of_a_tree(link: str = "exp", link_of_layer: str = "tanh") -> Callable:
    """As flax has it: one statement of all weights, (in, out)."""

    def guide(x):
        numpyro, dist = libraries("numpyro")
        lib = numbers("numpyro")
        net = numpyro.param("net", {name: {"kernel": lib.array(start.T)} for name, start in STARTS.items()})
        out = getattr(lib, link_of_layer)(x @ net["first"]["kernel"]) @ net["second"]["kernel"]
        with numpyro.plate("rows", len(x)):
            numpyro.sample("z", dist.Normal(out[:, 0], getattr(lib, link)(out[:, 1])))

    return guide


def amortised(numpyro: Callable, sides: dict[str, Side], *rungs: str) -> Report:
    return check(
        latent("pyro"),
        latent("numpyro"),
        {"x": np.array([[0.4, 1.3], [0.9, -0.2], [-0.7, 0.1]])},
        guides={"pyro": of_layers, "numpyro": numpyro},
        rename={f"net$$${name}.weight": f"net.{name}.kernel.T" for name in SIZES},
        rungs=["structure", "density", "guide", *rungs],
        sides=sides,
    )


def test_each_array_of_a_network_is_moved(sides: dict[str, Side]) -> None:
    report = amortised(of_a_tree(), sides)
    assert report.verdict == "same", report.first_difference
    assert any(
        "'net$$$second.weight' are params" in f.detail and "at 6 other" in f.detail
        for f in told(report, "guide")
    )


@pytest.mark.long
def test_a_bound_is_compared_in_each_array_of_a_network(sides: dict[str, Side]) -> None:
    report = amortised(of_a_tree(), sides, "elbo")
    assert report.verdict == "same", report.first_difference
    details = [f.detail for f in told(report, "elbo")]
    assert all(any(f"gradient in 'net$$${name}.weight" in detail for detail in details) for name in SIZES)


def flax_module(name: str, make: Callable) -> Any:
    """As NumPyro's: it asks for a value, makes one, says which, and goes on with that whatever it is told."""
    import numpyro

    found = numpyro.param(name)
    if found is None:
        found = make(numpyro.prng_key())
        numpyro.param(name, found)
    return found


def of_flax(x) -> None:
    """In float32, of a key that each run has anew, under a name of its own for each array."""
    import jax
    import jax.numpy as jnp

    numpyro, dist = libraries("numpyro")

    def make(key):
        keys = jax.random.split(key, len(SIZES))
        return {
            name: {"kernel": jax.random.normal(key, size[::-1], dtype=jnp.float32)}
            for (name, size), key in zip(SIZES.items(), keys, strict=True)
        }

    net = flax_module("net", make)
    out = jnp.tanh(x @ net["first"]["kernel"]) @ net["second"]["kernel"]
    with numpyro.plate("rows", len(x)):
        numpyro.sample("z", dist.Normal(out[:, 0], jnp.exp(out[:, 1])))


def test_what_one_side_draws_anew_is_given_what_the_other_starts_at(sides: dict[str, Side]) -> None:
    report = amortised(of_flax, sides)
    assert report.verdict == "same", report.first_difference
    details = [f.detail for f in told(report, "guide")]
    assert (
        "Each run of numpyro draws the initial value of 'net$$$first.weight', 'net$$$second.weight' anew: it is given "
        "pyro's, which are fixed." in details
    )
    assert any("at 6 other values the log densities agree" in detail for detail in details)


def test_what_a_network_s_start_hides_is_found(sides: dict[str, Side]) -> None:
    """At a start where tanh is all but a line, and the scale 1, the port is the original."""
    first = amortised(of_a_tree(link_of_layer="sin"), sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("guide", "z")
