"""Wrong ports that once were called the same: each differs where a tolerance, or a rule on far points, was too wide."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests import fakes
from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.backend.contract import Trajectory
from ppl_parity.ladder.exact.clamps import level_clamps
from ppl_parity.ladder.rungs.dynamics import NUM_STEPS, _strayed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Walk
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import notes, three_lines
from ppl_parity.tolerances import CLAMP

RNG = np.random.default_rng(0)
DOLLARS = {
    "x": RNG.uniform(5000.0, 8000.0, 40),
    "t": np.arange(40) % 2.0,
    "y": (np.arange(40) % 8 == 3).astype(float),
}


def treatment(ppl: str, *, effect: bool, given: str) -> Callable:
    """An outcome against income in dollars: 0.1 away from the mode, all rows are certain."""

    def model(x, t, y):
        library, dist = libraries(ppl)
        a = library.sample("a", dist.Normal(0.0, 5.0))
        b = library.sample("b", dist.Normal(0.0, 1.0))
        c = library.sample("c", dist.Normal(0.0, 1.0))
        with library.plate("N", len(y)):
            logits = a + b * x + (c * t if effect else 0.0 * t)
            if given == "probs":
                logits = {"probs": 1 / (1 + (-logits).exp() if ppl == "pyro" else 1 + np_exp(-logits))}
            else:
                logits = {"logits": logits}
            library.sample("y", dist.Bernoulli(**logits), obs=y)

    return model


def np_exp(x: Any) -> Any:
    import jax.numpy as jnp

    return jnp.exp(x)


@pytest.mark.long
@pytest.mark.parametrize("given", ["logits", "probs"])
def test_an_effect_that_was_lost_shows_though_prior_draws_are_all_certain(
    given: str, sides: dict[str, Side]
) -> None:
    models = treatment("pyro", effect=True, given=given), treatment("numpyro", effect=False, given=given)
    report = check(*models, DOLLARS, rungs=["structure", "density"], sides=sides)
    assert report.verdict == "different", report.first_difference
    right = treatment("pyro", effect=True, given=given), treatment("numpyro", effect=True, given=given)
    assert check(*right, DOLLARS, level="quick", sides=sides).verdict == "same"


def test_logits_are_never_levelled() -> None:
    from dataclasses import replace

    for key, kept in (("logits", [-200.0, -1000.0]), ("probs", [CLAMP, CLAMP])):
        context = fakes.context()
        context.points = context.points[:1]
        for side in SIDES:
            site = context.sites[side]["y"]
            context.sites[side]["y"] = replace(site, family="Bernoulli", params={key: np.zeros(1)})
        rows = zip(SIDES, (-200.0, -1000.0), strict=True)
        values = {side: [{"y": np.array([one, -0.5])}] for side, one in rows}
        level_clamps(context, values)
        assert [values[side][0]["y"][0] for side in SIDES] == kept


def test_a_weight_of_counts_shows_though_their_log_prob_is_low_everywhere(sides: dict[str, Side]) -> None:
    def counts(ppl: str, scale: float) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            theta = library.sample(
                "theta", dist.Dirichlet(np.ones(20) + 0 * y if ppl == "numpyro" else 0 * y + 1.0)
            )
            handlers = __import__("pyro").poutine if ppl == "pyro" else library.handlers
            with handlers.scale(scale=scale):
                library.sample("y", dist.Multinomial(600, probs=theta), obs=y)

        return model

    data = {"y": RNG.multinomial(600, RNG.dirichlet(np.ones(20))).astype(float)}
    for scale, verdict in ((1.0, "same"), (0.5, "different")):
        models = counts("pyro", 1.0), counts("numpyro", scale)
        report = check(*models, data, rungs=["structure", "density"], sides=sides)
        assert report.verdict == verdict, three_lines(report)


@pytest.mark.parametrize(("one", "verdict"), [(0.3, "same"), (1.0, "different")])
def test_weights_of_at_most_one_are_weights(one: float, verdict: str, sides: dict[str, Side]) -> None:
    """Their largest says nothing of them; what is weighted is not what the model draws."""

    def weighted(ppl: str, lightest: float) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            mu = library.sample("mu", dist.Normal(0.0, 1.0))
            handlers = __import__("pyro").poutine if ppl == "pyro" else library.handlers
            rows = y * 0 + 1
            with library.plate("rows", 4), handlers.scale(scale=rows - (1 - lightest) * (y > 1)):
                library.sample("y", dist.Normal(mu, 1.0), obs=y)

        return model

    data = {"y": np.array([0.3, -0.2, 1.1, 0.7])}
    models = weighted("pyro", 0.3), weighted("numpyro", one)
    report = check(*models, data, rungs=["structure", "density", "calibration"], sides=sides, keep_going=True)
    if verdict == "different":
        assert report.verdict == "different"
        assert "it is scaled by up to 0.3 in pyro and 1 in numpyro" in three_lines(report)
    else:
        assert report.verdict == "unresolved"
        assert any("is scaled by 0.3" in finding.detail for finding in told(report, "calibration"))


def line(ppl: str, quantity: Callable, name: str = "k", slope: str = "b", index: Any = None) -> Callable:
    """y given a slope; a deterministic site of it; and each row's own offset where an index is given."""

    def model(y, **_):
        library, dist = libraries(ppl)
        b = library.sample(slope, dist.Normal(0.0, 1.0))
        library.deterministic(name, quantity(b))
        with library.plate("N", len(y)):
            mean = b if index is None else b * (y * 0 + 1) * (y * 0 + 1).cumsum(0)[index]
            library.sample("y", dist.Normal(mean, 1.0), obs=y)

    return model


