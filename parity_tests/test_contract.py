"""Both packages hold to ``contract.py``: the same files, names, parameter kinds and defaults."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from parity_tests.conftest import load
from ppl_parity.backend import contract

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = [
    name for name in vars(contract.Backend) if not name.startswith("_") and name not in ("NAME", "Program")
]
METHODS = [name for name in vars(contract.Program) if not name.startswith("_")]


def shape(function: Any) -> list[tuple[str, Any, Any]]:
    """Names, kinds and defaults of a function's parameters."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_the_contract_is_not_empty() -> None:
    assert {"mixture", "fit", "sample_posterior", "render"} <= set(FUNCTIONS)
    assert {"log_density", "potential_and_gradient", "leapfrog"} <= set(METHODS)


def test_a_changed_default_is_seen() -> None:
    def render(model: Any, data: Any, path: Any = "graph.gv") -> None: ...

    assert shape(render) != shape(contract.Backend.render)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_contract_s_signature(backend: Any, name: str) -> None:
    assert shape(getattr(backend, name)) == shape(getattr(contract.Backend, name))


@pytest.mark.parametrize("name", ["__init__", *METHODS])
def test_methods_have_the_contract_s_signature(backend: Any, name: str) -> None:
    assert shape(getattr(backend.Program, name)) == shape(getattr(contract.Program, name))


def test_help_shows_what_the_contract_says(backend: Any) -> None:
    for name in FUNCTIONS:
        assert inspect.getdoc(getattr(backend, name)) == inspect.getdoc(getattr(contract.Backend, name))
    for name in METHODS:
        assert inspect.getdoc(getattr(backend.Program, name)) == inspect.getdoc(
            getattr(contract.Program, name)
        )
    assert "device:" in inspect.getdoc(backend.Program)


def test_the_packages_export_the_contract_and_nothing_else(backend: Any) -> None:
    assert set(backend.__all__) == {"NAME", "Program", *FUNCTIONS}


def test_both_packages_have_the_same_files() -> None:
    files = [
        {path.relative_to(ROOT / package).as_posix() for path in (ROOT / package).rglob("*.py")}
        for package in ("numpyro_impl", "pyro_impl")
    ]
    assert files[0] - {"randomness.py"} == files[1]  # torch's random bits are no program's business


# JAX compiles what torch runs as it is written, and for a platform.
ONLY_NUMPYRO = {"assignments": ["compile_ahead"], "kernels": ["by_platform"]}


@pytest.mark.pyro
@pytest.mark.parametrize(
    "module",
    ["runtime", "mixture", "assignments", "formulations", "kernels", "sites", "discrete", "nuts", "timing"],
)
def test_modules_of_both_packages_have_the_same_public_names(module: str) -> None:
    import importlib

    names = []
    for package in ("numpyro_impl", "pyro_impl"):
        loaded = importlib.import_module(f"{package}.{module}")
        defined = {
            name: value
            for name, value in vars(loaded).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == loaded.__name__
        }
        for name in ONLY_NUMPYRO.get(module, ()) if package == "numpyro_impl" else ():
            del defined[name]
        names.append({n: shape(v) if inspect.isfunction(v) else "class" for n, v in defined.items()})
    assert names[0] == names[1]


@pytest.mark.pyro
def test_the_programs_say_which_backend_they_are() -> None:
    assert [load(name).NAME for name in ("numpyro", "pyro")] == ["numpyro", "pyro"]
