"""Import boundaries, each in a fresh process: what loads which framework."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRAMEWORKS = ("torch", "pyro", "jax", "numpyro", "funsor")
SLOW = ("arviz_base", "arviz_stats", "scipy.stats", "scipy.signal", "matplotlib")


def loaded_by(statement: str, modules: tuple[str, ...] = FRAMEWORKS) -> set[str]:
    """Those of ``modules`` that are loaded after ``statement`` in a fresh interpreter."""
    code = f"{statement}\nimport sys; print(*[m for m in {modules} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


EVERY_SHARED_MODULE = """
import importlib, pkgutil, ppl_parity
for module in pkgutil.walk_packages(ppl_parity.__path__, "ppl_parity."):
    importlib.import_module(module.name)
"""


def test_the_shared_package_loads_no_framework() -> None:
    assert loaded_by(EVERY_SHARED_MODULE) == set()


def test_the_package_says_what_it_offers() -> None:
    import ppl_parity

    assert set(ppl_parity.__all__) <= set(dir(ppl_parity))
    for name in ppl_parity.__all__:
        assert getattr(ppl_parity, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'chek'"):
        ppl_parity.chek  # noqa: B018
    assert loaded_by("import ppl_parity", (*FRAMEWORKS, *SLOW, "numpy")) == set()


def test_the_check_can_fail() -> None:
    assert "numpyro" in loaded_by("import numpyro")


def test_numpyro_impl_does_not_load_torch() -> None:
    assert not {"torch", "pyro"} & loaded_by("import numpyro_impl")


@pytest.mark.pyro
def test_pyro_impl_does_not_load_jax() -> None:
    assert not {"jax", "numpyro"} & loaded_by("import pyro_impl")


def test_importing_numpyro_impl_changes_no_global_of_jax() -> None:
    code = """
import jax, numpyro
before = (jax.config.jax_enable_x64, numpyro.distributions.distribution.Distribution._validate_args)
import numpyro_impl
assert before == (jax.config.jax_enable_x64, numpyro.distributions.distribution.Distribution._validate_args)
"""
    assert loaded_by(code)


@pytest.mark.pyro
def test_importing_pyro_impl_changes_no_global_of_torch() -> None:
    code = """
import torch, pyro
before = (torch.get_default_dtype(), torch.distributions.Distribution._validate_args)
import pyro_impl
assert before == (torch.get_default_dtype(), torch.distributions.Distribution._validate_args)
"""
    assert loaded_by(code)


FOR_A_FIT = """
import importlib
from ppl_parity.cli.ahead import FOR_A_FIT
for name in FOR_A_FIT:
    importlib.import_module(name)
"""


def test_a_fit_waits_for_no_plots_and_no_statistics() -> None:
    """ArviZ with SciPy's statistics would be 0.7 s of a command that takes less than twice that."""
    assert loaded_by(FOR_A_FIT, SLOW) == set()
