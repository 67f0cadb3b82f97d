"""A side that computes what the other draws, presented as if it drew it: its densities after a change of variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Site, Values
from ppl_parity.errors import InputError
from ppl_parity.ladder.changes.implied import Place, implied
from ppl_parity.ladder.changes.jacobians import Computed, Jacobian, jacobian


def reduced(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum over all axes after the first ones, which are ``shape``."""
    value = np.asarray(value)
    return np.sum(value, axis=tuple(range(len(shape), value.ndim)))


class SummedProgram:
    """The side that draws, whose log probs of each group are one array, in the group's rows.

    Args:
        program: of that side.
        rows: group -> the axes that its log probs keep.
    """

    def __init__(self, program: Program, rows: Sequence[tuple[Computed, tuple[int, ...]]]) -> None:
        self._program, self._rows = program, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)

    def site_log_probs(self, values: Values) -> Arrays:
        """Elementwise, but for the groups."""
        found = self._program.site_log_probs(values)
        for group, rows in self._rows:
            first, *others = group.of
            found[first] = reduced(found[first], rows) + sum(np.sum(found.pop(name)) for name in others)
        return found


class ChangedProgram:
    """The side that computes u = f(z) of z ~ q: log p(u) = log q(z) - log |det du/dz|, at values of z.

    Its other methods are those of the program itself.

    Args:
        program: of that side.
        rows: group -> the axes that its log probs keep.
    """

    def __init__(self, program: Program, rows: Sequence[tuple[Computed, tuple[int, ...]]]) -> None:
        self._program, self._rows = program, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)

    def site_log_probs(self, values: Values) -> Arrays:
        """Elementwise; a group's under its first computed site, where its first drawn one stood."""
        own = self._program.site_log_probs(values)
        computed = computed_values(self._program, values)
        firsts = {group.by[0]: (group, rows) for group, rows in self._rows}
        dropped = {name for group, _ in self._rows for name in group.by}
        found: Arrays = {}
        for name, log_prob in own.items():
            if name in firsts:
                group, rows = firsts[name]
                drawn = reduced(log_prob, rows) + sum(np.sum(own[other]) for other in group.by[1:])
                found[group.of[0]] = drawn - reduced(
                    self._jacobian(values, computed, group).log_abs_det(), rows
                )
            elif name not in dropped:
                found[name] = log_prob
        return found

    def log_density(self, values: Values) -> float:
        """With discrete sites summed out, on none of which the computed sites hang."""
        computed = computed_values(self._program, values)
        jacobians = (self._jacobian(values, computed, group) for group, _ in self._rows)
        return self._program.log_density(values) - float(sum(np.sum(j.log_abs_det()) for j in jacobians))

    def sites(self, values: Values | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        """The program's own; at given values a computed site has the distribution that it has by the map, if known."""
        described = self._program.sites(values, seed=seed) if seed else self._program.sites(values)
        if values is None:
            return described
        known = {group.of[0]: self._implied(values, described, group) for group, _ in self._rows}
        return tuple(
            known.get(site.name) or site for site in described if known.get(site.name, site) is not None
        )

    def _jacobian(self, values: Values, computed: Arrays, group: Computed) -> Jacobian:
        found = jacobian(self._program, dict(values), computed, group)
        if found is None:
            raise InputError(
                f"The sites {', '.join(group.of)} have no density here: their derivative is singular."
            )
        return found

    def _implied(self, values: Values, described: Sequence[Site], group: Computed) -> Site | None:
        """The first computed site as a distribution, where it is alone and its map keeps a family."""
        if len(group.of) != 1 or len(group.by) != 1:
            return None
        known = {site.name: site for site in described}
        drawn = group.by[0]
        elsewhere = {**values, drawn: 0.5 * np.asarray(values[drawn]) + 0.25}
        try:
            places = [self._place(given, group) for given in (values, elsewhere)]
        except InputError:
            return None
        return implied(known[group.of[0]], known[drawn], group, *places)

    def _place(self, values: Values, group: Computed) -> Place:
        computed = computed_values(self._program, values)
        found = self._jacobian(values, computed, group)
        return Place(np.asarray(values[group.by[0]], dtype=float), computed[group.of[0]], found)


def computed_values(program: Program, values: Values) -> Arrays:
    """What the model computes at its deterministic sites, at these values."""
    described = program.sites(values)
    return {
        s.name: np.asarray(s.value) for s in described if s.kind == "deterministic" and s.value is not None
    }
