"""Warmup with a given mass: the step size is adapted to its end, and is left where an orbit is not a whole one."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest

from ppl_parity import orbits
from ppl_parity.spec import SamplerSettings
from ppl_parity.statistics.diagnostics import ess

DIM = 8
# Of 8 chains x 1000 draws on standard normals at step 1.05.
MEASURED = {4: 0.815, 8: 0.741, 19: 0.610, 71: 0.341}
ROUND = {
    "num_draws": 200,
    "num_warmup": 100,
    "num_chains": 4,
    "adapt_mass": False,
    "init": "prior",
    "chain_method": "sequential",
}

FEW = {"num_draws": 50}  # where it is the step size, which warmup ends with, that is asked for


def sampled(backend: Any, dim: int, **changes: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draws from a standard normal, its mass given, and their statistics."""
    model = importlib.import_module(f"parity_tests.models_{backend.NAME}").standard_normal
    settings = SamplerSettings(**(ROUND | changes))
    groups, _ = backend.sample_posterior(model, {"dim": dim}, settings, inverse_mass=np.ones(dim))
    return next(iter(groups["posterior"].values())), groups["sample_stats"]


def fitted(backend: Any, **changes: Any) -> dict[str, np.ndarray]:
    """Statistics of the draws from a standard normal in 8 dimensions."""
    return sampled(backend, DIM, **changes)[1]


@pytest.mark.parametrize("num_dims", MEASURED)
def test_acceptance_is_what_was_measured(num_dims: int) -> None:
    assert orbits.acceptance(num_dims) == pytest.approx(MEASURED[num_dims], abs=0.02)


def test_the_orbit_that_pays_depends_on_the_dimensions() -> None:
    assert {orbits.aim(num_dims)[0] for num_dims in (1, 8, 40)} == {"half"}
    assert {orbits.aim(num_dims)[0] for num_dims in (50, 271)} == {"three quarters"}
    assert orbits.aim(8)[1] == orbits.acceptance(8)
    assert 0.6 < orbits.aim(50)[1] < orbits.acceptance(50, orbits.THREE_QUARTERS)
    assert orbits.aim(100_000) == ("three quarters", 0.6)


@pytest.mark.long
def test_a_short_warmup_ends_at_the_acceptance_asked_for(backend: Any) -> None:
    """NumPyro begins the step size anew at iteration 100, mass adaptation or not; that must not be seen."""
    stats = fitted(backend, target_accept=0.9)
    # Dual averaging ends above its target; a step size that began anew would be 1, at 0.77.
    assert 0.85 < np.mean(stats["acceptance_rate"]) < 0.97
    assert np.all(stats["step_size"] < orbits.WHOLE)
    assert np.all(stats["step_size"] == stats["step_size"][:, :1])


@pytest.mark.long
def test_no_step_size_is_left_that_makes_a_whole_orbit(backend: Any) -> None:
    """The target is one that leaves some of the chains there, and others not."""
    left, moved = (fitted(backend, target_accept=0.75, orbit=orbit, **FEW) for orbit in ("any", "half"))
    before, after = left["step_size"][:, 0], moved["step_size"][:, 0]
    whole = (orbits.WHOLE < before) & (before < orbits.HALF)
    assert np.any(whole)
    np.testing.assert_array_equal(after, np.where(whole, orbits.HALF, before))
    assert np.all(moved["n_steps"][whole].mean(axis=1) < 3.2)


@pytest.mark.long
def test_no_step_size_is_left_beyond_three_quarters_of_an_orbit(backend: Any) -> None:
    both = ("any", "three quarters")
    left, moved = (fitted(backend, target_accept=0.85, orbit=orbit, **FEW) for orbit in both)
    before, after = left["step_size"][:, 0], moved["step_size"][:, 0]
    assert np.any(before > orbits.THREE_QUARTERS)
    np.testing.assert_array_equal(after, np.minimum(before, orbits.THREE_QUARTERS))


@pytest.mark.long
def test_the_orbit_of_many_dimensions_pays(backend: Any) -> None:
    """Effective draws a leapfrog, against the usual target: 1.29 to 1.72 times over 20 seeds."""
    orbit, target_accept = orbits.aim(71)

    def ess_a_leapfrog(**changes: Any) -> float:
        draws, stats = sampled(backend, 71, **changes)
        return float(np.mean([ess(draws[..., i], method="bulk") for i in range(71)]) / stats["n_steps"].sum())

    assert ess_a_leapfrog(orbit=orbit, target_accept=target_accept) > 1.15 * ess_a_leapfrog(target_accept=0.8)


def test_acceptance_falls_with_the_step_and_the_dimensions() -> None:
    assert orbits.acceptance(8, 0.5) > orbits.acceptance(8, 1.0) > orbits.acceptance(16, 1.0)
    assert math.isclose(orbits.acceptance(8, 0.0), 1.0)
