"""What a fit of a user's own model leaves out or refuses, alike in both backends."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries, numbers
from ppl_parity.errors import InputError
from ppl_parity.spec import SamplerSettings

Y = np.array([-2.5, -2.0, -1.8, 2.1, 2.5, 1.9, -2.2, 2.2])
SHORT = SamplerSettings(num_draws=20, num_warmup=20, num_chains=1, seed=3)
BOTH = [
    pytest.param("pyro", marks=pytest.mark.pyro),
    "numpyro",
]


def _mixture(ppl: str) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        weights = library.sample("w", dist.Dirichlet(numbers(ppl).ones(3)))
        library.deterministic("largest", weights.max())
        with library.plate("N", len(y)):
            z = library.sample("z", dist.Categorical(weights), infer={"enumerate": "parallel"})
            mean = library.deterministic("mean", 2.0 * z - 2.0)
            library.sample("y", dist.Normal(mean, 1.0), obs=y)

    return model


@pytest.mark.parametrize("ppl", BOTH)
def test_what_moves_with_a_site_that_is_summed_out_is_left_out_and_told(ppl: str) -> None:
    backend = import_module(f"{ppl}_impl")
    tree = backend.fit(_mixture(ppl), {"y": Y}, SHORT)
    assert set(tree["posterior"].data_vars) == {"w", "largest"}
    np.testing.assert_allclose(tree["posterior"]["largest"], tree["posterior"]["w"].max(axis=-1))
    assert json.loads(tree.attrs["left_out"]) == ["mean: it moves with a site that is summed out"]


@pytest.mark.parametrize("ppl", BOTH)
def test_a_subsampled_plate_is_not_fitted(ppl: str) -> None:
    def model(y):
        library, dist = libraries(ppl)
        mu = library.sample("mu", dist.Normal(0.0, 1.0))
        with library.plate("rows", len(y), subsample_size=2) as rows:
            library.sample("y", dist.Normal(mu, 1.0), obs=y[rows])

    with pytest.raises(InputError, match="'rows' takes 2 of 8 at random"):
        import_module(f"{ppl}_impl").fit(model, {"y": Y}, SHORT)


def test_a_count_that_has_no_support_to_sum_over_moves_what_hangs_on_it() -> None:
    import numpyro
    import numpyro.distributions as dist

    from numpyro_impl import Program

    def model(y):
        rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
        count = numpyro.sample("count", dist.Poisson(rate))
        numpyro.deterministic("twice", 2 * count)
        numpyro.deterministic("root", rate**0.5)
        numpyro.sample("y", dist.Normal(count, 1.0), obs=y)

    found: dict[str, Any] = Program(model, {"y": np.array(2.0)}).constrain({"rate": np.array(0.0)})
    assert set(found) == {"rate", "root"}
