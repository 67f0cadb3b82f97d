"""NumPyro's chains over several devices: any number of them, the same draws, and JAX's devices as they were."""

from __future__ import annotations

import pytest

pytest.importorskip("numpyro")

from parity_tests.native_cases import run_python

FIT = """
import jax, numpy as np
import numpyro, numpyro.distributions as dist
import numpyro_impl
from dataclasses import replace
from ppl_parity.spec import SamplerSettings

def model(y):
    m = numpyro.sample("m", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(m, 1.0), obs=y)

def draws(num_chains, method):
    settings = SamplerSettings(num_draws=20, num_warmup=30, num_chains=num_chains, init="uniform", chain_method=method)
    groups, told = numpyro_impl.sample_posterior(model, {"y": np.arange(3.0)}, settings)
    return groups["posterior"]["m"], told["chain_method_reason"], groups["sample_stats"]["step_size"]

devices = jax.local_devices(backend="cpu")
assert len(devices) == 4
"""
FOUR = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}


@pytest.mark.long
def test_any_number_of_chains_is_spread() -> None:
    # A chain has the same draws however many there are, so that one run of seven, one by one, is compiled for all.
    code = """
one_by_one, _, _ = draws(7, "sequential")
for num_chains, used in ((3, 3), (4, 4), (5, 3), (7, 4)):
    spread, reason, steps = draws(num_chains, "auto")
    assert spread.shape == (num_chains, 20) and len(steps) == num_chains
    assert reason == f"{used} JAX devices", reason
    assert len({chain.tobytes() for chain in spread}) == num_chains
    np.testing.assert_array_equal(spread, one_by_one[:num_chains])
    assert len(jax.local_devices(backend="cpu")) == 4, num_chains
"""
    run_python(FIT + code, **FOUR)
