"""Fits that look at themselves: a mass that did not suit, chains that never arrived, what a large file leaves out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ppl_parity.backend.contract import Groups
from ppl_parity.data import Dataset, load_data
from ppl_parity.fitting import fits
from ppl_parity.fitting.fits import fit_mixture
from ppl_parity.fitting.reached import below_mode, in_words
from ppl_parity.fitting.second import is_better, trouble
from ppl_parity.process.sides import Side
from ppl_parity.spec import MixtureSpec, SamplerSettings

SPEC = MixtureSpec(2, 2, prior_cov=9.0)
SHORT = SamplerSettings(num_draws=50, num_warmup=50, num_chains=2, seed=1, init="mode")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_data("old-faithful")


def groups(moved: float, diverging: int) -> Groups:
    """Draws of two clear components, of which each chain has its own second mean."""
    rng = np.random.default_rng(0)
    theta = rng.dirichlet([60.0, 40.0], size=(4, 400))
    beta = np.array([[-3.0, 0.0], [3.0, 0.0]]) + 0.1 * rng.normal(size=(4, 400, 2, 2))
    beta[:, :, 1] += moved * np.arange(4)[:, None, None]
    bad = np.zeros((4, 400), dtype=bool)
    bad.flat[:diverging] = True
    return {
        "posterior": {"theta": theta, "beta": beta},
        "sample_stats": {"diverging": bad, "lp": rng.normal(size=(4, 400))},
    }


def test_what_went_wrong_is_said_and_the_better_run_is_kept() -> None:
    good, slow, far = groups(0.0, 2), groups(0.02, 40), groups(1.0, 0)
    assert trouble(good, 1) == ""
    assert trouble(slow, 1).startswith("40 of 1600 draws diverged and R-hat was 1.0")
    assert trouble(far, 1).startswith("R-hat was ")
    assert trouble(far, 2) == ""  # they would stay in their modes again
    assert is_better(good, slow)
    assert not is_better(slow, good)


@pytest.mark.parametrize("better", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_mass_that_does_not_suit_is_replaced(
    better: bool, data: Dataset, sides: dict[str, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits, "trouble", lambda groups, num_modes: "R-hat was 1.2" if num_modes == 1 else "")
    monkeypatch.setattr(fits, "is_better", lambda new, old: better)
    asked = {"short_warmup": True, "long_steps": True, "log_likelihood": False, "assignments": False}
    settings = replace(SHORT, num_warmup=150)
    tree = fit_mixture(sides["numpyro"], SPEC, data, settings, **asked)  # type: ignore[arg-type]
    used = json.loads(tree.attrs["settings"])
    if better:
        assert tree.attrs["start"].endswith("; but so R-hat was 1.2: drawn again after an ordinary warmup")
        assert (used["num_warmup"], used["adapt_mass"], used["orbit"]) == (150, True, "any")
    else:
        assert tree.attrs["start"].endswith("; R-hat was 1.2, and an ordinary warmup did no better")
        assert (used["num_warmup"], used["adapt_mass"], used["orbit"]) == (100, False, "half")


def test_chains_that_never_reached_the_posterior_are_told(data: Dataset) -> None:
    one = np.ones((1, 30))
    near = {
        "theta": np.tile([0.36, 0.64], (1, 30, 1)),
        "beta": np.tile([[-1.26, -1.2], [0.71, 0.68]], (1, 30, 1, 1)),
    }
    far = {**near, "beta": np.tile([[-1.26, -1.2], [9.0, 9.0]], (1, 30, 1, 1))}
    spec = MixtureSpec(2, 2)
    assert below_mode(spec, data.x, {"posterior": near, "sample_stats": {"lp": one}}, 0) == 0
    below = below_mode(spec, data.x, {"posterior": far, "sample_stats": {"lp": one}}, 0)
    assert below > 100
    assert "No chain has reached the posterior" in in_words(below)
    wide = MixtureSpec(30, 2, prior_cov=1e6)  # of which the highest mode has a row for each component
    theta = np.tile(np.r_[0.36, 0.62, np.full(28, 0.02 / 28)], (1, 30, 1))
    beta = np.concatenate([near["beta"], np.full((1, 30, 28, 2), 500.0)], axis=2)
    assert (
        below_mode(
            wide, data.x, {"posterior": {"theta": theta, "beta": beta}, "sample_stats": {"lp": one}}, 0
        )
        == 0
    )
    assert in_words(0.0) == ""


@pytest.mark.parametrize("asked", [None, True, False])
def test_of_many_rows_the_mean_over_a_few_draws_is_kept(
    asked: bool | None, data: Dataset, sides: dict[str, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    side = sides["numpyro"]
    whole = fit_mixture(side, SPEC, data, SHORT)
    monkeypatch.setattr(fits, "LARGEST_PER_ROW", 1000)
    tree = fit_mixture(side, SPEC, data, SHORT, assignments=asked)
    assert ("z" in tree["posterior"]) is bool(asked)
    assert ("assignments" in tree.children) is (asked is not False)
    left_out = {
        None: ["z", "log_likelihood"],
        True: ["log_likelihood"],
        False: ["z", "log_likelihood", "assignments"],
    }
    assert json.loads(tree.attrs["left_out"]) == left_out[asked]
    if asked is not False:
        mean, other = (each["assignments"]["responsibilities"].values for each in (tree, whole))
        np.testing.assert_allclose(mean, other, atol=0.0 if asked else 0.02)
