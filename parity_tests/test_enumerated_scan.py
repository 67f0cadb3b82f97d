"""An enumerated scan of NumPyro's, held to the sum over every path of its states."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

pytest.importorskip("numpyro")
pytest.importorskip("funsor")

from numpyro_impl import Program

Y = np.array([0.1, -0.4, 1.2, 0.7])
VALUES = {"level": np.array([-1.0, 1.0])}


def chain(history: int) -> Callable:
    def model(y):
        import jax.numpy as jnp
        import numpyro
        import numpyro.distributions as dist
        from numpyro.contrib.control_flow import scan

        level = numpyro.sample("level", dist.Normal(jnp.zeros(2), 1.0).to_event(1))

        def step(before, seen):
            chance = jnp.where(before[-1] == 1, 0.8, 0.3) + (0.1 * before[0] if history == 2 else 0.0)
            z = numpyro.sample("z", dist.Bernoulli(chance), infer={"enumerate": "parallel"})
            numpyro.sample("y", dist.Normal(level[z], 1.0), obs=seen)
            return (*before[1:], z), None

        scan(step, (0,) * history, y, history=history)

    return model


@pytest.mark.parametrize("history", [1, 2])
def test_density_and_marginals_are_sums_over_all_paths(history: int) -> None:
    program = Program(chain(history), {"y": Y})
    paths = np.array(list(product([0, 1], repeat=len(Y))))
    joint = np.array([program.log_joint({**VALUES, "z": path}) for path in paths])
    total = np.logaddexp.reduce(joint)
    assert program.log_density(VALUES) == pytest.approx(total, abs=1e-12)
    ones = np.exp(joint - total) @ paths
    marginals = program.discrete_marginals(VALUES)["z"]
    np.testing.assert_allclose(marginals, np.stack([1 - ones, ones], axis=-1), atol=1e-12)
