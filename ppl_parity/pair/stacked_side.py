"""A side, some of whose sites are presented as one: what it is asked is split, what it answers is put together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ppl_parity.backend.contract import Arrays, Groups, Program, Site, Trajectory, Values
from ppl_parity.pair.pairs import Pair
from ppl_parity.pair.points import Point, Walk
from ppl_parity.pair.stacking import (
    Stack,
    members,
    merge,
    merge_sites,
    merge_sums,
    merge_terms,
    presented,
    split,
)
from ppl_parity.process.sides import Side


class StackedProgram:
    """See ``contract.Program``; the program's own sites are ``members`` of the stacks."""

    def __init__(self, program: Program, stacks: Sequence[Stack]) -> None:
        self._program, self._stacks = program, stacks

    def _split(self, values: Values, axis: int = 0) -> dict[str, Any]:
        return split(values, self._stacks, axis)

    def _merge(self, values: Values, axis: int = 0) -> Arrays:
        return merge(values, self._stacks, axis)

    def own(self, values: Values) -> dict[str, Any]:
        """Values of the sites that are presented, as the side's own sites have them."""
        split = self._split(values)
        return self._program.own(split) if isinstance(self._program, StackedProgram) else split

    def sites(self, values: Values | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        """The members' descriptions, put together."""
        own = None if values is None else self._split(values)
        asked = {"seed": seed} if seed else {}
        return merge_sites(self._program.sites(own, **asked), self._stacks)

    def collected(self) -> dict[str, bool]:
        """Stack -> whether the deterministic site that has its name is its steps put together, where there is one."""
        described = {site.name: site for site in self._program.sites()}
        found = {}
        for site in merge_sites(described.values(), self._stacks):
            own = described.get(site.name)
            if own is not None and own.kind == "deterministic" and site.kind != "deterministic":
                steps, whole = np.asarray(site.value), np.asarray(own.value)
                found[site.name] = steps.shape == whole.shape and np.allclose(steps, whole, equal_nan=True)
        return found

    def of_discrete(self) -> tuple[str, ...]:
        """The program's own, as they are presented."""
        return tuple(sorted({presented(name, self._stacks) for name in self._program.of_discrete()}))

    def foreign_statements(self) -> tuple[str, ...]:
        """The program's own."""
        return self._program.foreign_statements()

    def params(self, *, seed: int | None = None) -> tuple[Site, ...]:
        """The program's own."""
        return self._program.params() if seed is None else self._program.params(seed=seed)

    def drawn_anew(self) -> Arrays:
        """The program's own."""
        return self._program.drawn_anew()

    def site_log_probs(self, values: Values) -> Arrays:
        """Elementwise, with the steps as the leading axis."""
        return merge_terms(self._program.site_log_probs(self._split(values)), self._stacks)

    def log_joint(self, values: Values) -> float:
        """The program's own."""
        return self._program.log_joint(self._split(values))

    def log_density(self, values: Values) -> float:
        """The program's own."""
        return self._program.log_density(self._split(values))

    def discrete_marginals(self, values: Values) -> Arrays:
        """With the steps as the leading axis."""
        return self._merge(self._program.discrete_marginals(self._split(values)))

    def unconstrain(self, values: Values) -> Arrays:
        """Each step by its own map."""
        return self._merge(self._program.unconstrain(self._split(values)))

    def constrain(self, unconstrained: Values) -> Arrays:
        """Each step by its own map."""
        return self._merge(self._program.constrain(self._split(unconstrained)))

    def log_abs_det_jacobian(self, unconstrained: Values) -> Arrays:
        """The sum over the steps."""
        return merge_sums(self._program.log_abs_det_jacobian(self._split(unconstrained)), self._stacks)

    def potential(self, unconstrained: Values) -> float:
        """The program's own."""
        return self._program.potential(self._split(unconstrained))

    def potential_and_gradient(self, unconstrained: Values) -> tuple[float, Arrays]:
        """The program's own, with the steps' derivatives as the leading axis."""
        value, gradient = self._program.potential_and_gradient(self._split(unconstrained))
        return value, self._merge(gradient)

    def leapfrog(
        self,
        unconstrained: Values,
        momentum: Values,
        *,
        step_size: float,
        num_steps: int,
        inverse_mass: Values | None = None,
    ) -> Trajectory:
        """The program's own."""
        given = {} if inverse_mass is None else {"inverse_mass": self._split(inverse_mass)}
        found = self._program.leapfrog(
            self._split(unconstrained),
            self._split(momentum),
            step_size=step_size,
            num_steps=num_steps,
            **given,  # what a frozen side was not asked, it cannot answer
        )
        return replace(
            found, position=self._merge(found.position, 1), momentum=self._merge(found.momentum, 1)
        )

    def initial(self, strategy: str, *, num_chains: int, seed: int) -> Arrays:
        """The program's own."""
        return self._merge(self._program.initial(strategy, num_chains=num_chains, seed=seed), 1)

    def prior_samples(self, *, num_draws: int, seed: int, kept: Collection[str] = ()) -> Arrays:
        """The program's own."""
        found = self._program.prior_samples(num_draws=num_draws, seed=seed, **self._kept(kept))
        return self._merge(found, 1)

    def predictive_samples(self, draws: Values, *, seed: int, kept: Collection[str] = ()) -> Arrays:
        """The program's own."""
        found = self._program.predictive_samples(self._split(draws, 1), seed=seed, **self._kept(kept))
        return self._merge(found, 1)

    def _kept(self, names: Collection[str]) -> dict[str, Any]:
        return {"kept": tuple(members(names, self._stacks))} if names else {}

    def vector_jacobian(self, values: Values, vectors: Values, by: Collection[str]) -> Arrays:
        """The program's own."""
        own = tuple(members(by, self._stacks))
        return self._merge(
            self._program.vector_jacobian(self._split(values), self._split(vectors, 1), own), 1
        )

    def log_likelihood(self, draws: Values) -> Arrays:
        """The program's own."""
        return self._merge(self._program.log_likelihood(self._split(draws, 1)), 1)


class StackedSide:
    """See ``sides.Side``: of anything but programs and draws it is the side itself."""

    def __init__(self, side: Any, stacks: Sequence[Stack]) -> None:
        self._side, self._stacks = side, stacks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side, name)

    def __enter__(self) -> StackedSide:
        return self

    def __exit__(self, *error: object) -> None:
        self._side.close()

    def another(self) -> Side:
        """One more process of the same kind, whose sites are presented likewise."""
        return cast(Side, StackedSide(self._side.another(), self._stacks))

    def program(self, model: Any, data: Mapping[str, Any], **options: Any) -> Program:
        """A program of the side, with its sites put together."""
        return cast(Program, StackedProgram(self._side.program(model, data, **options), self._stacks))

    def sample_posterior(
        self, *args: Any, initial_values: Values | None = None, **options: Any
    ) -> tuple[Groups, dict[str, Any]]:
        """NUTS on the side's own sites."""
        own = None if initial_values is None else split(initial_values, self._stacks, 1)
        groups, attributes = self._side.sample_posterior(*args, initial_values=own, **options)
        return groups | {"posterior": merge(groups["posterior"], self._stacks, 2)}, attributes

    def points(self, pair: Pair) -> list[Point]:
        """A frozen side's points."""
        return [replace(point, values=self._merge(point.values)) for point in self._side.points(pair)]

    def walks(self, pair: Pair) -> tuple[Walk, ...]:
        """A frozen side's trajectories."""
        return tuple(walk.presented(self._merge) for walk in self._side.walks(pair))

    def _merge(self, values: Mapping[str, np.ndarray]) -> Arrays:
        return merge(values, self._stacks)
