"""What each run of a model draws anew beside its sites: which that is, and how it is held."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity_tests.conftest import load
from parity_tests.written import libraries, numbers
from ppl_parity.process import wire
from ppl_parity.process.references import HeldReference, ModuleReference

DATA = {"y": np.arange(6.0)}


def model(ppl: str) -> Any:
    def written(y):
        library, dist = libraries(ppl)
        drawn = (lambda: numbers(ppl).randn(2)) if ppl == "pyro" else _normal
        library.param("fixed", y[:2])
        start = library.param("start", drawn)
        m = library.sample("m", dist.Normal(start.sum(), 1.0))
        with library.plate("rows", len(y), subsample_size=3) as rows:
            library.sample("y", dist.Normal(m, 1.0), obs=y[rows])

    return written


def _normal(key: Any) -> Any:
    import jax

    return jax.random.normal(key, (2,))


def test_random_starts_and_rows_are_found_and_no_others(backend: Any) -> None:
    drawn = backend.Program(model(backend.NAME), DATA).drawn_anew()
    assert {name: value.shape for name, value in drawn.items()} == {"start": (2,), "rows": (3,)}


def test_a_model_that_is_held_draws_nothing_anew(backend: Any) -> None:
    values = {"start": np.array([0.5, -1.0]), "rows": np.array([4, 0, 2])}
    program = backend.Program(backend.hold(model(backend.NAME), values), DATA)
    assert program.drawn_anew() == {}
    log_probs = program.site_log_probs({"m": np.array(0.3)})
    half = 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_probs["m"], -0.5 * 0.8**2 - half)
    np.testing.assert_allclose(
        log_probs["y"], 2 * (-0.5 * (np.array([4.0, 0.0, 2.0]) - 0.3) ** 2 - half)
    )  # three of six rows count twice
    others = {
        "m": np.array(0.3),
        "start": np.array([1.0, 1.0]),
    }  # what is given counts more than what is held
    np.testing.assert_allclose(program.site_log_probs(others)["m"], -0.5 * 1.7**2 - half)


@pytest.mark.parametrize("how", ["a tree", "a function of a key", "asked for first"])
def test_each_array_of_a_tree_may_have_a_value(how: str) -> None:
    """A user's tree stays as it was: only one that was made when it was asked for is changed."""
    jnp = numbers("numpyro")
    backend, users = load("numpyro"), {"layer": {"kernel": jnp.ones((2, 2)), "bias": jnp.zeros(2)}}

    def model():
        numpyro, dist = libraries("numpyro")
        net: Any = {"layer": dict(users["layer"])} if how == "asked for first" else users
        if how == "asked for first":
            assert numpyro.param("net") is None
            numpyro.param("net", net)
        else:
            net = numpyro.param("net", net if how == "a tree" else lambda key: net)
        numpyro.sample("y", dist.Normal(net["layer"]["kernel"].sum() + net["layer"]["bias"][0], 1.0))

    def at(program: Any, **given: Any) -> float:
        return float(program.site_log_probs({"y": np.array(1.0), **given})["y"])

    def normal(mean: float) -> float:
        return -0.5 * (1 - mean) ** 2 - 0.5 * np.log(2 * np.pi)

    program = backend.Program(model, {})
    assert [param.name for param in program.params()] == ["net.layer.bias", "net.layer.kernel"]
    np.testing.assert_allclose(at(program), normal(4.0))
    np.testing.assert_allclose(at(program, **{"net.layer.bias": np.array([0.5, 9.0])}), normal(4.5))
    moved = {param.name: param.value for param in program.params(seed=0)}
    expected = normal(moved["net.layer.kernel"].sum() + moved["net.layer.bias"][0])
    np.testing.assert_allclose(at(program, **moved), expected)
    held = backend.Program(backend.hold(model, {"net.layer.kernel": np.full((2, 2), 0.5)}), {})
    np.testing.assert_allclose(at(held), normal(2.0))
    np.testing.assert_array_equal(users["layer"]["kernel"], np.ones((2, 2)))


def test_a_held_reference_is_a_key_and_crosses_as_it_is() -> None:
    first = HeldReference.of(ModuleReference("package", "model"), {"b": np.arange(3), "a": np.eye(2)})
    again = HeldReference.of(first, {"b": np.array([5.0])})
    assert isinstance(again.model, ModuleReference)
    assert hash(again) != hash(first)
    assert wire.unpack(*wire.pack(again)) == again
    np.testing.assert_array_equal(again.values()["a"], np.eye(2))
    np.testing.assert_array_equal(again.values()["b"], [5.0])
