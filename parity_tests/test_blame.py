"""Whose sampler is wrong: found for sites of every kind, and nobody's where both are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import libraries
from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import CheckSettings, Context
from ppl_parity.ladder.samples import blame as module
from ppl_parity.ladder.samples.blame import blame
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.preparing import prepare
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro

X = np.linspace(-1.0, 1.0, 8)
Climb = tuple[Context, dict[str, Arrays]]


def regression_pyro(x, y):
    import pyro
    import pyro.distributions as dist
    import torch

    cov = torch.tensor([[2.0, 0.9], [0.9, 1.0]])
    slope = pyro.sample("slope", dist.MultivariateNormal(torch.zeros(2), cov))
    with pyro.plate("N", len(x)):
        pyro.sample("y", dist.Normal(slope[0] * x, 1.0), obs=y)


def regression_numpyro(x, y):
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    cov = jnp.array([[2.0, 0.9], [0.9, 1.0]])
    slope = numpyro.sample("slope", dist.MultivariateNormal(jnp.zeros(2), cov))
    with numpyro.plate("N", len(x)):
        numpyro.sample("y", dist.Normal(slope[0] * x, 1.0), obs=y)


def correlation(ppl: str, name: str, size: int) -> Callable:
    """A model of one site, since each of its draws is asked for dozens of times."""

    def model():
        library, dist = libraries(ppl)
        library.sample(name, dist.LKJCholesky(size, 2.0))

    return model


def discrete_pyro():
    import pyro
    import pyro.distributions as dist
    import torch

    shares = torch.tensor([0.5, 0.3, 0.2])
    pyro.sample("rate", dist.Gamma(2.0, 1.0))
    with pyro.plate("N", 3):
        pyro.sample("category", dist.Categorical(shares))
    pyro.sample("counts", dist.Multinomial(10, shares))


def discrete_numpyro():
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    shares = jnp.array([0.5, 0.3, 0.2])
    numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    with numpyro.plate("N", 3):
        numpyro.sample("category", dist.Categorical(shares))
    numpyro.sample("counts", dist.Multinomial(10, shares))


@pytest.fixture(scope="module")
def climbs(sides: dict[str, Side]) -> dict[str, Climb]:
    """A climb of each pair at forward, and the prior draws of both sides."""
    models: dict[str, Any] = {
        "regression": (regression_pyro, regression_numpyro, {"x": X, "y": np.zeros(8)}),
        "correlation": (*(correlation(ppl, "corr", 2) for ppl in SIDES), {}),
        "larger": (*(correlation(ppl, "larger", 3) for ppl in SIDES), {}),
        "discrete": (discrete_pyro, discrete_numpyro, {}),
    }
    found = {}
    for kind, (*both, data) in models.items():
        references = {s: CallableReference.of(model) for s, model in zip(SIDES, both, strict=True)}
        pair = Pair(kind, references, dict.fromkeys(SIDES, data))
        context = prepare(pair, CheckSettings(), sides, ["forward"], lambda _: None)
        draws = {s: context.programs[s].prior_samples(num_draws=400, seed=3) for s in SIDES}
        found[kind] = context, draws
    return found


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws enough for faults as large as these."""
    monkeypatch.setattr(module, "DRAWS", 250)
    monkeypatch.setattr(module, "DATA_SETS", 50)


@pytest.fixture(scope="module")
def answers() -> dict[object, float]:
    """What was answered of right draws: a seed is fixed, so the same question has the same answer."""
    return {}


