"""Prove that a NumPyro port is the same model as its Pyro original; see the README.

Importing this package loads neither torch nor jax: each backend works in a process of its own. What it offers is
loaded when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppl_parity.checking import Unresolved, assert_same_model, check, check_file
    from ppl_parity.data import load_data
    from ppl_parity.draws.posterior import load, save
    from ppl_parity.errors import InputError
    from ppl_parity.findings import Finding, Report
    from ppl_parity.fitting.diagnosis import diagnose
    from ppl_parity.fitting.fits import fit_mixture
    from ppl_parity.ladder.context import CheckSettings
    from ppl_parity.process.sides import Side, SideError
    from ppl_parity.spec import MixtureSpec, SamplerSettings
    from ppl_parity.statistics.labels import relabelled_posterior

_HOMES = {
    "CheckSettings": "ladder.context",
    "Finding": "findings",
    "InputError": "errors",
    "MixtureSpec": "spec",
    "Report": "findings",
    "SamplerSettings": "spec",
    "Side": "process.sides",
    "SideError": "process.sides",
    "Unresolved": "checking",
    "assert_same_model": "checking",
    "check": "checking",
    "check_file": "checking",
    "diagnose": "fitting.diagnosis",
    "fit_mixture": "fitting.fits",
    "load": "draws.posterior",
    "load_data": "data",
    "relabelled_posterior": "statistics.labels",
    "save": "draws.posterior",
}

__all__ = [
    "CheckSettings",
    "Finding",
    "InputError",
    "MixtureSpec",
    "Report",
    "SamplerSettings",
    "Side",
    "SideError",
    "Unresolved",
    "__version__",
    "assert_same_model",
    "check",
    "check_file",
    "diagnose",
    "fit_mixture",
    "load",
    "load_data",
    "relabelled_posterior",
    "save",
]

__version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("ppl-parity")
        except metadata.PackageNotFoundError:  # only on the path
            return "0+unknown"
    if name in _HOMES:
        return getattr(importlib.import_module(f"ppl_parity.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
