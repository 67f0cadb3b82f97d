"""A residual that is observed in the place of an observation: what is observed differs, and the density does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, told
from ppl_parity import check
from ppl_parity.findings import Report
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines

pytestmark = pytest.mark.pyro

DATA = {"x": np.array([0.4, -1.1, 0.9, 0.3]), "y": np.array([0.2, 0.7, -0.5, 1.6])}


def model(ppl: str, residual: float | None = None, power: float = 1.0) -> Callable:
    """y ~ Normal(b x, s), or y - b x ~ Normal(0, s)."""

    def written(x, y):
        library, dist = libraries(ppl)
        b = library.sample("b", dist.Normal(0.0, 1.0))
        s = library.sample("s", dist.HalfNormal(1.0)) ** power
        with library.plate("rows", len(y)):
            if residual is None:
                library.sample("y", dist.Normal(b * x, s), obs=y)
            else:
                library.sample("y", dist.Normal(0.0, s), obs=y - residual * b * x)

    return written


def judged(numpyro: Callable, sides: dict[str, Side], *rungs: str, **options: Any) -> Report:
    return check(model("pyro", residual=1.0), numpyro, DATA, rungs=rungs, sides=sides, **options)


def test_the_density_decides_and_the_site_is_not_drawn(sides: dict[str, Side]) -> None:
    report = judged(model("numpyro"), sides, "structure", "density", "forward")
    assert report.verdict == "same", three_lines(report)
    (note,) = [f.detail for f in told(report, "structure") if f.quantity == "observed values"]
    assert "is computed from latent sites" in note
    assert "the density decides, and it is not drawn" in note
    assert not any(finding.site == "y" for finding in told(report, "forward"))


@pytest.mark.parametrize(
    ("numpyro", "words"),
    [
        (model("numpyro", residual=-1.0), "its value less its loc is"),
        (model("numpyro", power=2.0), "its scale is"),
    ],
    ids=["sign", "scale"],
)
def test_a_mistake_beside_it_is_named(numpyro: Callable, words: str, sides: dict[str, Side]) -> None:
    report = judged(numpyro, sides, "structure", "density")
    assert report.verdict == "different"
    assert report.first_difference is not None
    assert (report.first_difference["rung"], report.first_difference["site"]) == ("density", "y")
    assert words in report.first_difference["hint"]


def test_where_no_density_is_compared_it_is_different(sides: dict[str, Side]) -> None:
    assert judged(model("numpyro"), sides, "structure").verdict == "different"
