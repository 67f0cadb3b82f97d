"""Two sides that are re-parameterised, each in its own way, are compared exactly in what both compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.reparameterised import DATA, hyper
from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.findings import Report
from ppl_parity.frozen.freezing import freeze
from ppl_parity.pair.pairs import Pair
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro

Write = Callable[[Any, Any, Any], Any]


def model(ppl: str, write: Write) -> Callable:
    """An effect ``u`` that ``write`` computes, beneath four observed rows."""

    def written(y, x):
        library, dist = libraries(ppl)
        mean = write(library, dist, numbers(ppl))
        with library.plate("rows", 4):
            library.sample("y", dist.Normal((x * mean).sum(-1), 1.0), obs=y)

    return written


def judged(pyro: Write, numpyro: Write, sides: dict[str, Side], **options: Any) -> Report:
    models = model("pyro", pyro), model("numpyro", numpyro)
    return check(*models, DATA, **{"level": "quick", "sides": sides, **options})


def by_hand(name: str, spread: float = 1.0, *, power: float = 1.0, family: str = "Normal") -> Write:
    """u = mu + tau^power z, with z of a scale that the factor takes off again."""

    def write(library, dist, lib):
        mu, tau = hyper(library, dist)
        with library.plate("effects", 2):
            made = dist.StudentT(4.0, 0.0, spread) if family == "StudentT" else dist.Normal(0.0, spread)
            z = library.sample(name, made)
        return library.deterministic("u", mu + tau**power * z / spread)

    return write


def loc_scale(centered: float, spread: float = 1.0) -> Write:
    """The libraries' own: both call what they draw u_decentered."""

    def write(library, dist, lib):
        if library.__name__ == "pyro":
            from pyro.infer.reparam import LocScaleReparam
            from pyro.poutine import reparam
        else:
            from numpyro.handlers import reparam
            from numpyro.infer.reparam import LocScaleReparam
        mu, tau = hyper(library, dist)
        with library.plate("effects", 2), reparam(config={"u": LocScaleReparam(centered)}):
            return library.sample("u", dist.Normal(mu, spread * tau))

    return write


def nested(names: str, spread: float = 1.0, step: float = 0.5) -> Write:
    """v hangs on u, each computed of a site of its own."""

    def write(library, dist, lib):
        mu, tau = hyper(library, dist)
        first, second = (library.sample(name, dist.Normal(0.0, spread)) for name in names)
        u = library.deterministic("u", mu + tau * first / spread)
        v = library.deterministic("v", step * u + second / spread)
        return lib.stack([u, v])

    return write


@pytest.mark.parametrize(
    ("pyro", "numpyro"),
    [
        (by_hand("raw"), by_hand("z")),
        (by_hand("raw"), loc_scale(0.0)),
        pytest.param(by_hand("raw", 2.0), by_hand("z"), marks=pytest.mark.long),
        pytest.param(loc_scale(0.5), by_hand("z"), marks=pytest.mark.long),
        pytest.param(loc_scale(0.0), loc_scale(0.5), marks=pytest.mark.long),
        (nested("ab"), nested("cd", 3.0)),
    ],
)
def test_two_forms_of_one_model_are_the_same(pyro: Write, numpyro: Write, sides: dict[str, Side]) -> None:
    report = judged(pyro, numpyro, sides)
    assert report.verdict == "same", str(report)
    (note,) = (f for f in told(report, "density") if f.quantity == "change of variables")
    assert note.detail.startswith("Both sides compute 'u'")
    assert told(report, "density")[-1].size is not None


def test_a_value_that_rounding_made_is_held_to_no_more_digits_than_it_has(sides: dict[str, Side]) -> None:
    """At tau = 1e-10 a rounding of u is a millionth of a standard deviation of what each side makes of it."""
    far = {"far": {"mu": np.array(0.3), "tau": np.array(1e-10), "u_decentered": np.array([0.10, 0.08])}}
    report = judged(loc_scale(0.3), loc_scale(0.7), sides, points=far, rungs=["structure", "density"])
    assert report.verdict == "same"
    assert any(f.quantity == "digits" and f.site == "u" for f in told(report, "density"))


