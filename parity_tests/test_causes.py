"""Is the probable cause of a difference named, by both frameworks' own descriptions of a site?"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import Y, libraries
from ppl_parity import check
from ppl_parity.findings import Report
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro

DATA = {
    "y": np.array([0.31, 0.27, 0.9, 0.4, 1.2, 0.6]),
    "won": np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0]),
    "group": np.array([0, 1, 2, 2, 1, 0]),
}


def model(ppl: str, kind: str, *, port: bool = False) -> Callable:
    """A small model in either framework; ``port`` makes the mistake that ``kind`` names."""

    def written(y, won, group):
        import importlib

        import numpy as np

        framework, dist = importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")
        if ppl == "pyro":
            import torch as xp
        else:
            import jax.numpy as xp
        a = framework.sample("a", dist.Normal(xp.zeros(3), 1.0).to_event(1))
        with framework.plate("rows", len(y)):
            if kind == "index":
                framework.sample("y", dist.Normal(a[group + 1 if port else group], 1.0), obs=y)
            elif kind == "logits":
                chance = xp.exp(a[0]) / (1 + xp.exp(a[0]))
                made = dist.Bernoulli(logits=chance) if port else dist.Bernoulli(probs=chance)
                framework.sample("won", made, obs=won)
            elif kind == "mask":
                handlers = framework.poutine if ppl == "pyro" else framework.handlers
                shown = won > 0
                with handlers.mask(mask=~shown if port else shown):
                    framework.sample("y", dist.Normal(a[0], 1.0), obs=y)
            elif kind == "mixture":
                scale = xp.exp(a[1:])
                parts = dist.Normal(a[1:], scale**2 if port else scale)
                mixing = dist.Categorical(xp.ones(2) / 2)
                framework.sample("y", dist.MixtureSameFamily(mixing, parts), obs=y)
            elif kind == "computed":
                framework.deterministic("width", xp.exp(-a[0] if port else a[0]))
                framework.sample("y", dist.Normal(a[0], 1.0), obs=y)
            elif kind == "counts":
                mean, shape = xp.exp(a[0]), xp.exp(a[1])
                if ppl == "pyro":
                    counts = dist.GammaPoisson(shape, shape / mean)
                else:
                    counts = dist.NegativeBinomial2(*((shape, mean) if port else (mean, shape)))
                framework.sample("won", counts, obs=won)
            elif kind == "families":
                made = dist.Laplace(a[0], 1.0) if port else dist.Normal(a[0], 1.0)
                framework.sample("y", made, obs=y)
        if kind == "covariance":
            matrix = xp.eye(3) + 0.5 * xp.ones((3, 3))
            name = "precision_matrix" if port else "covariance_matrix"
            framework.sample("v", dist.MultivariateNormal(a, **{name: matrix}), obs=xp.ones(3))
        elif kind == "jitter":
            matrix = xp.eye(3) + 0.5 * xp.ones((3, 3)) + (1e-4 * xp.eye(3) if port else 0.0)
            chol = xp.linalg.cholesky(matrix)
            framework.sample("v", dist.MultivariateNormal(a, scale_tril=chol), obs=xp.ones(3))
        elif kind == "factor":
            if port:
                framework.sample("f", dist.Normal(a[0], 2.0), obs=xp.zeros(()))
            else:
                framework.factor("f", -(a[0] ** 2) / 2)
        elif kind == "sign":
            framework.factor("f", np.sum(DATA["y"]) * (-a[1] if port else a[1]) + a[0])

    return written


def compared(kind: str, sides: dict[str, Side], *, port: bool = True) -> Report:
    """A right and a wrong port in NumPyro are both held to Pyro's."""
    pyro, numpyro = model("pyro", kind), model("numpyro", kind, port=port)
    return check(pyro, numpyro, DATA, rungs=["structure", "density"], sides=sides)


