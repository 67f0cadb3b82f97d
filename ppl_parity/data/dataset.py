"""A data set as the rest of the package sees it: the matrix, where it came from, what was done to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ppl_parity.data.checks import as_matrix, check_columns, check_finite
from ppl_parity.errors import InputError, nearest
from ppl_parity.spec import MixtureSpec


@dataclass(frozen=True, eq=False)
class Dataset:
    """N observations of D named quantities, validated and read-only.

    Args:
        x: (N, D), finite; stored as a float64 C-contiguous read-only array. A writable array is copied, so
            that nobody can change the data behind the fingerprint; a read-only one is taken as it is.
        columns: D names.
        name: a short name, for reports.
        source: one sentence that says where the data came from.
        transform: None for data in their own units; else the record that ``standardize`` returned.
        spec_hints: keyword arguments for MixtureSpec that suit these data; empty for a user's own data,
            unless they are samples of the mixture.
        truth: theta (K,) and beta (K, D) that samples of the mixture were drawn with; else empty.

    Raises:
        InputError: ``x`` or ``columns`` break one of these rules.
    """

    x: np.ndarray
    columns: tuple[str, ...]
    name: str
    source: str
    transform: dict[str, Any] | None = None
    spec_hints: Mapping[str, Any] = field(default_factory=dict)
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        writable = not isinstance(self.x, np.ndarray) or self.x.flags.writeable
        x = as_matrix(self.x, self.name, copy=writable)
        columns = check_columns(self.columns, x.shape[1], self.name)
        check_finite(x, columns, self.name)
        x.setflags(write=False)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "columns", columns)

    @property
    def num_data(self) -> int:
        """N, the number of rows."""
        return self.x.shape[0]

    @property
    def dim(self) -> int:
        """D, the number of columns."""
        return self.x.shape[1]

    def spec(self, **given: Any) -> MixtureSpec:
        """A mixture for these data: ``spec_hints``, overridden by ``given``, and D from ``x``.

        Args:
            given: any argument of MixtureSpec but ``dim``; ``num_components`` is needed when the data set
                has no hint for it.

        Raises:
            InputError: there is no ``num_components``, or a value that MixtureSpec refuses.
        """
        allowed = [one.name for one in fields(MixtureSpec) if one.name != "dim"]
        for name in given:
            if name not in allowed:
                raise InputError(
                    f"spec takes {', '.join(allowed)}; got {name!r}.{nearest(f'num_{name}', allowed)}"
                )
        arguments = {**self.spec_hints, **given}
        if "num_components" not in arguments:
            raise InputError(
                "num_components (K) must be given for data with no default of their own; got none for"
                f" {self.name}."
            )
        return MixtureSpec(dim=self.dim, **arguments)

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the shape and the values as used (after any standardisation).

        Both are hashed as little-endian 64-bit numbers, so the same values give the same fingerprint on
        every machine.
        """
        digest = hashlib.sha256(np.asarray(self.x.shape, dtype="<i8").tobytes())
        digest.update(self.x.astype("<f8", copy=False).data)
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """What a result records about its data, ready for JSON: everything here but the values."""
        return {
            "name": self.name,
            "source": self.source,
            "num_data": self.num_data,
            "dim": self.dim,
            "columns": list(self.columns),
            "transform": self.transform,
            "fingerprint": self.fingerprint(),
        }
