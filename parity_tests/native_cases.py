"""Problems for the native kernel, the float64 reference's answers to them, and what equal means."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppl_parity import native
from ppl_parity.native import building
from ppl_parity.native.library import SWITCH
from ppl_parity.reference.density import likelihood_pass
from ppl_parity.spec import MixtureSpec

ROOT = Path(__file__).resolve().parent.parent


def _may_be_missing() -> bool:
    """Whether this machine need not have the kernel; where there is a compiler, sources that it refuses must fail."""
    if os.environ.get(SWITCH) == "0":
        return True
    try:
        building.compiler()
    except native.NoLibrary:
        return not native.available()
    return False


needs_kernel = pytest.mark.skipif(_may_be_missing(), reason=native.describe())


def problem(N: int, D: int, K: int, *, spread: float = 2.0, seed: int = 0) -> tuple[Any, ...]:
    """log theta, beta, x and noise scale of a mixture with its data far from the origin."""
    rng = np.random.default_rng([N, D, K, seed])
    noise_scale = 0.7
    beta = 20 + spread * rng.standard_normal((K, D))
    x = beta[rng.integers(K, size=N)] + noise_scale * rng.standard_normal((N, D))
    return np.log(rng.dirichlet(np.full(K, 2.0))), beta, x, noise_scale


def truth(log_theta: np.ndarray, beta: np.ndarray, x: np.ndarray, noise_scale: float) -> tuple[Any, ...]:
    """The float64 reference, on exactly these numbers."""
    spec = MixtureSpec(*beta.shape, noise_scale=noise_scale)
    return likelihood_pass(spec, log_theta, beta, x.astype(np.float64))


def close(got: Any, expected: Any, bound: float, largest: float | None = None) -> None:
    """Equal to ``bound``, relative to the largest entry, or to ``largest`` where sums cancel."""
    for a, b in zip(got, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)), largest or 0.0)
        np.testing.assert_allclose(a, b, rtol=0, atol=bound * scale)


def double_bound(x: np.ndarray) -> tuple[float, float]:
    """1e-10 of the largest entry; gradients are sums over N rows that may cancel to any size."""
    return 1e-10, float(np.abs(x - x.mean(axis=0)).sum(axis=0).max(initial=0.0)) if len(x) else 0.0


def single_bound(x: np.ndarray) -> tuple[float, float]:
    """2e-6: an error of 1e-7 in each responsibility, logits of up to some hundreds rounded to 24 bits."""
    return 2e-6, double_bound(x)[1] * 4


def bound_of(x: np.ndarray) -> tuple[float, float]:
    return double_bound(x) if x.dtype == np.float64 else single_bound(x)


def run_python(code: str, **environment: str) -> str:
    """Standard output of a fresh interpreter that sees this checkout."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()
