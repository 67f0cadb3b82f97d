"""How the families of distributions that are made of others are named, alike in both backends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

TRANSFORM_PARAMETERS = ("loc", "scale", "scale_tril", "exponent")


def mixture_of(families: Iterable[str]) -> str:
    """The family of a mixture of these: ``Mixture of Normal and StudentT``."""
    return f"Mixture of {' and '.join(dict.fromkeys(families))}"


def transformed(base: str, transforms: Sequence[Any]) -> str:
    """The family of a base's values as they are transformed in turn: ``Normal under Affine, Exp``."""
    named = [_transform(transform) for transform in transforms]
    return f"{base} under {', '.join(named)}" if named else base


def _transform(transform: Any) -> str:
    name = type(transform).__name__.removesuffix("Transform")
    return f"Inverse of {_transform(transform._inv)}" if name == "_Inverse" else name


def of_transforms(transforms: Sequence[Any]) -> dict[str, Any]:
    """The numbers that transforms were made from, in both libraries' names: ``transform 0 scale``."""
    return {
        f"transform {i} {name}": value
        for i, transform in enumerate(transforms)
        for name in TRANSFORM_PARAMETERS
        if (value := getattr(transform, name, None)) is not None and not callable(value)
    }


def parts(family: str) -> list[str]:
    """What a family is made of: itself, the components of a mixture, and what is inflated with zeros."""
    return [name.removeprefix("ZeroInflated") for name in family.removeprefix("Mixture of ").split(" and ")]
