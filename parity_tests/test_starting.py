"""Where chains begin: away from a mode without mass, and as dispersed as ever where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ppl_parity.contract import Arrays
from ppl_parity.ladder.starting import CANDIDATES, _dispersed

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
    return np.array([point["u"] for point in _dispersed(program, [{"u": u} for u in drawn], NUM_CHAINS)])


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
