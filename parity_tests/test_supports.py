"""Supports whose bounds are arrays, a loop's own, or another site: compared at shared values, and in frozen files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import Y, libraries, numbers
from ppl_parity import check
from ppl_parity.frozen.freezing import freeze
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro
DATA = {"y": Y["y"]}


def bounded(ppl: str, highs: tuple[float, ...] = (1.0, 2.0)) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        high = array.stack([array.zeros(()) + each for each in highs])
        x = library.sample("x", dist.Uniform(array.zeros(2), high).to_event(1))
        library.sample("y", dist.Normal(x.sum(), 1.0), obs=y)

    return model


@pytest.mark.long
@pytest.mark.parametrize("frozen", SIDES)
def test_bounds_that_differ_are_seen_in_a_file_too(
    sides: dict[str, Side], tmp_path: Path, frozen: str
) -> None:
    wide = (1.0, 2.5)
    assert check(bounded("pyro"), bounded("numpyro"), DATA, level="quick", sides=sides).verdict == "same"
    pair = Pair(
        "bounded", dict.fromkeys(SIDES, CallableReference.of(bounded(frozen))), dict.fromkeys(SIDES, DATA)
    )
    path = tmp_path / "f.npz"
    freeze(pair, frozen, sides[frozen], settings=None).save(path)
    for highs in ((1.0, 2.0), wide):
        models = [path if side == frozen else bounded(side, highs) for side in SIDES]
        report = check(*models, DATA, level="quick", sides=sides)
        assert report.verdict == ("different" if highs == wide else "same"), report.first_difference
    first = report.first_difference
    assert first is not None
    assert (first["rung"], first["site"], first["quantity"]) == ("structure", "x", "support")
    assert "upper bound[1] 2" in first["detail"]
    assert "upper bound[1] 2.5" in first["detail"]


def moving(ppl: str, share: float = 1.0) -> Callable:
    """A bound that is another site, whose value is another one in each side's own draw."""

    def model(y):
        library, dist = libraries(ppl)
        top = library.sample("top", dist.HalfNormal(1.0))
        x = library.sample("x", dist.Uniform(0.0, share * top))
        library.sample("y", dist.Normal(x, 1.0), obs=y)

    return model


def test_a_bound_that_moves_is_held_to_the_other_side_s_at_shared_values(sides: dict[str, Side]) -> None:
    rungs = ["structure", "density"]
    assert check(moving("pyro"), moving("numpyro"), DATA, rungs=rungs, sides=sides).verdict == "same"
    first = check(moving("pyro"), moving("numpyro", 2.0), DATA, rungs=rungs, sides=sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"], first["quantity"]) == ("structure", "x", "support")


def test_that_pyro_s_sampler_does_not_follow_it_is_the_reason_that_is_told(sides: dict[str, Side]) -> None:
    first = check(moving("pyro"), moving("numpyro"), DATA, level="quick", sides=sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"], first["quantity"]) == ("transform", "x", "potential")
    assert "dynamic support" in first["hint"]


def steps(ppl: str, last: float = 3.0) -> Callable:
    """A loop whose steps have bounds of their own, and the same as one site."""
    highs = [1.0, 2.0, last]

    def model(y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        if ppl == "pyro":
            x = [library.sample(f"x_{i}", dist.Uniform(0.0, high)) for i, high in enumerate(highs)]
            total = sum(x)
        else:
            total = library.sample("x", dist.Uniform(0.0, array.array(highs)).to_event(1)).sum()
        library.sample("y", dist.Normal(total, 1.0), obs=y)

    return model


def test_a_loop_s_bounds_are_an_array_s(sides: dict[str, Side]) -> None:
    assert check(steps("pyro"), steps("numpyro"), DATA, level="quick", sides=sides).verdict == "same"
    first = check(
        steps("pyro"), steps("numpyro", 3.5), DATA, rungs=["structure"], sides=sides
    ).first_difference
    assert first is not None
    assert "upper bound[2] 3.5 in numpyro" in first["detail"]


@pytest.mark.parametrize(("last", "verdict"), [(3.0, "same"), (3.5, "different")])
def test_a_frozen_loop_keeps_its_bounds(
    sides: dict[str, Side], tmp_path: Path, last: float, verdict: str
) -> None:
    model = CallableReference.of(steps("pyro"))
    pair = Pair("steps", dict.fromkeys(SIDES, model), dict.fromkeys(SIDES, DATA))
    freeze(pair, "pyro", sides["pyro"], settings=None).save(tmp_path / "f.npz")
    report = check(tmp_path / "f.npz", steps("numpyro", last), DATA, level="quick", sides=sides)
    assert report.verdict == verdict


def test_a_density_of_zero_has_no_slope_to_compare(sides: dict[str, Side]) -> None:
    """A datum outside its support at some points: minus infinity on both sides, and autograd finds a number there."""

    def model(ppl: str) -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            low = library.sample("low", dist.Normal(0.0, 1.0))
            width = library.sample("width", dist.HalfNormal(1.0))
            library.sample("y", dist.Uniform(low, low + width), obs=y)

        return run

    report = check(model("pyro"), model("numpyro"), {"y": np.array(0.5)}, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference
