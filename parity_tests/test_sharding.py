"""Rows spread over devices of one process, and of two: the same potential and the same draws, to rounding."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numpyro_impl
from parity_tests.sharded_fit import POINT, SPEC, X, settings, starts
from ppl_parity.errors import InputError
from ppl_parity.spec import SamplerSettings

SECONDS = 240


def run(num_processes: int, devices: int, folder: Path) -> list[dict[str, np.ndarray]]:
    """What each process found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [folder / f"{i}.npz" for i in range(num_processes)]
    np.save(folder / "rows.npy", X)
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "parity_tests.sharded_fit"]
            + [str(word) for word in (num_processes, i, port, devices, file)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for i, file in enumerate(files)
    ]
    try:
        for process in started:
            error = process.communicate(timeout=SECONDS)[1]
            assert process.returncode == 0, error
    finally:
        for process in started:
            process.kill()
    return [dict(np.load(file)) for file in files]


@pytest.fixture(scope="module")
def alone() -> dict[str, np.ndarray]:
    """The same on one device."""
    model = numpyro_impl.mixture(SPEC, "fused")
    value, gradient = numpyro_impl.Program(model, {"x": X}).potential_and_gradient(POINT)
    groups, _ = numpyro_impl.sample_posterior(model, {"x": X}, settings(1), initial_values=starts())
    return {"value": value, **{f"grad_{k}": v for k, v in gradient.items()}, **groups["posterior"]}


@pytest.mark.long
@pytest.mark.parametrize(("num_processes", "devices"), [(1, 4), (2, 1)], ids=["4 devices", "2 processes"])
def test_rows_over_devices(alone, num_processes: int, devices: int, tmp_path: Path) -> None:
    results = run(num_processes, devices, tmp_path)
    for found in results:
        assert set(found) == set(alone)
        for name in ("value", "grad_theta", "grad_beta"):
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-11, err_msg=name)
        # Rounding grows along a trajectory; an error in a sum over rows would change the first draw by 1e-2.
        for name in ("theta", "beta"):
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-5, atol=1e-5, err_msg=name)
    for other in results[1:]:
        for name in alone:
            np.testing.assert_array_equal(other[name], results[0][name], err_msg=name)


def test_rows_cannot_be_spread_over_devices_that_are_not_here() -> None:
    with pytest.raises(InputError, match="over every device or none; got num_shards = 64"):
        numpyro_impl.Program(numpyro_impl.mixture(SPEC, "fused"), {"x": X}, num_shards=64)


def test_only_a_model_that_sums_rows_can_spread_them() -> None:
    with pytest.raises(InputError, match="only the mixture's fused formulation"):
        numpyro_impl.Program(numpyro_impl.mixture(SPEC, "marginal"), {"x": X}, num_shards=2)


@pytest.mark.pyro
def test_pyro_says_that_it_cannot() -> None:
    import pyro_impl

    with pytest.raises(InputError, match="pyro cannot spread"):
        pyro_impl.Program(pyro_impl.mixture(SPEC, "fused"), {"x": X}, num_shards=2)


def test_numbers_for_each_row_are_refused_before_sampling(backend) -> None:
    with pytest.raises(InputError, match="cannot be added where rows are spread"):
        backend.fit(
            backend.mixture(SPEC, "fused"), {"x": X}, SamplerSettings(num_shards=2), log_likelihood=True
        )
