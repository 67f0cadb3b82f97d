"""How the families of distributions that are made of others are named, alike in both backends."""

from __future__ import annotations

from collections.abc import Iterable


def mixture_of(families: Iterable[str]) -> str:
    """The family of a mixture of these: ``Mixture of Normal and StudentT``."""
    return f"Mixture of {' and '.join(dict.fromkeys(families))}"


def parts(family: str) -> list[str]:
    """What a family is made of: itself, the components of a mixture, and what is inflated with zeros."""
    return [name.removeprefix("ZeroInflated") for name in family.removeprefix("Mixture of ").split(" and ")]
