"""What a check says where a fault is not the model's: of precision, of a library's sampler, of a side that ended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from ppl_parity import check
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding, Report
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side, SideError

pytestmark = pytest.mark.pyro

Y = np.array([0.31, -0.27, 0.9, 0.4])


def mean(ppl: str, *, narrow: bool = False, shift: float = 0.0, cast_scale: bool = False) -> Callable:
    """A mean and a scale of four rows, in either framework."""

    def model(y):
        import importlib

        import numpy as np

        framework, dist = importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")
        mu = framework.sample("mu", dist.Normal(0.0, 2.0))
        tau = framework.sample("tau", dist.HalfNormal(1.0))
        seen = y.astype("float32") if narrow else y
        width = float(np.float32(0.1)) if cast_scale else 0.1
        with framework.plate("rows", len(y)):
            framework.sample("y", dist.Normal(mu + shift, tau + width), obs=seen)

    return model


def findings(report: Report, quantity: str) -> list[Finding]:
    return [f for rung in report.rungs for f in rung.findings if f.quantity == quantity]


def test_float32_data_are_drift_and_no_other_model(sides: dict[str, Side]) -> None:
    report = check(mean("pyro"), mean("numpyro", narrow=True), {"y": Y}, level="quick", sides=sides)
    assert report.verdict == "same"
    (drift,) = findings(report, "precision")
    assert (drift.site, drift.notable) == ("y", True)
    assert drift.size is not None
    assert 1e-9 < drift.size < 1e-2
    assert "float32 in numpyro" in drift.detail
    assert [f.site for f in findings(report, "dtype")] == ["y"]


def test_a_difference_beside_float32_data_is_one(sides: dict[str, Side]) -> None:
    other = mean("numpyro", narrow=True, shift=0.01)
    report = check(mean("pyro"), other, {"y": Y}, level="quick", sides=sides)
    assert report.verdict == "different"
    assert report.first_difference is not None
    assert (report.first_difference["rung"], report.first_difference["site"]) == ("density", "y")
    assert findings(report, "precision") == []


def test_a_constant_made_in_float32_is_a_difference_that_is_named(sides: dict[str, Side]) -> None:
    other = mean("numpyro", cast_scale=True)
    report = check(mean("pyro"), other, {"y": Y}, level="quick", sides=sides)
    assert report.verdict == "different"
    assert report.first_difference is not None
    assert report.first_difference["site"] == "y"


def test_density_says_at_how_many_points(sides: dict[str, Side]) -> None:
    for other in (mean("numpyro"), mean("numpyro", shift=1.0)):
        report = check(mean("pyro"), other, {"y": Y}, rungs=["density"], sides=sides)
        assert all(finding.numbers["points"] >= 20 for finding in report.rungs[0].findings)


def tries(ppl: str) -> Callable:
    def model(trials, y):
        import importlib

        framework, dist = importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")
        chance = framework.sample("chance", dist.Beta(2.0, 2.0))
        with framework.plate("rows", len(y)):
            framework.sample("y", dist.Binomial(trials, probs=chance), obs=y)

    return model


def test_a_sampler_that_fails_is_named_as_the_library_s(sides: dict[str, Side]) -> None:
    data = {"trials": np.array([9.0, 7.0]), "y": np.array([4.0, 6.0])}
    for rungs, verdict in ((["density", "forward"], "same"), (["forward"], "unresolved")):
        report = check(tries("pyro"), tries("numpyro"), data, rungs=rungs, sides=sides)
        assert report.verdict == verdict  # what the density has compared needs no draws
        (finding,) = [f for f in report.rungs[-1].findings if f.site == "y"]
        assert finding.verdict == verdict
        assert "numpyro: the sampler of 'y' (Binomial) failed" in finding.detail
        assert finding.hint is not None
        assert "numpyro's own sampler" in finding.hint


def lengths(y):
    import pyro
    import pyro.distributions as dist
    import torch

    length = int(pyro.sample("length", dist.Poisson(3.0)))
    pyro.sample("steps", dist.Normal(torch.zeros(length), 1.0).to_event(1))


def stops(y):
    import pyro
    import pyro.distributions as dist

    for i in range(9):
        if pyro.sample(f"go_{i}", dist.Bernoulli(0.5)) < 0.5:
            break


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lengths, r"^pyro: the site 'steps' has shape \(\d+,\) in one run and \(\d+,\) in the next.*mask"),
        (stops, r"^pyro: the site 'go_\d' is drawn in one run and not in the next.*mask"),
    ],
)
def test_a_model_of_varying_shape_is_bad_input(sides: dict[str, Side], model: Callable, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check(model, mean("numpyro"), {"y": Y}, level="quick", sides=sides)


def dies(y):
    import os

    import pyro
    import pyro.distributions as dist

    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    if float(mu) == 7.0:
        os._exit(3)


def hangs(y):
    import time

    time.sleep(60)


@pytest.mark.long
def test_a_side_that_ended_is_opened_again_with_its_programs() -> None:
    with Side("pyro", num_threads=1) as side:
        program = side.program(CallableReference.of(dies), {"y": Y})
        before = program.log_density({"mu": np.array(0.5)})
        with pytest.raises(SideError, match="exited with 3"):
            program.log_density({"mu": np.array(7.0)})
        assert program.log_density({"mu": np.array(0.5)}) == before
        with pytest.raises(SideError, match="took more than"):
            side.call("Program", CallableReference.of(hangs), {"y": Y}, timeout=1.0)
        assert side.versions()
        assert program.log_density({"mu": np.array(0.5)}) == before
    with pytest.raises(SideError, match="the side was closed"):
        side.versions()
