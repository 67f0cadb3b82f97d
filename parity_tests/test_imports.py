"""Import boundaries, each in a fresh process: what loads which framework."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRAMEWORKS = ("torch", "pyro", "jax", "numpyro", "funsor")


def loaded_by(statement: str) -> set[str]:
    """The frameworks in ``sys.modules`` after ``statement`` in a fresh interpreter."""
    code = f"{statement}\nimport sys; print(*[m for m in {FRAMEWORKS} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


EVERY_SHARED_MODULE = """
import importlib, pkgutil, ppl_parity
for module in pkgutil.walk_packages(ppl_parity.__path__, "ppl_parity."):
    importlib.import_module(module.name)
"""


def test_the_shared_package_loads_no_framework() -> None:
    assert loaded_by(EVERY_SHARED_MODULE) == set()


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
