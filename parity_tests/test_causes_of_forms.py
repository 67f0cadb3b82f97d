"""Causes where one distribution has two forms, or none whose parameters could be compared: none that is untrue."""

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

Y = {"y": np.array([0.31, 0.27, 0.9, 0.4])}
EXACT = ["structure", "density"]


def judged(write: Callable, sides: dict[str, Side], data: Any = Y, rungs: Any = EXACT) -> Report:
    """Both sides by one function of the library, its distributions, its arrays, and the data."""

    def model(ppl: str) -> Callable:
        def run(**given):
            write(*libraries(ppl), numbers(ppl), **given)

        return run

    return check(model("pyro"), model("numpyro"), data, rungs=rungs, sides=sides)


def hint(report: Report, site: str) -> str:
    assert report.first_difference is not None
    assert report.first_difference["site"] == site
    return report.first_difference["hint"]


def test_two_factors_that_no_pattern_explains_are_to_be_taken_apart(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, y):
        a = library.sample("a", dist.Normal(0.0, 1.0))
        library.factor(
            "f", -((y - a) ** 2).sum() + (0.1 * lib.sin(3 * a) if lib.__name__ != "torch" else 0.0)
        )

    said = hint(judged(write, sides), "f")
    assert said == "a factor has no parameters to compare: record in both what it is made of (deterministic)"


def test_rows_of_probabilities_are_never_meant_to_be_turned(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, y):
        with library.plate("states", 3):
            A = library.sample("A", dist.Dirichlet(lib.ones(3)))
        turned = A if lib.__name__ == "torch" else A.T
        library.sample("y", dist.Normal((turned[0] * lib.arange(3)).sum() - turned[1, 0], 0.5), obs=y[0])

    said = hint(judged(write, sides), "y")
    assert "'A' transposed" in said
    assert "rename" not in said


@pytest.mark.parametrize(("times", "words"), [(1.0, None), (2.0, "its covariance_matrix is")])
def test_a_matrix_normal_is_the_covariance_of_its_numbers(
    times: float, words: str | None, sides: dict[str, Side]
) -> None:
    """Of L_r Z L_c', whose numbers given one another have other locations."""
    rows, columns = np.array([[1.0, 0.0], [0.4, 0.8]]), np.array([[0.7, 0.0], [-0.3, 1.1]])

    def write(library, dist, lib, y):
        if lib.__name__ == "torch":
            factors = lib.tensor(rows), lib.tensor(columns)
            z = library.sample("Z", dist.Normal(0.0, 1.0).expand([2, 2]).to_event(2))
            W = library.deterministic("W", factors[0] @ z @ factors[1].T)
        else:
            W = library.sample("W", dist.MatrixNormal(lib.zeros((2, 2)), times * rows, columns))
        library.sample("y", dist.Normal(W[0, 1] - W[1, 0], 1.0), obs=y[0])

    report = judged(write, sides)
    if words is None:
        assert report.verdict == "same"
    else:
        assert words in hint(report, "W")
        assert "loc" not in hint(report, "W")


def test_a_sequence_and_its_steps_may_be_one_distribution(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, y):
        if lib.__name__ == "torch":
            x = library.sample("x_0", dist.Normal(0.0, 1.0))
            for t in (1, 2, 3):
                x = library.sample(f"x_{t}", dist.Normal(x - 0.2 * lib.tanh(x), 1.0))
        else:
            drift = lambda x, t: (-0.2 * lib.sin(2 * x), lib.ones_like(x))  # noqa: E731
            x = library.sample("x", dist.EulerMaruyama(lib.arange(4.0), drift, dist.Normal(0.0, 1.0)))[-1]
        library.sample("y", dist.Normal(x, 1.0), obs=y[0])

    said = hint(judged(write, sides), "x")
    assert said.endswith("which may be one distribution: compare what each step of it is given")


