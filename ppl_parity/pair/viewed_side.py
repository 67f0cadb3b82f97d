"""A side, some of whose sites are presented with other axes: see ``views``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from ppl_parity.backend.contract import Arrays, Groups, Program, Site, Values
from ppl_parity.pair.stacked_side import StackedProgram, StackedSide
from ppl_parity.pair.views import Views, own, shown, shown_site
from ppl_parity.process.sides import Side


class ViewedProgram(StackedProgram):
    """See ``contract.Program``."""

    def __init__(self, program: Program, views: Views) -> None:
        super().__init__(program, ())
        self._views = views
        described = {site.name: site for site in program.sites()}
        self._batch = {name: described[name].batch_shape for name in views if name in described}

    def _split(self, values: Values, axis: int = 0) -> dict[str, Any]:
        return own(values, self._views, axis)

    def _merge(self, values: Values, axis: int = 0) -> Arrays:
        return shown(values, self._views, axis)

    def _merge_terms(self, values: Values, axis: int = 0) -> Arrays:
        """Of log probs, the axes of the batch alone; a sum where these are mixed with an event's."""
        found = dict(values)
        for name, batch in self._batch.items():
            view = self._views[name]
            if name not in found or np.shape(found[name])[axis:] != batch:
                continue
            of_batch = view.of_batch(len(batch))
            axes = tuple(range(axis, axis + len(batch)))
            found[name] = (
                np.sum(found[name], axis=axes) if of_batch is None else of_batch.shown(found[name], axis)
            )
        return found

    def sites(self, values: Values | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        """The program's own, with other axes."""
        return tuple(shown_site(site, self._views) for site in super().sites(values, seed=seed))

    def params(self, *, seed: int | None = None) -> tuple[Site, ...]:
        """The program's own, with other axes."""
        return tuple(shown_site(param, self._views) for param in super().params(seed=seed))

    def collected(self) -> dict[str, bool]:
        """The program's own."""
        return self._program.collected() if isinstance(self._program, StackedProgram) else {}

    def site_log_probs(self, values: Values) -> Arrays:
        """Elementwise."""
        return self._merge_terms(self._program.site_log_probs(self._split(values)))

    def log_abs_det_jacobian(self, unconstrained: Values) -> Arrays:
        """The program's own: a number of each site."""
        return self._program.log_abs_det_jacobian(self._split(unconstrained))

    def log_likelihood(self, draws: Values) -> Arrays:
        """Elementwise."""
        return self._merge_terms(self._program.log_likelihood(self._split(draws, 1)), 1)

    def _kept(self, names: Any) -> dict[str, Any]:
        return {"kept": tuple(names)} if names else {}


class ViewedSide(StackedSide):
    """See ``sides.Side``: of anything but programs and draws it is the side itself.

    Args:
        named: the views, under Pyro's names.
    """

    def __init__(self, side: Any, views: Views, named: Views) -> None:
        super().__init__(side, ())
        self._views, self._named = views, named

    def another(self) -> Side:
        """One more process of the same kind, whose sites are presented likewise."""
        return cast(Side, ViewedSide(self._side.another(), self._views, self._named))

    def program(self, model: Any, data: Mapping[str, Any], **options: Any) -> Program:
        """A program of the side, with other axes."""
        return cast(Program, ViewedProgram(self._side.program(model, data, **options), self._views))

    def sample_posterior(
        self, *args: Any, initial_values: Values | None = None, **options: Any
    ) -> tuple[Groups, dict[str, Any]]:
        """NUTS on the side's own sites."""
        starts = None if initial_values is None else own(initial_values, self._views, 1)
        groups, attributes = self._side.sample_posterior(*args, initial_values=starts, **options)
        return groups | {"posterior": shown(groups["posterior"], self._views, 2)}, attributes

    def _merge(self, values: Mapping[str, np.ndarray]) -> Arrays:
        return shown(values, self._named)
