"""A pair of models: what a user hands over to be compared, from a file, a module, or two callables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl_parity.process.references import Reference

SIDES: tuple[str, str] = ("pyro", "numpyro")


@dataclass(frozen=True)
class Pair:
    """Two models that are meant to be the same, and the data of each.

    Attributes:
        name: for reports.
        models: side -> model, for ``pyro`` and ``numpyro``.
        data: side -> keyword arguments of its model; usually the same ones.
        rename: pyro's site name -> numpyro's, where they differ; a ``*`` on one side stands for the sites of a loop
            that are one site of the other (``stacking``), on both for the same text; ``.T`` after a name says that its
            last two axes are exchanged (``views``).
        max_plate_nesting: None lets each framework find it.
        points: more parameter values to compare at: name -> site (pyro's names) -> value, constrained.
        known_differences: ``rung`` or ``rung/site`` -> the reason; reported, not failed, and reported when it
            no longer applies.
        exchangeable: sites whose leading axis is a set of interchangeable components, such as
            ``("theta", "beta")`` of the mixture; summaries of these are relabelled.
        guides: side -> the guide that variational inference fits to its model, called with the same data; empty where
            there are none.
    """

    name: str
    models: Mapping[str, Reference]
    data: Mapping[str, Mapping[str, Any]]
    rename: Mapping[str, str] = field(default_factory=dict)
    max_plate_nesting: int | None = None
    points: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    known_differences: Mapping[str, str] = field(default_factory=dict)
    exchangeable: tuple[str, ...] = ()
    guides: Mapping[str, Reference] = field(default_factory=dict)

    def to_side(self, side: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values under Pyro's names, under ``side``'s."""
        if side == "pyro":
            return dict(values)
        return {self.rename.get(name, name): value for name, value in values.items()}

    def from_side(self, side: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values under ``side``'s names, under Pyro's."""
        if side == "pyro":
            return dict(values)
        back = {other: name for name, other in self.rename.items()}
        return {back.get(name, name): value for name, value in values.items()}
