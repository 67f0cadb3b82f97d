"""Param statements, which are learned and have no prior: told of, and compared by value and constraint."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import Y, libraries, numbers, told
from ppl_parity import check
from ppl_parity.findings import Report
from ppl_parity.frozen.freezing import freeze
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro


def test_a_param_is_told_of(sides: dict[str, Side]) -> None:
    def model(y):
        pyro, dist = libraries("pyro")
        scale = pyro.param("scale", importlib.import_module("torch").tensor(1.5).double())
        pyro.sample("y", dist.Normal(pyro.sample("x", dist.Normal(0.0, 1.0)), scale), obs=y)

    def port(y, learned=False):
        numpyro, dist = libraries("numpyro")
        scale = numpyro.param("scale", 1.5) if learned else 1.5
        numpyro.sample("y", dist.Normal(numpyro.sample("x", dist.Normal(0.0, 1.0)), scale), obs=y)

    for learned, rung, words in (
        (
            False,
            "structure",
            "'scale' is a param in pyro alone; the models are compared at its initial value",
        ),
        (
            True,
            "density",
            "'scale' is a param in pyro and numpyro: at 6 other values the log densities agree",
        ),
    ):
        data = {"pyro": {"y": Y["y"]}, "numpyro": {"y": Y["y"], "learned": learned}}
        report = check(model, port, data, rungs=["structure", "density"], sides=sides)
        assert report.verdict == "same"
        assert any(words in finding.detail for finding in told(report, rung))


@pytest.mark.long
def test_a_param_has_its_value_and_its_constraint(sides: dict[str, Side]) -> None:
    def model(ppl: str, value: float = 1.5, constraint: str = "positive") -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            array = numbers(ppl)
            within = getattr(dist.constraints, constraint)
            scale = library.param("scale", array.full((2,), value), constraint=within)
            library.sample("y", dist.Normal(library.sample("x", dist.Normal(0.0, 1.0)), scale[0]), obs=y)

        return run

    def checked(original: Callable | None = None, **port) -> Report:
        models = original or model("pyro"), model("numpyro", **port)
        return check(*models, {"y": Y["y"]}, rungs=["structure"], sides=sides)

    def first(**port) -> tuple[str, str] | None:
        found = checked(**port).first_difference
        return None if found is None else (found["site"], found["quantity"])

    def maps(**port) -> list[str]:
        return [
            f.detail for rung in checked(**port).rungs for f in rung.findings if "another map" in f.detail
        ]

    assert first() is None
    assert not maps()
    assert first(constraint="softplus_positive") is None
    # exp(log 1.5 + h) and softplus(log(e^1.5 - 1) + h), at one h
    (told,) = maps(constraint="softplus_positive")
    by_exp, by_softplus = (float(told.split(f" in {side}")[0].split()[-1]) for side in ("pyro", "numpyro"))
    step = np.log(by_exp / 1.5)
    simplex = checked(model("pyro", 0.5, "simplex"), value=0.5, constraint="simplex")
    assert any("softmax of 2 numbers in pyro" in f.detail for f in simplex.rungs[0].findings)
    assert by_softplus == pytest.approx(np.log1p(np.expm1(1.5) * np.exp(step)), rel=1e-3)
    assert first(constraint="real") == ("scale", "constraint")
    assert first(value=1.6) == ("scale", "initial value")


@pytest.mark.long
def test_a_constrained_param_that_starts_symmetric_is_no_covariance(sides: dict[str, Side]) -> None:
    """Rows for columns do not show at a matrix that is its own transpose, nor at others like it."""

    def model(ppl: str, rows: bool) -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            array = numbers(ppl)
            start = 3 * array.eye(2) + array.ones((2, 2))
            b = library.param("b", start, constraint=dist.constraints.positive)
            first, second = (b[0], b[1]) if rows else (b[:, 0], b[:, 1])
            p = library.sample("p", dist.Beta(first, second).to_event(1))
            library.sample("y", dist.Normal(p[0] - p[1], 1.0), obs=y)

        return run

    def first(rows: bool) -> str | None:
        models = model("pyro", False), model("numpyro", rows)
        found = check(*models, {"y": Y["y"]}, rungs=["structure", "density"], sides=sides).first_difference
        return None if found is None else found["site"]

    assert first(False) is None
    assert first(True) == "p"


def hidden(ppl: str, by: str = "a") -> Callable:
    """A param of zero, and one of one that is an exponent: at these values no latent site is seen beside them."""

    def model(y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        slope = library.param("slope", array.zeros(2))
        power = library.param("power", array.ones(()), constraint=dist.constraints.positive)
        a = library.sample("a", dist.Normal(0.0, 1.0))
        b = library.sample("b", dist.Normal(0.0, 1.0))
        seen = {"a": slope[0] * a, "b": slope[0] * b, "nothing": 0.0, "power": slope[0] * power * a}
        library.sample("y", dist.Normal(b + seen[by], array.abs(y) ** power), obs=y)

    return model


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("b", "With the param 'slope' away from its initial value, the log prob of 'y' is "),
        ("nothing", "numpyro does not use 'slope'"),
        ("power", "With the params 'slope', 'power' away"),
    ],
)
def test_what_an_initial_value_hides_is_found(sides: dict[str, Side], by: str, words: str) -> None:
    assert (
        check(hidden("pyro"), hidden("numpyro"), {"y": Y["y"]}, level="quick", sides=sides).verdict == "same"
    )
    first = check(
        hidden("pyro"), hidden("numpyro", by), {"y": Y["y"]}, rungs=["structure", "density"], sides=sides
    ).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", "y")
    assert words in f"{first['detail']} {first['hint']}"


def mixed(ppl: str, *, summed: bool, slope: float = 1.0) -> Callable:
    """Two means that a param moves apart, with the component summed out or written as a mixture."""

    def model(y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        apart = slope * library.param("apart", array.zeros(())) * array.arange(2.0)
        m = library.sample("m", dist.Normal(0.0, 1.0))
        weights = array.ones(2) / 2
        with library.plate("rows", 3):
            if summed:
                z = library.sample("z", dist.Categorical(weights), infer={"enumerate": "parallel"})
                library.sample("y", dist.Normal(m + apart[z], 1.0), obs=y)
            else:
                means = dist.Normal(m + apart, 1.0)
                library.sample("y", dist.MixtureSameFamily(dist.Categorical(weights), means), obs=y)

    return model


def test_where_one_side_sums_the_densities_are_compared(sides: dict[str, Side]) -> None:
    data, rungs = {"y": np.array([0.3, -1.2, 2.0])}, ["structure", "density", "enumeration"]
    for slope in (1.0, 0.5):
        models = mixed("pyro", summed=True), mixed("numpyro", summed=False, slope=slope)
        report = check(*models, data, rungs=rungs, sides=sides)
        assert report.verdict == ("same" if slope == 1 else "different"), report.first_difference
    assert report.first_difference is not None
    assert "With the param 'apart' away" in report.first_difference["detail"]


def module(kind: str) -> Callable:
    """A weight that a module keeps: a parameter of torch's own, or one of Pyro's."""

    def model(y):
        pyro, dist = libraries("pyro")
        torch, nn = importlib.import_module("torch"), importlib.import_module("pyro.nn")

        class Net(nn.PyroModule):
            def forward(self):
                return self.w

        made = Net("net")
        keep = torch.nn.Parameter if kind == "torch" else nn.PyroParam
        options = {} if kind == "torch" else {"constraint": dist.constraints.positive}
        made.w = keep(torch.ones(()), **options)
        pyro.sample("y", dist.Normal(pyro.sample("x", dist.Normal(0.0, 1.0)) * made(), 1.0), obs=y)

    return model


def of_module(constraint: str) -> Callable:
    def model(y):
        numpyro, dist = libraries("numpyro")
        w = numpyro.param("net.w", 1.0, constraint=getattr(dist.constraints, constraint))
        numpyro.sample("y", dist.Normal(numpyro.sample("x", dist.Normal(0.0, 1.0)) * w, 1.0), obs=y)

    return model


def test_a_module_that_keeps_its_weights(sides: dict[str, Side]) -> None:
    """torch's own uses them whatever the statement is given; Pyro's has its constraint."""
    for kind, constraint in (("torch", "real"), ("pyro", "positive")):
        rung, words = "density", "at 6 other values"
        models = module(kind), of_module(constraint)
        report = check(*models, {"y": Y["y"]}, rungs=["structure", "density"], sides=sides)
        assert report.verdict == "same", report.first_difference
        assert any("'net.w' is a param" in one.detail and words in one.detail for one in told(report, rung))


def learnt(ppl: str, *, prior: bool) -> Callable:
    """A mean that is a param, or that has a prior."""

    def model(y, w):
        library, dist = libraries(ppl)
        zero = 0.0 * y
        m = library.sample("m", dist.Normal(zero, 1.0)) if prior else library.param("m", zero)
        a = library.sample("a", dist.Normal(m, 1.0))
        library.sample("y", dist.Normal(a, w), obs=y)

    return model


def test_a_param_is_no_latent_site(sides: dict[str, Side]) -> None:
    models = learnt("pyro", prior=False), learnt("numpyro", prior=True)
    first = check(*models, Y, rungs=["structure"], sides=sides).first_difference
    assert first is not None
    assert (first["site"], first["quantity"]) == ("m", "kind")
    assert "a param in pyro" in first["detail"]


def unbounded(ppl: str, kind: str) -> Callable:
    """A scale, or a covariance, that nothing constrains, beside a param of zero."""

    def model(y):
        library, dist = libraries(ppl)
        array = numbers(ppl)
        z = library.param("z", array.zeros(()))
        a = library.sample("a", dist.Normal(0.0, 1.0))
        if kind == "scales":
            s = library.param("s", array.full((20,), 0.004))
            library.sample(
                "y", dist.Normal((a * (1 + z)) * array.ones(20), s).to_event(1), obs=y[0] * array.ones(20)
            )
        else:
            cov = library.param("cov", array.eye(2) * (1.0 if kind == "covariance" else 1e-3))
            mean = a * (1 + z) * array.ones(2)
            library.sample("y", dist.MultivariateNormal(mean, covariance_matrix=cov), obs=y)

    return model


@pytest.mark.parametrize("kind", ["covariance", "small covariance", "scales"])
def test_params_that_leave_their_domain_end_nothing(sides: dict[str, Side], kind: str) -> None:
    data = {"y": np.array([0.3, 0.1])}
    report = check(unbounded("pyro", kind), unbounded("numpyro", kind), data, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference
    told_of = [finding.detail for finding in told(report, "density") if finding.quantity == "param"]
    assert len(told_of) == 1
    assert ("log densities agree" in told_of[0]) != ("compared at the initial values" in told_of[0])


def test_a_module_that_keeps_its_weights_is_no_difference_to_a_file(
    sides: dict[str, Side], tmp_path: Path
) -> None:
    model = CallableReference.of(of_module("real"))
    pair = Pair("net", dict.fromkeys(SIDES, model), {side: {"y": Y["y"]} for side in SIDES})
    freeze(pair, "numpyro", sides["numpyro"], settings=None).save(tmp_path / "f.npz")
    report = check(module("torch"), tmp_path / "f.npz", {"y": Y["y"]}, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference


@pytest.mark.parametrize("start", [1.0, 2.0])
def test_a_param_that_is_a_tree_is_a_param_of_each_array(start: float, sides: dict[str, Side]) -> None:
    """As a network's of flax is: ``net.layer.bias`` is what torch's module of the same name has."""

    def model(y):
        pyro, dist = libraries("pyro")
        bias = pyro.param("net.layer.bias", numbers("pyro").ones(2))
        s = pyro.sample("s", dist.HalfNormal(1.0))
        pyro.sample("y", dist.Normal(bias, s).to_event(1), obs=y)

    def port(y):
        numpyro, dist = libraries("numpyro")
        net = numpyro.param("net", {"layer": {"bias": numbers("numpyro").full(2, start)}})
        s = numpyro.sample("s", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(net["layer"]["bias"], s).to_event(1), obs=y)

    report = check(
        model, port, {"y": np.array([0.3, 1.2])}, rungs=["structure", "density", "gradient"], sides=sides
    )
    assert report.verdict == ("same" if start == 1.0 else "different")
    if start != 1.0:
        assert report.first_difference is not None
        assert report.first_difference["site"] == "net.layer.bias"


@pytest.mark.parametrize("start", ["zeros", "eye"])
def test_a_transpose_that_a_symmetric_start_hides_is_found(sides: dict[str, Side], start: str) -> None:
    def weighted(ppl: str, turned: bool = False) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            lib = numbers(ppl)
            first = lib.zeros((2, 2)) if start == "zeros" else lib.eye(2)
            weights = library.param("weights", first)
            a = library.sample("a", dist.Normal(lib.zeros(2), 1.0).to_event(1))
            library.sample("y", dist.Normal((weights.T if turned else weights) @ a, 1.0).to_event(1), obs=y)

        return model

    data = {"y": np.array([0.3, 0.1])}
    options = {"rungs": ["structure", "density"], "sides": sides}
    assert check(weighted("pyro"), weighted("numpyro"), data, **options).verdict == "same"
    first = check(weighted("pyro"), weighted("numpyro", turned=True), data, **options).first_difference
    assert first is not None
    assert (first["site"], first["hint"]) == ("y", "a transpose of 'weights' on one side")