Y = {"y": np.array([0.3, -0.2, 1.1, 0.7])}


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "same"), (3.0, "different")])
def test_a_quantity_in_small_units_has_a_tolerance_of_its_size(
    times: float, verdict: str, sides: dict[str, Side]
) -> None:
    models = line("pyro", lambda b: 1e-11 * b), line("numpyro", lambda b: times * 1e-11 * b)
    assert check(*models, Y, rungs=["structure", "density"], sides=sides).verdict == verdict


def test_a_quantity_of_one_side_alone_is_told(sides: dict[str, Side]) -> None:
    report = check(line("pyro", abs, "effect"), line("numpyro", abs, "Effect"), Y, level="quick", sides=sides)
    details = [finding.detail for _, finding in notes(report)]
    assert "The deterministic site 'effect' is in pyro only, so it is not compared." in details


def test_rows_that_agree_in_their_sum_alone_are_told(sides: dict[str, Side]) -> None:
    same = {"y": np.array([0.5, 0.5, 0.5, 0.5])}  # each row's offset is another's, and the sum is the same
    models = line("pyro", abs, index=[0, 1, 2, 3]), line("numpyro", abs, index=np.array([3, 2, 1, 0]))
    report = check(*models, same, level="quick", sides=sides)
    assert report.verdict == "same"
    assert any(
        "agree in their sum and not row by row: that of y[" in f.detail for f in told(report, "density")
    )


def test_a_row_without_a_number_is_named(sides: dict[str, Side]) -> None:
    data = {"y": np.array([0.3, np.nan, 1.1, 0.7])}
    report = check(line("pyro", abs), line("numpyro", abs), data, rungs=["structure", "density"], sides=sides)
    (finding,) = (f for f in told(report, "density") if f.verdict == "unresolved")
    assert (finding.site, finding.index) == ("y", (1,))
    assert "NaN in the data" in str(finding.hint)


def test_the_option_that_renames_a_site_is_written_out(sides: dict[str, Side]) -> None:
    report = check(
        line("pyro", abs, slope="slope"), line("numpyro", abs, slope="beta"), Y, level="quick", sides=sides
    )
    assert report.verdict == "unresolved"
    assert 'Then give rename = {"slope": "beta"}' in three_lines(report)


def test_few_rows_that_differ_are_no_rounding_of_float32(sides: dict[str, Side]) -> None:
    """Within float32's rounding of the sum of all rows, and far from it in their own."""

    def rows(ppl: str, wrong: float) -> Callable:
        def model(x, y):
            library, dist = libraries(ppl)
            b = library.sample("b", dist.Normal(0.0, 1.0))
            factor = np.ones(2000)
            factor[[17, 1234]] = wrong
            if ppl == "pyro":
                import torch

                factor = torch.as_tensor(factor)
            with library.plate("N", 2000):
                library.sample("y", dist.Normal(b * x * factor, 1.0), obs=y)

        return model

    x = RNG.uniform(50.0, 150.0, 2000)
    y = (x + RNG.normal(size=2000)).astype(np.float32)
    data = {"pyro": {"x": x, "y": y.astype(float)}, "numpyro": {"x": x, "y": y}}
    verdicts = {}
    for wrong in (1.0, 1.004):
        models = rows("pyro", 1.0), rows("numpyro", wrong)
        verdicts[wrong] = check(*models, lambda: data, rungs=["structure", "density"], sides=sides).verdict
    assert verdicts == {1.0: "same", 1.004: "different"}


