"""Small models that several test files write in either framework, and what a report says of a rung."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ppl_parity.findings import Finding, Report

Y = {"y": np.array(0.7), "w": np.array(1.0)}


def libraries(ppl: str) -> tuple[Any, Any]:
    return importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")


def numbers(ppl: str) -> Any:
    """The arrays of a framework: torch, or jax.numpy."""
    return importlib.import_module({"pyro": "torch", "numpyro": "jax.numpy"}[ppl])


def told(report: Report, rung: str) -> list[Finding]:
    return [finding for result in report.rungs if result.name == rung for finding in result.findings]


def two_outcomes(ppl: str, *, latent: str | None = "b", how: str = "w") -> Callable:
    """y given a, and, unless ``latent`` is None, w given another latent site: observed under ``how``, or a factor."""

    def model(y, w):
        library, dist = libraries(ppl)
        a = library.sample("a", dist.Normal(0.0, 1.0))
        library.sample("y", dist.Normal(a, 1.0), obs=y)
        if latent is None:
            return
        b = library.sample(latent, dist.Normal(0.0, 1.0))
        if how == "factor":
            library.factor("w", dist.Normal(2 * b, 3.0).log_prob(w))
        else:
            library.sample(how, dist.Normal(b, 5.0 if how != "w" else 1.0), obs=w)

    return model