def test_elements_that_count_on_one_side_are_told_by_their_places(sides: dict[str, Side]) -> None:
    shown = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1]], dtype=bool)

    def model(ppl: str) -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            lib = numbers(ppl)
            a = library.sample("a", dist.Normal(0.0, 1.0))
            hidden = (library.poutine if ppl == "pyro" else library.handlers).mask
            kept = lib.tensor(shown) if ppl == "pyro" else lib.array(shown.T)
            with library.plate("columns", 3, dim=-1), library.plate("rows", 3, dim=-2), hidden(mask=kept):
                library.sample("y", dist.Normal(a, 1.0), obs=y)

        return run

    data = {"y": np.arange(9.0).reshape(3, 3) / 5}
    said = hint(check(model("pyro"), model("numpyro"), data, rungs=EXACT, sides=sides), "y")
    assert (
        said
        == "5 of its 9 elements count on both sides, but not the same: they part at [0, 1], [0, 2], [1, 0]"
    )


def test_a_delta_that_is_drawn_cannot_be_moved(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, y):
        x = library.sample("x", dist.Normal(0.0, 1.0))
        z = library.sample("z", dist.Delta(x**2))
        library.sample("y", dist.Normal(z, 1.0), obs=y[0])

    report = judged(write, sides, rungs=[*EXACT, "dynamics"])
    (found,) = [f for f in told(report, "dynamics") if f.verdict == "unresolved"]
    assert str(found.hint).startswith("'z', a Delta in both, has no density beside its value")


@pytest.mark.parametrize("used", [0.0, 1.0, "under a zero"])
def test_a_param_that_no_log_prob_hangs_on_is_no_news(used: float | str, sides: dict[str, Side]) -> None:
    def write(library, dist, lib, y):
        w = library.param("w", lib.ones(2)) if lib.__name__ != "torch" else lib.ones(2)
        times = library.param("times", lib.zeros(())) if isinstance(used, str) else used
        a = library.sample("a", dist.Normal(0.0, 1.0))
        library.sample("y", dist.Normal(a + times * w.sum(), 1.0), obs=y[0])

    report = judged(write, sides)
    assert report.verdict == "same"
    (found,) = [f for f in told(report, "structure") if f.quantity == "param" and f.site == "w"]
    assert found.notable == bool(used)
    assert ("no log prob hangs on it" in found.detail) != bool(used)


@pytest.mark.parametrize(("shift", "words"), [(0, "the same data as numbers"), (1, "of other data")])
def test_data_as_numbers_and_as_vectors_of_one_1(shift: int, words: str, sides: dict[str, Side]) -> None:
    def write(library, dist, lib, k):
        logits = library.sample("w", dist.Normal(lib.zeros(3), 1.0).to_event(1))
        with library.plate("rows", 4):
            if lib.__name__ == "torch":
                vectors = lib.nn.functional.one_hot(k.long(), 3).to(logits.dtype)
                library.sample("k", dist.OneHotCategorical(logits=logits), obs=vectors)
            else:
                library.sample("k", dist.Categorical(logits=logits), obs=(k + shift) % 3)

    report = judged(write, sides, {"k": np.array([0, 2, 1, 1])}, ["structure"])
    assert words in hint(report, "k")


def test_a_uniform_that_is_transformed_ends_at_its_own_bounds(sides: dict[str, Side]) -> None:
    def write(library, dist, lib, y):
        if lib.__name__ == "torch":
            ends = dist.Uniform(lib.log(lib.tensor(0.1)), lib.log(lib.tensor(10.0)))
            s = library.sample("s", dist.TransformedDistribution(ends, dist.transforms.ExpTransform()))
        else:
            s = library.sample("s", dist.LogUniform(0.1, 10.0))
        library.sample("y", dist.Normal(0.0, s), obs=y[0])

    assert hint(judged(write, sides, rungs=["structure"]), "s").startswith(
        "a Uniform that is transformed ends at"
    )