@pytest.mark.parametrize("slope", [1.0, 1.001])
def test_coordinates_that_part_are_seen_where_the_energy_is_kept(slope: float) -> None:
    """On a linear potential leapfrog conserves the energy, whatever the slope."""
    step = 0.1

    def path(slope: float, start: float = 0.0) -> Trajectory:
        time = step * np.arange(NUM_STEPS + 1)
        position, momentum = start + time - slope * time**2 / 2, 1.0 - slope * time
        return Trajectory(
            {"w": position}, {"w": momentum}, slope * position, slope * position + momentum**2 / 2
        )

    context = fakes.context()
    walk = Walk("near the mode, 0", {"w": np.zeros(())}, {"w": np.ones(())}, step)
    paths = {"pyro": path(1.0), "numpyro": path(slope)}
    assert np.ptp(paths["numpyro"].energy) < 1e-12
    found = _strayed(context, walk, paths, path(1.0, 1e-9), 0.0)
    assert (found is None) == (slope == 1.0)
    assert found is None or (found.verdict, found.site) == ("different", "w")


def test_points_near_a_narrow_mode_are_within_its_posterior() -> None:
    from ppl_parity.ladder.exact.curvature import curvature
    from ppl_parity.ladder.exact.points import NEAR, _spread

    sd = np.array([1e-6, 0.02, 5.0])
    program: Any = SimpleNamespace(
        potential_and_gradient=lambda at: (0.0, {"w": at["w"] / sd**2, "v": 0 * at["v"]})
    )
    mode = {"w": np.zeros(3), "v": np.zeros(2)}
    spread = _spread(curvature(program, mode, np.random.default_rng(0)), mode)
    np.testing.assert_allclose(spread["w"], np.minimum(sd, NEAR), rtol=1e-6)
    many: Any = SimpleNamespace(potential_and_gradient=lambda at: (0.0, {"w": at["w"] / 1e-4**2}))
    ones = {"w": np.ones(200)}
    spread = _spread(curvature(many, ones, np.random.default_rng(0)), ones)
    np.testing.assert_allclose(spread["w"], 1e-4, rtol=1e-6)


@pytest.mark.parametrize("kind", ["observed", "factor"])
def test_a_constant_of_an_observed_family_is_a_parameter_that_no_latent_site_moves(
    kind: str, sides: dict[str, Side]
) -> None:
    def model(ppl: str, rate: float) -> Callable:
        def waits(y, t):
            library, dist = libraries(ppl)
            a = library.sample("a", dist.Normal(0.0, 1.0))
            library.sample("y", dist.Normal(a, 1.0), obs=y)
            waiting = dist.Exponential(rate + 0 * t)
            if kind == "observed":
                library.sample("t", waiting, obs=t)
            else:
                library.factor("t", waiting.log_prob(t))

        return waits

    data = {"y": np.array(0.3), "t": np.array(1.7)}
    report = check(model("pyro", 1.0), model("numpyro", 1.01), data, level="quick", sides=sides)
    assert report.verdict == "same"
    (constant,) = (f for f in told(report, "density") if "differ by the constant" in f.detail)
    named = "draws of 't' are not: its rate is 1 in pyro and 1.01 in numpyro" in constant.detail
    assert named == (kind == "observed")


def test_digits_that_a_probability_has_lost_have_no_slope(sides: dict[str, Side]) -> None:
    """Between torch's clamp and the digits that one minus a probability near one has."""

    def model(ppl: str) -> Callable:
        def run(x, won):
            library, dist = libraries(ppl)
            array = numbers(ppl)
            w = library.sample("w", dist.Normal(0.0, 10.0))
            chance = array.sigmoid(w * x) if ppl == "pyro" else 1 / (1 + array.exp(-w * x))
            library.sample("won", dist.Bernoulli(probs=chance).to_event(1), obs=won)

        return run

    x = np.linspace(-5.0, 5.0, 40)
    data = {"x": x, "won": (x > 0.3).astype(float)}
    report = check(model("pyro"), model("numpyro"), data, level="quick", sides=sides)
    assert report.verdict == "same", report.first_difference


def test_sites_that_are_spelt_another_way_are_proposed_together(sides: dict[str, Side]) -> None:
    names = {
        "pyro": ("linear.weight", "linear.bias", "sigma"),
        "numpyro": ("linear/weight", "linear/bias", "noise"),
    }

    def model(ppl: str) -> Callable:
        def written(y):
            library, dist = libraries(ppl)
            weight, bias, noise = names[ppl]
            a = library.sample(weight, dist.Normal(0.0, 1.0)) + library.sample(bias, dist.Normal(0.0, 1.0))
            library.sample("y", dist.Normal(a, library.sample(noise, dist.HalfNormal(1.0))), obs=y)

        return written

    report = check(model("pyro"), model("numpyro"), {"y": np.array(0.3)}, level="quick", sides=sides)
    told_ = three_lines(report)
    assert (
        'rename = {"linear.weight": "linear/weight", "linear.bias": "linear/bias", "sigma": "noise"}' in told_
    )
    rename = dict(zip(names["pyro"], names["numpyro"], strict=True))
    again = check(
        model("pyro"), model("numpyro"), {"y": np.array(0.3)}, level="quick", sides=sides, rename=rename
    )
    assert again.verdict == "same"
