"""Where a library has no digits of a density, or none at all, though the model has one: not compared, and said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines

pytestmark = pytest.mark.pyro


@pytest.mark.parametrize("times", [1.0, 1.01])
def test_far_from_its_direction_a_projected_normal_has_no_digits(
    times: float, sides: dict[str, Side]
) -> None:
    def model(ppl: str, times: float = 1.0) -> Callable:
        def run(d):
            library, dist = libraries(ppl)
            c = library.sample("c", dist.Normal(numbers(ppl).zeros(2), 3.0).to_event(1))
            with library.plate("rows", len(d)):
                library.sample("d", dist.ProjectedNormal(times * c), obs=d)

        return run

    angles = np.linspace(-3.0, 3.0, 9)
    data = {"d": np.stack([np.cos(angles), np.sin(angles)], -1)}
    report = check(model("pyro"), model("numpyro", times), data, rungs=["structure", "density"], sides=sides)
    assert report.verdict == ("same" if times == 1.0 else "different"), three_lines(report)
    if times == 1.0:
        (left_out,) = [f for f in told(report, "density") if f.quantity == "clamped probabilities"]
        assert "neither library has a digit" in left_out.detail
        assert left_out.hint is None


EDGES = {
    "at one": {"a": np.array(20.0), "b": np.array(1.0)},
    "at zero": {"a": np.array(0.1), "b": np.array(2000.0)},
}


@pytest.mark.parametrize("times", [1.0, 1.01])
def test_torch_rounds_a_kumaraswamy_to_the_edge_of_a_uniform(times: float, sides: dict[str, Side]) -> None:
    """At a = 20, b = 1 and x = 0.1 the log density is -38.45, and torch's is -inf; at 0.9 both have one."""

    def model(ppl: str, times: float = 1.0) -> Callable:
        def run(x):
            library, dist = libraries(ppl)
            a, b = (library.sample(name, dist.Gamma(3.0, 1.0)) for name in "ab")
            with library.plate("rows", len(x)):
                library.sample("x", dist.Kumaraswamy(times * a, b), obs=x)

        return run

    report = check(
        model("pyro"),
        model("numpyro", times),
        {"x": np.array([0.1, 0.9])},
        points=EDGES,
        rungs=["structure", "density"],
        sides=sides,
    )
    assert report.verdict == ("same" if times == 1.0 else "different"), three_lines(report)
    if times == 1.0:
        (left_out,) = [f for f in told(report, "density") if f.quantity == "clamped probabilities"]
        assert "a uniform, which has no density at its edge" in left_out.detail
    else:
        words = three_lines(report)
        assert "site x" in words
        assert "its concentration1 is" in words