@pytest.mark.parametrize(
    ("pyro", "numpyro", "site", "words"),
    [
        (by_hand("raw", power=2.0), by_hand("z"), "u", "square root of pyro's"),
        (by_hand("raw", family="StudentT"), by_hand("z"), "u", "a StudentT in pyro and a Normal in numpyro"),
        pytest.param(loc_scale(0.0), loc_scale(0.5, 1.5), "u", "1.5 times pyro's", marks=pytest.mark.long),
        (nested("ab", 2.0), nested("cd", step=0.4), "v", "its loc is"),
    ],
)
def test_a_wrong_one_is_named_where_both_compute_it(
    pyro: Write, numpyro: Write, site: str, words: str, sides: dict[str, Side]
) -> None:
    first = judged(pyro, numpyro, sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", site)
    assert words in first["hint"]


@pytest.mark.long
def test_a_user_s_point_is_one_of_both(sides: dict[str, Side]) -> None:
    at = {"mu": 0.3, "tau": 1.7, "raw": np.array([0.4, -0.6])}
    right = by_hand("raw"), by_hand("z")
    wrong = by_hand("raw", power=2.0), by_hand("z")
    (note,) = (
        f
        for f in told(judged(*right, sides, points={"mine": at}), "density")
        if f.quantity == "change of variables"
    )
    assert "mine" not in note.detail  # as one that could not be followed
    plain = judged(*wrong, sides).rungs[1].findings
    with_it = judged(*wrong, sides, points={"mine": at}).rungs[1].findings
    counts = [max(f.numbers.get("points", 0) for f in found) for found in (plain, with_it)]
    assert counts[1] == counts[0] + 1


def test_one_way_on_both_sides_changes_nothing(sides: dict[str, Side]) -> None:
    report = judged(loc_scale(0.5), loc_scale(0.5), sides)
    assert report.verdict == "same"
    assert not [f for f in told(report, "density") if f.quantity == "change of variables"]
    assert told(report, "gradient")[0].size is not None  # in one coordinate system


@pytest.mark.long
def test_params_are_moved_on_both_sides(sides: dict[str, Side]) -> None:
    def learned(name: str, power: int) -> Write:
        def write(library, dist, lib):
            mu, tau = hyper(library, dist)
            width = library.param("width", lib.ones(()), constraint=dist.constraints.positive)
            with library.plate("effects", 2):
                z = library.sample(name, dist.Normal(0.0, 1.0))
            return library.deterministic("u", mu + tau * width**power * z)

        return write

    assert judged(learned("raw", 1), learned("z", 1), sides).verdict == "same"
    first = judged(learned("raw", 1), learned("z", 2), sides).first_difference
    assert first is not None
    assert first["site"] == "u"
    assert "other values of the params" in first["detail"] or "width" in first["detail"]


@pytest.mark.long
def test_a_map_that_turns_back_is_left_to_the_samples(sides: dict[str, Side]) -> None:
    def folded(name: str) -> Write:
        def write(library, dist, lib):
            mu, tau = hyper(library, dist)
            with library.plate("effects", 2):
                z = library.sample(name, dist.Normal(0.0, 1.0))
            return library.deterministic("u", mu + tau * lib.abs(z))

        return write

    report = judged(folded("raw"), folded("z"), sides)
    assert report.verdict == "unresolved"
    assert "turns back" in " ".join(f.detail for f in told(report, "density"))


def test_nothing_that_both_compute_is_told_as_before(sides: dict[str, Side]) -> None:
    def unrecorded(name: str) -> Write:
        def write(library, dist, lib):
            mu, tau = hyper(library, dist)
            with library.plate("effects", 2):
                return mu + tau * library.sample(name, dist.Normal(0.0, 1.0))

        return write

    report = judged(unrecorded("raw"), unrecorded("z"), sides)
    assert report.verdict == "unresolved"
    assert any("does not record" in f.detail for f in told(report, "density"))


def test_a_file_that_is_centred_otherwise_is_told(sides: dict[str, Side], tmp_path: Path) -> None:
    """A frozen side knows no derivative."""
    references = {
        side: CallableReference.of(model(side, loc_scale(centred)))
        for side, centred in (("pyro", 0.0), ("numpyro", 0.5))
    }
    pair = Pair("centred", references, {side: DATA for side in references})
    freeze(pair, "pyro", sides["pyro"], settings=None).save(tmp_path / "f.npz")
    port = model("numpyro", loc_scale(0.5))
    first = check(tmp_path / "f.npz", port, DATA, level="quick", sides=sides).first_difference
    assert first is not None
    assert "LocScaleReparam's, and another quantity" in first["hint"]
