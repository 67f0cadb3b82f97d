"""Versions that are known to conflict, to be wrong or to be slow; and which kernel runs."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ppl_parity.doctor.check import Check, Status

CHECKED = ("numpyro", "funsor", "jax", "jaxlib", "pyro-ppl", "torch", "arviz", "arviz-base", "arviz-stats")

# Package, versions, how bad, and why. A row goes when no supported version is in it any more.
KNOWN: tuple[tuple[str, str, Status, str], ...] = (
    (
        "numpyro",
        "<0.22",
        "warning",
        "does not validate by default, so outside a support your own scripts see a number",
    ),
    ("pyro-ppl", "<1.9", "problem", "does not run on a current torch"),
)

# jax issue 38806: float32 scatter-add on a GPU, the gradient of a gather.
SLOW_SCATTER = SpecifierSet(">=0.10.2,<=0.11.0")


def checks() -> Iterator[Check]:
    """Everything about what is installed in this Python."""
    versions = {name: version for name in CHECKED if (version := installed(name)) is not None}
    yield requirements(versions)
    yield known(versions)
    yield native()


def installed(name: str) -> str | None:
    """A distribution's version, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def requirements(versions: dict[str, str]) -> Check:
    """Whether each package has the versions that it asks for itself."""
    for name in versions:
        for text in metadata.requires(name) or ():
            wanted = Requirement(text)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            found = installed(wanted.name)
            if found is None or not wanted.specifier.contains(found, prereleases=True):
                return Check(
                    "versions",
                    "problem",
                    f"{name} {versions[name]} asks for {wanted.name}{wanted.specifier}; "
                    f"{'there is none' if found is None else f'{found} is installed'}.",
                )
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Check("versions", "ok", f"The packages fit each other: {named or 'neither backend is installed'}.")


def known(versions: dict[str, str]) -> Check:
    """Whether a version is one that is known for a fault."""
    for name, specifier, status, why in KNOWN:
        if name in versions and SpecifierSet(specifier).contains(versions[name], prereleases=True):
            return Check("known faults", status, f"{name} {versions[name]} {why}.")
    return Check("known faults", "ok", "No installed version is known for a fault that matters here.")


def native() -> Check:
    """Which program computes the fused mixture on the CPU."""
    if importlib.util.find_spec("ppl_parity.native") is None:
        return Check("kernel", "ok", "The fused mixture is an array program in each framework.")
    runs = str(importlib.import_module("ppl_parity.native").describe())
    status: Status = "ok" if runs.startswith("native") else "warning"
    return Check("kernel", status, f"The fused mixture on the CPU: {runs.rstrip('.')}.")
