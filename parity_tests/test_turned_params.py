"""Params of other names and axes: a layer's weight is (out, in) in torch and (in, out) in flax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.checking import check_pair
from ppl_parity.errors import InputError
from ppl_parity.findings import Report
from ppl_parity.frozen.freezing import freeze
from ppl_parity.frozen.side import FrozenSide
from ppl_parity.pair.pairs import Pair
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines

pytestmark = pytest.mark.pyro

WEIGHT = np.array([[0.3, -0.2], [0.1, 0.5], [0.7, -0.4]])  # (out, in)
DATA = {
    "x": np.array([[0.4, 1.3], [0.9, -0.6], [-1.1, 0.2], [0.5, 0.5]]),
    "y": np.array([0.4, 1.3, 0.9, -0.2]),
}
NAMES = {"weight": "kernel.T"}
RUNGS = ("structure", "density")


def model(ppl: str, power: int = 1, start: str = "given") -> Callable:
    """A layer, whose weight is learned, under a latent noise; its start is given, or drawn by each run."""

    def written(x, y):
        library, dist = libraries(ppl)
        lib, name, weight = (
            (numbers(ppl).tensor, "weight", WEIGHT)
            if ppl == "pyro"
            else (numbers(ppl).array, "kernel", WEIGHT.T)
        )
        start_at = lib(weight)
        if start == "drawn" and ppl == "pyro":
            start_at = start_at + 0.1 * numbers(ppl).randn(3, 2)
        elif start == "drawn":
            import jax

            start_at = start_at + 0.1 * jax.random.normal(library.prng_key(), (2, 3))
        learned = library.param(name, start_at)
        layer = x @ (learned.T if ppl == "pyro" else learned)
        s = library.sample("s", dist.HalfNormal(1.0))
        with library.plate("N", 4):
            library.sample("y", dist.Normal((layer**power).sum(-1), s), obs=y)

    return written


def guide(ppl: str, name: str = "at") -> Callable:
    """A guide with a matrix of its own."""

    def written(x, y):
        library, dist = libraries(ppl)
        array = numbers(ppl).tensor if ppl == "pyro" else numbers(ppl).array
        loc = library.param(name, array(WEIGHT if ppl == "pyro" else WEIGHT.T))
        spread = numbers(ppl).exp(loc[1, 0] if ppl == "pyro" else loc[0, 1])
        library.sample("s", dist.LogNormal(loc.sum(), spread))

    return written


def judged(sides: dict[str, Side], numpyro: Callable, **options: Any) -> Report:
    return check(model("pyro"), numpyro, DATA, **{"rungs": RUNGS, "sides": sides, "rename": NAMES} | options)


def test_a_transposed_weight_is_compared_at_other_values(sides: dict[str, Side]) -> None:
    report = judged(sides, model("numpyro"))
    assert report.verdict == "same"
    said = [each.detail for each in told(report, "structure") if each.site == "weight"]
    assert said == [
        "The shape of the param 'weight' is (3, 2) in pyro and (2, 3) in numpyro: one is the other's transpose, as "
        "rename says."
    ]
    (moved,) = [each.detail for each in told(report, "density") if "other values" in each.detail]
    assert moved.startswith(
        "'weight' is a param in pyro and numpyro: at 6 other values the log densities agree"
    )


def test_a_mistake_beneath_it_is_found(sides: dict[str, Side]) -> None:
    report = judged(sides, model("numpyro", power=2))
    assert report.verdict == "different"
    (found,) = [each for each in told(report, "density") if each.verdict == "different"]
    assert found.site == "y"


def test_each_run_s_own_start_is_given_to_both_as_each_has_it(sides: dict[str, Side]) -> None:
    report = check(
        model("pyro", start="drawn"),
        model("numpyro", start="drawn"),
        DATA,
        rungs=RUNGS,
        sides=sides,
        rename=NAMES,
    )
    assert report.verdict == "same"
    said = [each.detail for each in told(report, "structure") if each.site == "weight"]
    assert "Each run draws the initial value of 'weight' anew: both sides are given one value of it." in said


def test_it_is_proposed_where_it_is_forgotten(sides: dict[str, Side]) -> None:
    report = judged(sides, model("numpyro"), rename={"weight": "kernel"})
    assert report.verdict == "different"
    assert 'Then give rename = {"weight": "kernel.T"}' in three_lines(report)


@pytest.mark.long
@pytest.mark.parametrize("side", ["pyro", "numpyro"])
def test_a_file_has_the_answers(side: str, sides: dict[str, Side]) -> None:
    models = {ppl: CallableReference.of(model(ppl)) for ppl in ("pyro", "numpyro")}
    guides = {ppl: CallableReference.of(guide(ppl)) for ppl in ("pyro", "numpyro")}
    pair = Pair("layer", models, {ppl: DATA for ppl in models}, rename=NAMES | {"at": "at.T"}, guides=guides)
    frozen = FrozenSide(freeze(pair, side, sides[side], settings=None))
    report = check_pair(pair, sides={**sides, side: frozen}, rungs=(*RUNGS, "guide", "elbo"))
    assert report.verdict == "same"
    assert len([each for each in told(report, "density") if "6 other values" in each.detail]) == 1


@pytest.mark.long
def test_a_bound_is_compared_where_a_guide_s_params_have_another_name_and_axes(
    sides: dict[str, Side],
) -> None:
    guides = {"pyro": guide("pyro"), "numpyro": guide("numpyro", "place")}
    report = judged(
        sides,
        model("numpyro"),
        rename=NAMES | {"at": "place.T"},
        guides=guides,
        rungs=(*RUNGS, "guide", "elbo"),
    )
    assert report.verdict == "same"
    details = [each.detail for each in told(report, "elbo")]
    assert all(any(f"gradient in {name!r}" in detail for detail in details) for name in ("at", "weight"))


@pytest.mark.parametrize("backend", ["pyro", "numpyro"])
def test_a_bound_takes_params_of_model_and_guide_only(backend: str, sides: dict[str, Side]) -> None:
    both = CallableReference.of(model(backend)), CallableReference.of(guide(backend))
    with pytest.raises(
        InputError, match=rf"{backend}: a param must be one of at, .*; got 'att'. Did you mean 'at'"
    ):
        sides[backend].elbo(*both, DATA, [{"att": WEIGHT}], num_draws=2, seed=0)
    with pytest.raises(InputError, match=r"the param 'at' must have shape .*; got \(1, 1\)"):
        sides[backend].elbo(*both, DATA, [{"at": np.ones((1, 1))}], num_draws=2, seed=0)
