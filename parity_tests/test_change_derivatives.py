"""The derivative of what a side computes by what it draws, its blocks, and the way back, which a frozen side goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.reparameterised import CURVE, DATA, LINE, SQUARED, Written, hyper, model, of_rows, walk
from ppl_parity.checking import check_pair
from ppl_parity.errors import InputError
from ppl_parity.frozen.freezing import freeze
from ppl_parity.frozen.side import FrozenSide
from ppl_parity.ladder.changes.inverse import made_of
from ppl_parity.ladder.changes.jacobians import Computed, jacobian
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro
VALUES = {"mu": np.array(0.3), "tau": np.array(2.0), "z": np.array([1.0, -2.0])}


def computing(backend: Any) -> Any:
    return backend.Program(model(backend.NAME, LINE, True), DATA)


def test_a_vector_times_the_derivative(backend: Any) -> None:
    vectors = {"u": np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 10.0]])}
    found = computing(backend).vector_jacobian(VALUES, vectors, ["z", "tau", "mu"])
    assert np.allclose(found["z"], [[2, 0], [0, 2], [2, 20]])
    assert np.allclose(found["tau"], [1, -2, -19])
    assert np.allclose(found["mu"], [1, 1, 11])


@pytest.mark.parametrize(
    ("vectors", "by", "words"),
    [
        ({"v": np.ones((1, 2))}, ["z"], "no deterministic site 'v'"),
        ({"u": np.ones((1, 2))}, ["y"], "no continuous"),
    ],
)
def test_a_derivative_of_nothing_is_refused(backend: Any, vectors: Any, by: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        computing(backend).vector_jacobian(VALUES, vectors, by)


def mixed(library, dist, lib, computes):
    """Both numbers hang on both that are drawn."""
    _, tau = hyper(library, dist)
    z = library.sample("z", dist.Normal(lib.zeros(2), 1.0).to_event(1))
    return library.deterministic("u", lib.stack([z[0] + z[1], tau * z[1]]))


@pytest.mark.parametrize(
    ("write", "rows", "log_abs_det"),
    [
        (LINE, (2,), [np.log(2.0)] * 2),
        (of_rows, (4,), [2 * np.log(2.0) + np.log(1.3)] * 4),
        (walk, (2,), [np.log(2.0)] * 2),
        (mixed, (), np.log(2.0)),
    ],
    ids=["numbers", "rows", "steps", "one block"],
)
def test_rows_are_apart_where_they_do_not_mix(
    backend: Any, write: Written, rows: Any, log_abs_det: Any
) -> None:
    program = backend.Program(model(backend.NAME, write, True), DATA)
    shape = (4, 2) if write is of_rows else (2,)
    values = {**VALUES, "z": np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape)}
    group = Computed(("u",), ("z",), {"u": shape, "z": shape}, shape[:1])
    (site,) = (site for site in program.sites(values) if site.name == "u")
    found = jacobian(program, values, {"u": site.value}, group)
    assert found is not None
    assert found.rows == rows
    assert np.allclose(found.log_abs_det(), log_abs_det)
    assert np.all(found.lost < 1e-14)


@pytest.mark.parametrize("write", [LINE, CURVE])
def test_what_was_drawn_is_found_from_what_was_computed(backend: Any, write: Written) -> None:
    program = backend.Program(model(backend.NAME, write, True), DATA)
    (site,) = (site for site in program.sites(VALUES) if site.name == "u")
    group = Computed(("u",), ("z",), {"u": (2,), "z": (2,)})
    start = {**VALUES, "z": np.array([-1.5, 3.0])}
    found = made_of(program, start, {"u": site.value}, [group], {"z": False})
    assert found is not None
    assert np.allclose(found["z"], VALUES["z"], rtol=1e-12)
    assert made_of(program, start, {"u": np.array([np.inf, 1.0])}, [group], {"z": False}) is None


@pytest.mark.long
@pytest.mark.parametrize("write", [LINE, CURVE, SQUARED], ids=["a line", "a curve", "a variance"])
def test_a_frozen_side_is_held_to_a_side_that_computes(write: Written, sides: dict[str, Side]) -> None:
    models = {side: CallableReference.of(model(side, write, side == "numpyro")) for side in SIDES}
    pair = Pair("frozen", models, dict.fromkeys(SIDES, DATA))
    frozen = freeze(pair, "pyro", sides["pyro"], settings=None)
    both: Any = {"pyro": FrozenSide(frozen), "numpyro": sides["numpyro"]}
    report = check_pair(pair, level="quick", sides=both)
    assert report.verdict == ("different" if write is SQUARED else "same"), str(report)
