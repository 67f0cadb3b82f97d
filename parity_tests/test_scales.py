"""A posterior that is badly scaled is measured, walked and drawn from in its own units; any other as ever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries, told
from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.checking import check, check_pair
from ppl_parity.errors import InputError
from ppl_parity.frozen.file import load_frozen
from ppl_parity.frozen.freezing import freeze
from ppl_parity.frozen.freezing import told as told_of
from ppl_parity.frozen.side import FrozenSide
from ppl_parity.ladder.context import CheckSettings
from ppl_parity.ladder.exact.curvature import Layout
from ppl_parity.ladder.exact.descent import badly_scaled_mode, descend
from ppl_parity.ladder.exact.scales import Scale, bad_scale
from ppl_parity.ladder.samples.starting import _dispersed, _ordered
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.points import Walk
from ppl_parity.pair.stacked_side import StackedProgram
from ppl_parity.pair.stacking import Stack
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side
from ppl_parity.spec import SamplerSettings


class Normal:
    """A program of one normal site, of a given precision matrix."""

    def __init__(self, precision: np.ndarray, mean: float = 0.5) -> None:
        self.precision, self.mean = precision, mean

    def potential_and_gradient(self, unconstrained: Arrays) -> tuple[float, Arrays]:
        away = unconstrained["u"] - self.mean
        slope = self.precision @ away
        return 0.5 * float(away @ slope), {"u": slope}


def precision(sd: np.ndarray, correlation: float = 0.0) -> np.ndarray:
    """Of normal numbers of which the first two are correlated."""
    covariance = np.diag(sd**2)
    covariance[0, 1] = covariance[1, 0] = correlation * sd[0] * sd[1]
    return np.linalg.inv(covariance / sd / sd[:, None]) / sd / sd[:, None]


def scale_of(program: Any, size: int) -> Any:
    return bad_scale(program, {"u": np.full(size, 0.5)})


def test_what_is_well_scaled_has_no_scale() -> None:
    for sd in ([1.0, 1.0, 1.0], [0.01, 1.0, 0.1], [1e-4, 1e-4, 1e-5], [1.0, 300.0, 1e4]):
        assert scale_of(Normal(precision(np.array(sd), 0.99)), 3) is None
    assert scale_of(Normal(np.diag([1.0, 0.0, 4.0])), 3) is None  # a flat direction is no scale
    assert scale_of(Normal(np.diag(np.linspace(1, 1e4, 40))), 40) is None


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.999999])
@pytest.mark.parametrize("sd", [[1e-6, 1.0, 0.1], [1e-9, 0.01, 2e-4], [0.05, 0.02, 0.1]])
def test_the_inverse_mass_is_the_covariance(sd: list[float], correlation: float) -> None:
    program = Normal(precision(np.array(sd), correlation))
    scale = scale_of(program, 3)
    if sd[0] == 0.05 and correlation in (0.0, 0.9):
        assert scale is None
        return
    covariance = scale.inverse_mass() if scale.factor.ndim == 2 else np.diag(scale.inverse_mass())
    # What NUTS sees in its units is round.
    seen = np.linalg.eigvals(covariance @ program.precision).real
    assert np.all((seen > 0.4) & (seen < 2.5))
    np.testing.assert_allclose(scale.widths, 1 / np.sqrt(np.diagonal(program.precision)), rtol=0.5)


def test_a_flat_coordinate_stays_within_one() -> None:
    scale = scale_of(Normal(np.diag([1e12, 0.0, 4.0])), 3)
    np.testing.assert_allclose(np.diag(scale.factor @ scale.factor.T) ** 0.5, [1e-6, 1.0, 0.5], rtol=0.5)
    assert scale.narrowest() == "u"


def test_of_many_coordinates_an_estimate_will_do() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 150))
    x[:, 0] = rng.lognormal(11, 1, size=400)
    x[:, 1] = 1.0
    for size, within in ((40, 1.5), (150, 4.0)):
        wanted = x[:, :size].T @ x[:, :size]
        scale = scale_of(Normal(wanted), size)
        off = scale.widths * np.sqrt(np.diagonal(wanted))
        assert np.all((off < within) & (off > 1 / within))
        assert scale.factor.ndim == (2 if size == 40 else 1)


@pytest.mark.parametrize(("sd", "correlation"), [([1e-6, 0.05, 0.1], 0.9), ([0.05, 1e-4, 1.0], -0.999999)])
def test_the_mode_is_found_in_its_own_units(sd: list[float], correlation: float) -> None:
    program: Any = Normal(precision(np.array(sd), correlation))
    value, where, _ = descend(program, {"u": np.array([-1.0, 1.5, 2.0])}, 60)
    found = badly_scaled_mode(program, value, where)
    assert found is not None
    assert found.value < 1e-3
    starts, mode = _dispersed(program, [{"u": np.array([-1.0, 1.5, 2.0])}, {"u": np.ones(3)}], 4)
    assert mode is not None
    depths = [program.potential_and_gradient(point)[0] for point in starts]
    assert 0.01 < min(depths) < max(depths) < 100


def test_a_funnel_has_no_scale() -> None:
    def funnel(at: Arrays) -> tuple[float, Arrays]:
        u, v = at["u"], np.clip(at["v"], -200, 200)
        squares = np.sum(u**2) * np.exp(-2 * v)
        slope = {"u": u * np.exp(-2 * v), "v": np.asarray(len(u) - squares + 0.01 * v)}
        return float(0.5 * squares + len(u) * v + 0.005 * v**2), slope

    program: Any = SimpleNamespace(potential_and_gradient=funnel)
    value, where, _ = descend(program, {"u": np.ones(5), "v": np.array(0.0)}, 40)
    assert badly_scaled_mode(program, value, where) is None


def test_where_a_library_refuses_to_go_is_no_way_down() -> None:
    """As a sine model of two angles, whose concentrations Pyro holds to 10,000: the search walks there."""

    def concentrated(at: Arrays) -> tuple[float, Arrays]:
        if at["u"][0] > 4.0:
            raise InputError("the concentration is too large")
        return float(0.5 * np.sum((at["u"] - 3.9) ** 2)), {"u": at["u"] - 3.9}

    program: Any = SimpleNamespace(potential_and_gradient=concentrated)
    value, where, _ = descend(program, {"u": np.array([-3.0])}, 60)
    assert value < 1e-3
    assert abs(where["u"][0] - 3.9) < 0.05


def test_numbers_are_in_the_order_of_the_sides_own_sites() -> None:
    rows = {"a": (2,), "w": (3,), "b": ()}
    described = [Site(f"w_{i}", "latent", "Normal", (), (), "real", "float64") for i in (2, 0, 1)]
    program: Any = SimpleNamespace()
    scale = Scale(Layout(rows), np.ones(6), np.sqrt(np.arange(6.0)), 1.0)  # whose mass is 0 to 5
    np.testing.assert_allclose(_ordered(program, scale), [0, 1, 5, 2, 3, 4])
    stacked: Any = StackedProgram(
        SimpleNamespace(sites=lambda: described), [Stack("w", ("w_2", "w_0", "w_1"), (3,))]
    )
    np.testing.assert_allclose(_ordered(stacked, scale), [0, 1, 5, 3, 4, 2])
    dense = Scale(Layout(rows), np.ones(6), np.diag(np.sqrt(np.arange(6.0))), 1.0)
    np.testing.assert_allclose(_ordered(stacked, dense), np.diag([0.0, 1, 5, 3, 4, 2]))


def regression(ppl: str, **wrong: float) -> Callable:
    def model(x, y):
        library, dist = libraries(ppl)
        a = library.sample("a", dist.Normal(0.0, wrong.get("a", 1e4)))
        w = library.sample("w", dist.Normal(0.0, wrong.get("w", 10.0)))
        s = library.sample("s", dist.HalfNormal(1.0))
        with library.plate("rows", len(y)):
            library.sample("y", dist.Normal(a + w * x, s * wrong.get("s", 1.0)), obs=y)

    return model


def incomes(noise: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.lognormal(11, 1, size=60)
    return {"x": x, "y": 3 + 2e-5 * x + noise * rng.normal(size=60)}


def years() -> dict[str, np.ndarray]:
    x = 2000.0 + np.arange(24)
    return {"x": x, "y": 3 + 0.2 * (x - 2010) + np.random.default_rng(0).normal(size=24)}


SOON = CheckSettings(margin=0.3)


@pytest.mark.long
@pytest.mark.pyro
@pytest.mark.parametrize(
    "data", [incomes(), pytest.param(years(), marks=pytest.mark.slow)], ids=["incomes", "years"]
)
def test_the_same_model_is_the_same(data: dict[str, np.ndarray], sides: dict[str, Side]) -> None:
    models = (regression(ppl) for ppl in SIDES)
    report = check(*models, data, rungs=["dynamics", "posterior"], sides=sides, settings=SOON)
    assert report.verdict == "same", str(report)
    said = [one for one in told(report, "posterior") if one.quantity == "scale"]
    assert len(said) == 1
    assert "'w'" in said[0].detail


@pytest.mark.pyro
@pytest.mark.parametrize("rung", ["dynamics", pytest.param("posterior", marks=pytest.mark.slow)])
def test_another_noise_is_different(rung: str, sides: dict[str, Side]) -> None:
    models = (regression("pyro"), regression("numpyro", s=0.8))
    report = check(*models, incomes(), rungs=[rung], sides=sides, settings=SOON)
    assert report.verdict == "different", str(report)


@pytest.mark.long
@pytest.mark.pyro
@pytest.mark.parametrize("side", SIDES)
def test_a_frozen_side_walks(side: str, sides: dict[str, Side], tmp_path: Path) -> None:
    pair = Pair(
        "incomes",
        {ppl: CallableReference.of(regression(ppl)) for ppl in SIDES},
        dict.fromkeys(SIDES, incomes()),
    )
    freeze(pair, side, sides[side], settings=None).save(tmp_path / "f.npz")
    frozen = load_frozen(tmp_path / "f.npz")
    assert all(walk.inverse_mass is not None for walk in frozen.walks)
    both: Any = sides | {side: FrozenSide(frozen)}
    report = check_pair(pair, sides=both, rungs=["dynamics"])
    assert report.verdict == "same", str(report)
    assert all("in units of how far the posterior reaches" in one.detail for one in told(report, "dynamics"))


def test_a_walk_without_a_mass_is_renamed_without() -> None:
    old: dict[str, Any] = {
        "point": "near",
        "start": {"w": np.zeros(2)},
        "momentum": {"w": np.ones(2)},
        "step": 0.1,
    }
    walk = Walk(**old).presented(lambda values: {f"{name}!": value for name, value in values.items()})
    assert (walk.inverse_mass, list(walk.start), list(walk.momentum)) == (None, ["w!"], ["w!"])


@pytest.mark.long
@pytest.mark.pyro
def test_a_frozen_side_is_drawn_from_in_its_own_units(sides: dict[str, Side]) -> None:
    models, data = {ppl: regression(ppl) for ppl in sides}, incomes()
    written = {side: CallableReference.of(model) for side, model in models.items()}
    pair = Pair("incomes", written, dict.fromkeys(sides, data))
    frozen = freeze(
        pair, "numpyro", sides["numpyro"], settings=SamplerSettings(num_draws=600, num_warmup=200)
    )
    assert "converged: R-hat at most 1.0" in told_of(frozen)["Posterior"]
