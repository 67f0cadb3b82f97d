"""Where chains begin: away from a mode without mass, and as dispersed as ever where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity_tests.fakes import context, sites
from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.samples.starting import CANDIDATES, _dispersed, shared_starts
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point

NUM_CHAINS = 4


class Hills:
    """A program whose density is two normal hills, or a funnel."""

    def __init__(self, gap: float, *, funnel: bool = False) -> None:
        self.gap, self.funnel = gap, funnel

    def initial(self, strategy: str, *, num_chains: int, seed: int) -> Arrays:
        rng = np.random.default_rng(seed)
        self.drawn = rng.uniform(-2, 2, size=num_chains)
        return {"u": self.drawn}

    def potential_and_gradient(self, unconstrained: Arrays) -> tuple[float, Arrays]:
        u = float(unconstrained["u"])
        if self.funnel:
            return u, {"u": np.array(1.0)}
        left = u < 0
        centre, floor = (-1.0, self.gap) if left else (1.0, 0.0)
        return 0.5 * (u - centre) ** 2 * 16 + floor, {"u": np.array(16 * (u - centre))}


def starts(program: Any) -> np.ndarray:
    drawn = program.initial("uniform", num_chains=CANDIDATES * NUM_CHAINS, seed=1)["u"]
    return np.array([point["u"] for point in _dispersed(program, [{"u": u} for u in drawn], NUM_CHAINS)[0]])


class Cut(Hills):
    """The hills, of which no uniform point is one, and whose first point has no density."""

    def initial(self, strategy: str, *, num_chains: int, seed: int) -> Arrays:
        raise InputError("no starting point")

    def unconstrain(self, values: Arrays) -> Arrays:
        return {"u": np.log(values["w"])}

    def constrain(self, unconstrained: Arrays) -> Arrays:
        return {"w": np.exp(unconstrained["u"])}

    def potential_and_gradient(self, unconstrained: Arrays) -> tuple[float, Arrays]:
        value, gradient = super().potential_and_gradient(unconstrained)
        return (np.inf if unconstrained["u"] > 1.5 else value), gradient


def test_chains_start_at_shared_points_where_no_other_is_found() -> None:
    climb = context()
    described = {"w": sites()["w"]}
    climb.sites = dict.fromkeys(SIDES, described)
    climb.programs = dict.fromkeys(SIDES, Cut(0.0))  # type: ignore[arg-type]
    values = np.exp([2.0, 0.9, 1.1, -0.8, -1.3])
    climb.points = [Point(f"prior {i}", {"w": np.asarray(w)}) for i, w in enumerate(values)]
    found = shared_starts(climb, NUM_CHAINS)
    assert found is not None
    np.testing.assert_allclose(found.values["pyro"]["w"], values[1:])
    climb.points = climb.points[:1]
    assert shared_starts(climb, NUM_CHAINS) is None


def test_a_file_is_not_asked_for_starts() -> None:
    class File(Cut):
        def potential_and_gradient(self, unconstrained: Arrays) -> tuple[float, Arrays]:
            raise AssertionError("a file has a potential at its own points only")

    climb = context()
    climb.sites = {side: {"w": sites()["w"]} for side in SIDES}
    climb.programs = dict.fromkeys(SIDES, File(0.0))  # type: ignore[arg-type]
    climb.points = [Point("a prior draw", {"w": np.array(1.0)})]
    climb.frozen = "numpyro"
    assert shared_starts(climb, NUM_CHAINS) is None


def test_a_mode_without_mass_is_left_out() -> None:
    program = Hills(15.0)
    found = starts(program)
    assert len(found) == NUM_CHAINS
    assert np.any(program.drawn[:NUM_CHAINS] < 0)
    assert np.all(found > 0)
    assert np.all(np.isin(found, program.drawn))


@pytest.mark.parametrize("program", [Hills(0.0), Hills(5.0), Hills(0.0, funnel=True)])
def test_modes_that_count_and_densities_without_bound_change_nothing(program: Hills) -> None:
    found = starts(program)
    np.testing.assert_array_equal(found, program.drawn[:NUM_CHAINS])
