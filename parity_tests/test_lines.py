"""Whose line an exception is told with: the innermost of the user's own, whenever and wherever the model runs."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppl_parity.errors import InputError, ModelError
from ppl_parity.process.references import CallableReference, FileReference
from ppl_parity.spec import SamplerSettings

HERE = Path(__file__).name
Y = {"y": np.array([0.0, 1.0, 1.0])}


def line_of(text: str) -> int:
    """Where this file says so, in a comment."""
    return Path(__file__).read_text().splitlines().index(text) + 1


def libraries(name: str) -> list[Any]:
    array = {"pyro": "torch", "numpyro": "jax.numpy"}[name]
    return [importlib.import_module(module) for module in (name, f"{name}.distributions", array)]


def product(array: Any, w: Any) -> Any:
    return w @ array.zeros(4)


PRODUCT = line_of("    return w @ array.zeros(4)")


def wrong_shape(name: str) -> Callable:
    library, dist, array = libraries(name)

    def model(y):
        w = library.sample("w", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        library.sample("y", dist.Normal(product(array, w), 1.0).expand([3]).to_event(1), obs=y)

    return model


def test_the_line_of_a_helper_that_the_model_calls(backend: Any) -> None:
    with pytest.raises(InputError, match=rf"{backend.NAME}: .*; it failed at \S*{HERE}:{PRODUCT}: \w+: \S"):
        backend.Program(wrong_shape(backend.NAME), Y)


def test_a_model_by_value_and_one_from_a_file(side: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{HERE}:{PRODUCT}: "):
        side.program(CallableReference.of(wrong_shape(side.name)), Y)
    path = tmp_path / "port.py"
    path.write_text("def model(y):\n    # a comment\n    return [][y.size if hasattr(y, 'nope') else 3]\n")
    with pytest.raises(InputError, match=r"at port.py:3: IndexError"):
        side.program(FileReference(str(path), "model"), Y)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("<ipython-input-3-0a1b2c>", "<ipython-input-3-0a1b2c>:2"),
        ("/tmp/ipykernel_12/345.py", "<ipython-input>:2"),
    ],
)
def test_a_cell_of_a_notebook(backend: Any, file: str, name: str) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("def model(y):\n    return y.no_such_thing\n", file, "exec"), names)
    with pytest.raises(InputError, match=f"it failed at {name}: AttributeError"):
        backend.Program(names["model"], Y)


def test_a_sampler_that_fails_is_told_with_its_statement(backend: Any) -> None:
    library, dist, _ = libraries(backend.NAME)

    def model(y):
        x = library.sample("x", dist.Normal(0.0, 1.0))
        library.sample("y", dist.ImproperUniform(dist.constraints.real, (3,), ()).to_event(1), obs=y + 0 * x)

    statement = line_of(
        '        library.sample("y", dist.ImproperUniform(dist.constraints.real, (3,), ()).to_event(1), obs=y + 0 * x)'
    )
    program = backend.Program(model, Y)
    with pytest.raises(
        InputError, match=rf"the sampler of 'y' \(ImproperUniform\) failed at \S*{HERE}:{statement}: "
    ):
        program.prior_samples(num_draws=2, seed=0)


def test_a_log_prob_that_fails_is_told_with_its_site(backend: Any) -> None:
    library, dist, _ = libraries(backend.NAME)

    class Wrong(dist.Normal):  # type: ignore[name-defined]
        log_prob = staticmethod(np.linalg.inv)  # a library's: no frame of this is the user's

    def model(y):
        x = library.sample("x", dist.Normal(0.0, 1.0))
        library.sample("y", Wrong(x, 1.0).expand([3]).to_event(1), obs=y)

    program = backend.Program(model, Y)
    with pytest.raises(InputError, match=r"potential failed at the site 'y': \w+: "):
        program.potential({"x": np.array(0.3)})


def test_nuts_on_a_model_that_fails_late(backend: Any) -> None:
    library, dist, _ = libraries(backend.NAME)
    runs = []

    def model(y):
        runs.append(1)
        x = library.sample("x", dist.Normal(0.0, 1.0))
        if late:
            raise RuntimeError("late")  # here
        library.sample("y", dist.Normal(x, 1.0).expand([3]).to_event(1), obs=y)

    late = False
    program = backend.Program(model, Y)
    start = program.initial("uniform", num_chains=1, seed=0)
    late = True
    raising = line_of('            raise RuntimeError("late")  # here')
    with pytest.raises(InputError, match=rf"failed at \S*{HERE}:{raising}: RuntimeError: late"):
        program.leapfrog({"x": start["x"][0]}, {"x": np.array(1.0)}, step_size=0.1, num_steps=1)
    nuts = importlib.import_module(f"{backend.__name__}.nuts")
    position = program.constrain_draws(start) if backend.NAME == "pyro" else start
    settings = SamplerSettings(num_draws=3, num_warmup=3, num_chains=1, init="prior")
    with pytest.raises(InputError, match=rf"failed at \S*{HERE}:{raising}: RuntimeError: late"):
        nuts.run_chains(program, settings, initial_values=position, inverse_mass=None, progress=False)


def test_what_a_model_raised_crosses_a_process() -> None:
    error = ModelError("pyro", "sampling failed", "KeyError: 'x'", "port.py:3")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "pyro: sampling failed at port.py:3: KeyError: 'x'"
    assert again.at("elsewhere.py:9").args == error.args


@pytest.mark.pyro
def test_a_statement_of_the_other_framework_is_told_of(backend: Any) -> None:
    other = {"pyro": "numpyro", "numpyro": "pyro"}[backend.NAME]
    library, dist, _ = libraries(backend.NAME)
    foreign, foreign_dist, _ = libraries(other)

    def left_over(y):
        a = library.sample("a", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        foreign.sample("y", foreign_dist.Normal(a[0], 1.0), obs=y)

    expected = rf"\(raised by a library of {other}, which a model of {backend.NAME} does not call"
    with pytest.raises(InputError, match=expected):
        backend.Program(left_over, Y)
    with pytest.raises(InputError) as own:
        backend.Program(wrong_shape(backend.NAME), Y)
    assert "raised by a library" not in str(own.value)


def test_an_assertion_without_a_message_is_told_by_what_it_asserts(backend: Any) -> None:
    def model(y):
        raise AssertionError

    with pytest.raises(InputError, match=r"AssertionError: no message, from `raise AssertionError`"):
        backend.Program(model, Y)