@pytest.fixture
def once(
    climbs: dict[str, Climb],
    few: None,
    answers: dict[object, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Right draws are asked of once a site and side, whichever test is the first to."""
    ask = module._p_value

    def asked(context: Context, side: str, name: str, draws: Arrays) -> float:
        if all(draws is not right[side] for _, right in climbs.values()):
            return ask(context, side, name, draws)
        key = (context.pair.name, side, name, module.DRAWS)
        if key not in answers:
            answers[key] = ask(context, side, name, draws)
        return answers[key]

    monkeypatch.setattr(module, "_p_value", asked)


def wrong(name: str, value: np.ndarray) -> np.ndarray:
    """The draws of a sampler that is not that of the site's log prob."""
    rng = np.random.default_rng(0)
    if name == "corr":  # too near to independent
        return np.linalg.cholesky(0.3 * value @ value.swapaxes(-1, -2) + 0.7 * np.eye(2))
    if name == "category":
        return np.where(rng.uniform(size=value.shape) < 0.4, 0, value)
    if name == "counts":  # too even
        return np.where(rng.uniform(size=(len(value), 1)) < 0.5, np.array([3, 3, 4]), value)
    return value * 2.0


def fewer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a wrong correlation a few show it: of eight seeds and either side p was 1e-16 at most."""
    if name == "corr":
        monkeypatch.setattr(module, "DRAWS", 120)


CASES = [
    ("regression", "slope", "pyro"),
    ("correlation", "corr", "numpyro"),
    ("regression", "y", "pyro"),
    ("discrete", "category", "pyro"),
    ("discrete", "counts", "numpyro"),
]


@pytest.mark.long
@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(("kind", "name", "guilty"), CASES)
def test_the_guilty_side_is_named(
    climbs: dict[str, Climb], kind: str, name: str, guilty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer(name, monkeypatch)
    context, draws = climbs[kind]
    right = draws[guilty][name]
    faulty = draws | {guilty: draws[guilty] | {name: wrong(name, right).astype(right.dtype)}}
    clause = blame(context, name, faulty)
    assert clause.startswith(f"it is {guilty}'s own ("), clause


@pytest.mark.long
@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(("kind", "name"), [case[:2] for case in CASES])
def test_nobody_is_blamed_for_right_draws(
    climbs: dict[str, Climb], kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer(name, monkeypatch)
    assert blame(climbs[kind][0], name, climbs[kind][1]).startswith("neither side's draws")


@pytest.mark.long
def test_torch_draws_a_larger_correlation_wrongly(
    climbs: dict[str, Climb], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one sampler that is known to be wrong: E[L_33] is 0.800, by two Beta integrals; torch draws 0.737."""
    monkeypatch.setattr(module, "DRAWS", 400)
    context, draws = climbs["larger"]
    rng = np.random.default_rng(0)
    partial = [2 * rng.beta(shape, shape, size=100_000) - 1 for shape in (2.5, 2.0)]
    exact = np.mean(np.sqrt((1 - partial[0] ** 2) * (1 - partial[1] ** 2)))
    means = {side: draws[side]["larger"][:, 2, 2].mean() for side in SIDES}
    assert abs(means["numpyro"] - exact) < 0.03 < exact - means["pyro"]
    assert blame(context, "larger", draws).startswith("it is pyro's own (")


@pytest.mark.long
@pytest.mark.usefixtures("once")
def test_where_no_site_is_named_every_site_is_asked(climbs: dict[str, Climb]) -> None:
    context, draws = climbs["discrete"]
    faulty = draws | {"numpyro": draws["numpyro"] | {"rate": 2 * draws["numpyro"]["rate"]}}
    assert blame(context, None, faulty).startswith("it is numpyro's own at 'rate'")


def test_what_cannot_be_asked_is_said(climbs: dict[str, Climb]) -> None:
    context, draws = climbs["regression"]
    assert "only one side has" in blame(context, "no such site", draws)
    without = {side: {"y": draws[side]["y"]} for side in SIDES}
    assert blame(context, "y", without).startswith("whose it is cannot be told (pyro: ")


@pytest.mark.long
def test_a_side_that_cannot_be_asked_leaves_the_other_to_be(
    climbs: dict[str, Climb], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where one side is a frozen file, which has an answer for its own points alone."""
    context, draws = climbs["discrete"]
    other = context.programs["numpyro"]

    def not_frozen(*_: object) -> Arrays:
        raise InputError("that point was not frozen")

    with monkeypatch.context() as patch:
        patch.setattr(other, "site_log_probs", not_frozen, raising=False)
        faulty = draws | {"pyro": draws["pyro"] | {"rate": 2 * draws["pyro"]["rate"]}}
        assert blame(context, "rate", faulty).startswith("it is pyro's own (pyro p = ")
        told = blame(context, "rate", draws)
    assert told.startswith("pyro's draws are not plainly at odds with it (")
    assert "numpyro not asked: that point was not frozen" in told
