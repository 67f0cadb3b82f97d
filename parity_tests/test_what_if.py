"""A fault inside a link shows in no parameter as such: it is named by the change that makes the two models one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries, numbers
from ppl_parity import check
from ppl_parity.ladder.exact import what_if
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro
RNG = np.random.default_rng(0)
DATA = {
    "x": RNG.normal(size=30),
    "y": (RNG.random(30) < 0.6).astype(float),
    "group": RNG.integers(0, 4, 30),
    "unit": 0.6,
}
QUICK = {"rungs": ["structure", "density"]}

Mean = Callable[..., Any]


def right(a, b, s, u, x, group, **_):
    return a + b * x + s * u[group]


def logistic(ppl: str, mean: Mean, power: int = 1) -> Callable:
    """Outcomes given a mean on the logit scale, whose link is written out."""

    def model(x, y, group, unit):
        library, dist = libraries(ppl)
        a = library.sample("a", dist.Normal(0.0, 1.0))
        b = library.sample("b", dist.Normal(0.0, 1.0))
        s = library.sample("s", dist.HalfNormal(1.0))
        with library.plate("groups", 4):
            u = library.sample("u", dist.Normal(0.0, 1.0))
        z = mean(a=a, b=b, s=s, u=u, x=x * unit**power, group=group, exp=numbers(ppl).exp)
        with library.plate("rows", 30):
            library.sample("y", dist.Bernoulli(probs=1 / (1 + numbers(ppl).exp(-z))), obs=y)

    return model


PORTS: dict[str, Mean] = {
    "-'b' for 'b': a sign": lambda a, b, s, u, x, group, **_: a - b * x + s * u[group],
    "|'b'| for 'b'": lambda a, b, s, u, x, group, **_: a + abs(b) * x + s * u[group],
    "exp('b') for 'b'": lambda a, b, s, u, x, group, exp, **_: a + exp(b) * x + s * u[group],
    "0 for 'b': a term that one side lost": lambda a, b, s, u, x, group, **_: a + s * u[group],
    "1 for 's': a factor that one side lost": lambda a, b, s, u, x, group, **_: a + b * x + u[group],
    "1 / 's' for 's'": lambda a, b, s, u, x, group, **_: a + b * x + u[group] / s,
    "'s' squared": lambda a, b, s, u, x, group, **_: a + b * x + s**2 * u[group],
    "'a' and 'b' exchanged": lambda a, b, s, u, x, group, **_: b + a * x + s * u[group],
    "'u' reversed": lambda a, b, s, u, x, group, **_: a + b * x + s * u[3 - group],
    "'u'[i + 1] for 'u'[i]": lambda a, b, s, u, x, group, **_: a + b * x + s * u[(group + 1) % 4],
    "the first element of 'u' throughout for 'u'": lambda a, b, s, u, x, **_: a + b * x + s * u[0],
    "'x' less its mean in the data": lambda a, b, s, u, x, group, **_: a + b * (x - x.mean()) + s * u[group],
    "'x' reversed in the data": lambda a, b, s, u, x, group, **_: (
        a + b * x[29 - np.arange(30)] + s * u[group]
    ),
}


@pytest.mark.parametrize("words", PORTS)
def test_the_change_is_named(words: str, sides: dict[str, Side]) -> None:
    first = check(
        logistic("pyro", right), logistic("numpyro", PORTS[words]), DATA, sides=sides, **QUICK
    ).first_difference
    assert first is not None
    assert first["site"] == "y"
    assert first["hint"].endswith(f"; numpyro's is what pyro's would be with {words}"), first["hint"]


@pytest.mark.long
def test_where_the_port_lacks_what_the_original_does_it_is_the_port_that_is_changed(
    sides: dict[str, Side],
) -> None:
    models = logistic("pyro", PORTS["exp('b') for 'b'"]), logistic("numpyro", right)
    first = check(*models, DATA, sides=sides, **QUICK).first_difference
    assert first is not None
    assert first["hint"].endswith("; pyro's is what numpyro's would be with exp('b') for 'b'")


def test_a_number_of_the_data_may_be_what_the_port_took_otherwise(sides: dict[str, Side]) -> None:
    models = logistic("pyro", right), logistic("numpyro", right, power=2)
    first = check(*models, DATA, sides=sides, **QUICK).first_difference
    assert first is not None
    assert first["hint"].endswith("; numpyro's is what pyro's would be with 'unit' squared in the data")


def test_nothing_is_named_that_does_not_hold_everywhere(sides: dict[str, Side]) -> None:
    def other(a, b, s, u, x, group, **_):
        return a + b * x + s * u[group] + 0.3 * abs(a * b)

    first = check(
        logistic("pyro", right), logistic("numpyro", other), DATA, sides=sides, **QUICK
    ).first_difference
    assert first is not None
    assert "would be with" not in first["hint"]


@pytest.mark.parametrize("refusing", ["pyro", "numpyro"])
def test_a_change_that_a_model_refuses_costs_no_verdict(refusing: str, sides: dict[str, Side]) -> None:
    def careful(ppl: str, factor: float) -> Callable:
        def model(y, group):
            library, dist = libraries(ppl)
            if ppl == refusing and sorted(group.tolist()) != [0, 1, 2]:
                raise RuntimeError("another grouping")
            b = library.sample("b", dist.Normal(0.0, 1.0))
            x = numbers(ppl).exp(factor * b * (1.0 + group)) + b * b
            with library.plate("rows", 3):
                library.sample("y", dist.Normal(x, 1.0), obs=y)

        return model

    data = {"y": np.array([1.0, 2.0, 0.5]), "group": np.array([0, 2, 1])}
    report = check(careful("pyro", 1.0), careful("numpyro", 1.3), data, sides=sides, **QUICK)
    assert report.verdict == "different"


def test_nothing_is_tried_once_the_time_is_up(
    sides: dict[str, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_if, "SECONDS", 0.0)
    models = logistic("pyro", right), logistic("numpyro", PORTS["-'b' for 'b': a sign"])
    first = check(*models, DATA, sides=sides, **QUICK).first_difference
    assert first is not None
    assert "would be with" not in first["hint"]


@pytest.mark.parametrize(
    ("value", "whole", "words"),
    [
        (np.eye(2), False, "'m' transposed"),
        (np.ones((2, 3)), False, "the elements of 'm' taken column by column"),
        (np.arange(3), True, "1 + 'm' for 'm'"),
        (np.arange(3), True, "'m' less one"),
        (np.ones((2, 3)), False, "'m'[i - 1] for 'm'[i] along its axis 1"),
    ],
)
def test_a_change_keeps_the_shape(value: np.ndarray, whole: bool, words: str) -> None:
    tried = dict(what_if.changes("m", value, whole))
    assert words in tried
    with np.errstate(all="ignore"):
        assert all(to(value).shape == value.shape for to in tried.values())