@pytest.mark.parametrize(
    ("kind", "site", "said"),
    [
        ("index", "y", "numpyro takes a[i + 1] where pyro takes a[i], clamped at the end as JAX does"),
        ("logits", "won", "the logistic function of pyro's: a probability that is taken for a logit?"),
        ("mask", "y", "the mask is inverted"),
        ("mixture", "y", "; numpyro's is pyro's squared: a variance for a scale?"),
        ("covariance", "v", "the inverse of pyro's: a precision for a covariance"),
        ("jitter", "v", "numpyro's is pyro's plus 0.0001, on the diagonal alone"),
        ("counts", "won", "concentration and mean have changed places"),
        ("families", "y", "it is a Normal in pyro and a Laplace in numpyro, with the same parameters"),
        ("factor", "f", "it is a factor in pyro and a Normal in numpyro"),
        ("sign", "f", "apart by a term in 'a' alone: a sign"),
        ("computed", "width", "numpyro's is one over pyro's"),
    ],
)
def test_the_cause_is_named(sides: dict[str, Side], kind: str, site: str, said: str) -> None:
    first = compared(kind, sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", site)
    assert said in first["hint"]
    assert kind != "mixture" or first["hint"].startswith("its component scale is")


@pytest.mark.parametrize("kind", ["computed", "mixture", "logits"])
def test_a_right_port_is_the_same(sides: dict[str, Side], kind: str) -> None:
    assert compared(kind, sides, port=False).verdict == "same"


def computed(ppl: str, kind: str, *, port: bool = False) -> Callable:
    """A model with a deterministic site; the port's is what ``kind`` says."""

    def written(y):
        import importlib

        import numpy as np

        framework, dist = importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")
        if ppl == "pyro":
            import torch as xp
        else:
            import jax.numpy as xp
        m = framework.sample("m", dist.Normal(0.0, 1.0))
        framework.sample("nothing", dist.Normal(xp.zeros(0), 1.0).to_event(1))
        value = {
            "nan": m * xp.ones(2) * (np.nan if port else 1.0),
            "inf": m + (np.inf if port else 0.0),
            "broadcast": 5 * m if port else m * xp.ones(3),
            "expanded": m if port else m * xp.ones(3),
            "complex": m * (1 + (2j if port else 1j)),
        }
        if kind == "random":
            if ppl == "pyro":
                found = m + xp.randn(())
            else:
                import jax

                found = m + jax.random.normal(framework.prng_key())
        elif kind == "shape":
            found = m * xp.ones(2 if port else 3)
        else:
            found = value[kind]
        framework.deterministic("d", found)
        with framework.plate("rows", len(y)):
            framework.sample("y", dist.Normal(m, 1.0), obs=y)

    return written


@pytest.mark.parametrize("kind", ["nan", "inf", "broadcast", "complex"])
def test_what_is_computed_otherwise_is_different(sides: dict[str, Side], kind: str) -> None:
    models = computed("pyro", kind), computed("numpyro", kind, port=True)
    report = check(*models, {"y": DATA["y"]}, rungs=["density"], sides=sides)
    assert report.first_difference is not None
    assert report.first_difference["site"] == "d"


@pytest.mark.parametrize(
    ("kind", "said"), [("random", "draws random numbers for it"), ("shape", "its shapes differ")]
)
def test_what_cannot_be_compared_is_said(sides: dict[str, Side], kind: str, said: str) -> None:
    models = computed("pyro", kind), computed("numpyro", kind, port=True)
    report = check(*models, {"y": DATA["y"]}, rungs=["density"], sides=sides)
    assert report.verdict == "same"
    (finding,) = [f for f in report.rungs[0].findings if f.quantity == "deterministic"]
    assert said in finding.detail
    assert finding.notable


def test_one_shape_may_stand_for_another(sides: dict[str, Side]) -> None:
    models = computed("pyro", "expanded"), computed("numpyro", "expanded", port=True)
    report = check(*models, {"y": DATA["y"]}, rungs=["density"], sides=sides)
    assert report.verdict == "same"
    assert [f for f in report.rungs[0].findings if f.quantity == "deterministic"] == []


def switching(ppl: str, *, wrong: bool = False) -> Callable:
    """A Bernoulli state that is an index, and a scale that may be negative."""

    def written(y):
        import importlib

        framework, dist = importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")
        if ppl == "pyro":
            import torch as xp
        else:
            import jax.numpy as xp
        level = framework.sample("level", dist.Normal(xp.zeros(2), 1.0).to_event(1))
        width = framework.sample("width", dist.HalfNormal(1.0))
        with framework.plate("rows", len(y)):
            z = framework.sample("z", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
            index = z.long() if ppl == "pyro" else z
            framework.sample("y", dist.Normal(level[index], -width if wrong else width), obs=y)

    return written


def test_a_float_state_of_pyro_is_an_index_in_numpyro(sides: dict[str, Side]) -> None:
    models = switching("pyro"), switching("numpyro")
    report = check(*models, {"y": DATA["y"]}, rungs=["structure", "density", "enumeration"], sides=sides)
    assert report.verdict == "same", report.first_difference
    program = sides["numpyro"].program(CallableReference.of(models[1]), {"y": DATA["y"]})
    draws = {"level": np.zeros((5, 2)), "width": np.ones(5), "z": np.ones((5, len(DATA["y"])))}
    assert program.predictive_samples(draws, seed=0)["y"].shape == (5, len(DATA["y"]))


def test_no_density_on_one_side_is_a_difference_there(sides: dict[str, Side]) -> None:
    models = switching("pyro"), switching("numpyro", wrong=True)
    report = check(*models, {"y": DATA["y"]}, rungs=["structure", "density"], sides=sides)
    first = report.first_difference
    assert first is not None
    assert (first["site"], "numpyro's is minus pyro's: a sign" in first["hint"]) == ("y", True)
    assert str(report).splitlines()[1].startswith("Where:")


def moved(ppl: str, *, port: bool) -> Callable:
    """A rate whose logarithm is affine in a normal; the port has location and scale the other way round."""

    def model(y, w):
        library, dist = libraries(ppl)
        how = (
            dist.transforms if ppl == "pyro" else importlib.import_module("numpyro.distributions.transforms")
        )
        places = (2.0, 0.5) if port else (0.5, 2.0)
        chain = [how.AffineTransform(*places), how.ExpTransform()]
        base = dist.Normal(y * 0.0, 1.0)
        rate = library.sample("rate", dist.TransformedDistribution(base, chain))
        library.sample("y", dist.Normal(rate, w), obs=y)

    return model


def test_what_a_transform_is_made_of_is_compared(sides: dict[str, Side]) -> None:
    models = moved("pyro", port=False), moved("numpyro", port=True)
    first = check(*models, Y, rungs=["density"], sides=sides).first_difference
    assert first is not None
    assert first["site"] == "rate"
    assert "transform 0 loc and transform 0 scale have changed places" in first["hint"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("no events", "with 1 - 'event' for 'event' in the data"),  # and not the shape, which is right
        ("lost mask", "it is masked in pyro only"),
        ("once for each row", "a broadcast or a lost axis"),
        ("rounds to one", "the log of what rounds to zero"),
    ],
)
def test_a_factor_that_one_side_adds_up_has_no_lost_axis(
    sides: dict[str, Side], other: str, said: str
) -> None:
    def original(t, event):
        pyro, dist = libraries("pyro")
        k = pyro.sample("k", dist.Gamma(2.0, 1.0))
        poutine = importlib.import_module("pyro.poutine")
        with poutine.mask(mask=other != "lost mask"):
            pyro.factor("lik", (event * (k * t).log() - t**k).sum())

    def port(t, event):
        numpyro, dist = libraries("numpyro")
        lib = importlib.import_module("jax.numpy")
        k = numpyro.sample("k", dist.Gamma(2.0, 1.0))
        seen = 1 - event if other == "no events" else event
        left = lib.log1p(lib.expm1(-(t**k))) if other == "rounds to one" else -(t**k)
        each = seen * lib.log(k * t) + left
        with numpyro.plate("rows", 3):
            numpyro.factor("lik", each.sum() if other == "once for each row" else each)

    data = {
        "t": np.array([0.4, 1.1, 60.0 if other != "rounds to one" else 1e40]),
        "event": np.array([1.0, 0.0, 0.0]),
    }
    first = check(original, port, data, level="quick", sides=sides).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", "lik")
    assert said in first["hint"]


def test_an_infinite_difference_of_a_row_is_told_as_that(sides: dict[str, Side]) -> None:
    def model(ppl: str) -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            a = library.sample("a", dist.Normal(0.0, 1.0))
            low = -9.0 if ppl == "pyro" else 0.5  # of one support: a bound that is a number of the model
            with library.plate("rows", 3):
                library.sample("y", dist.Uniform(a - a + low, 9.0 + 0 * a), obs=y)

        return run

    report = check(
        model("pyro"), model("numpyro"), {"y": np.array([0.1, 0.2, 2.0])}, level="quick", sides=sides
    )
    assert report.verdict == "different"
    assert "1e300" not in str(report)
    assert "e+300" not in str(report)


def blocks(ppl: str, fault: str = "") -> Callable:
    """A likelihood that one library has a distribution for, and the other adds up in a factor."""

    def model(y):
        library, dist = libraries(ppl)
        a = library.sample("a", dist.Normal(0.0, 1.0))
        with library.plate("rows", len(y)):
            if ppl == "pyro":
                library.sample("y", dist.Normal(a, 1.0), obs=y)
                return
            each = dist.Normal(-a if fault == "sign" else a, 1.0).log_prob(y)
            library.factor(
                "y", each.sum() if fault == "sum" else each + (0.1 * a**3 if fault == "other" else 0.0)
            )

    return model


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("sum", "numpyro's log prob is 6 times pyro's at every point"),
        ("sign", "numpyro's is what pyro's would be with -'a'"),
        ("other", "which has no parameters to compare: record in both what they are made of"),
    ],
)
def test_a_factor_in_place_of_a_distribution_is_no_cause_by_itself(
    sides: dict[str, Side], fault: str, said: str
) -> None:
    first = check(blocks("pyro"), blocks("numpyro", fault), {"y": DATA["y"]}, level="quick", sides=sides)
    told = first.first_difference
    assert told is not None
    assert (told["rung"], told["site"]) == ("density", "y")
    assert told["hint"].startswith("it is a Normal in pyro and a factor in numpyro")
    assert said in told["hint"]


def test_a_cholesky_factor_that_is_turned_is_not_meant_to_be(sides: dict[str, Side]) -> None:
    """Its transpose is no value of the other side's site, so no rename would do."""

    def model(ppl: str) -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            shape = {"dim": 2} if ppl == "pyro" else {"dimension": 2}
            factor = library.sample("L", dist.LKJCholesky(**shape, concentration=2.0))
            product = factor @ factor.T if ppl == "pyro" else factor.T @ factor
            library.sample("y", dist.Normal(product[0, 1] + 2 * product[0, 0], 1.0), obs=y)

        return run

    first = check(
        model("pyro"), model("numpyro"), {"y": np.array(0.4)}, level="quick", sides=sides
    ).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", "y")
    assert "'L' transposed" in first["hint"]
    assert "rename" not in first["hint"]
