"""Any NumPyro model, bound to its data: the compiled functions that the ladder and the samplers use."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_impl import sites as describing
from numpyro_impl.holding import name_of
from numpyro_impl.runtime import NAME, seed_to_rng, to_numpy
from numpyro_impl.simulation import simulate
from numpyro_impl.tracing import INIT_STRATEGIES, NEEDS_NUMBERS, TracedModel
from ppl_parity.backend.checks import check_computed, check_values, explain
from ppl_parity.backend.contract import Arrays, Site, Trajectory, Values
from ppl_parity.backend.foreign import foreign_statements
from ppl_parity.backend.learned import changed
from ppl_parity.backend.no_start import why_no_start
from ppl_parity.errors import InputError, one_of
from ppl_parity.spec import int_at_least


class Program(TracedModel):
    """See ``contract.Program``."""

    def sites(self, values: Values | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        with self.session(), explain(NAME, "the model cannot be traced"):
            given = self._given(values or {}, required=())
            name, words = f"sites {sorted(given)}", np.array([seed], dtype=np.uint32)
            if name not in self.compiled:
                traces: list[dict[str, Any]] = []

                def run(arrays, given, words):
                    traces[:] = [self._trace(arrays, given, seed_to_rng(words[0]))]
                    return describing.numbers(traces[0])

                self.compiled[name] = jax.jit(run), run, traces
            jitted, run, traces = self.compiled[name]
            try:
                numbers = jitted(self.arrays, given, words)
            except NEEDS_NUMBERS:
                numbers = run(self.arrays, given, words)
            return describing.describe(traces[0], to_numpy(numbers), self.enumerated)

    def of_discrete(self) -> tuple[str, ...]:
        return tuple(sorted(self._of_discrete))

    def foreign_statements(self) -> tuple[str, ...]:
        with self.session(), explain(NAME, "the model cannot be traced"):
            return foreign_statements("pyro", self._skeleton)

    def params(self, *, seed: int | None = None) -> tuple[Site, ...]:
        found: list[dict[str, Any]] = []

        def run(arrays):
            found[:] = [node for node in self._trace(arrays, {}).values() if node["type"] == "param"]
            return 0

        with self.session(), explain(NAME, "the model cannot be traced"):
            try:
                jax.eval_shape(run, self.arrays)
            except NEEDS_NUMBERS:
                run(self.arrays)
            if found:  # again, for their values: most models have none, and are not run
                run(self.arrays)
            known = {node["name"] for node in found}
            nodes = [one for node in found for one in _of_each_array(node, known, moved=seed is not None)]
            return tuple(describing.param_site(node, seed) for node in nodes)

    def drawn_anew(self) -> Arrays:
        names = {*self.learned, *self.subsampled}
        if not names:
            return {}
        with self.session(), explain(NAME, "the model cannot be traced"):
            traces = [self._trace(self.arrays, {}, seed_to_rng(seed)) for seed in (0, 1)]
            return changed(
                *(to_numpy({n: nodes[n]["value"] for n in nodes if n in names}) for nodes in traces)
            )

    def site_log_probs(self, values: Values) -> Arrays:
        return self._call("site_log_probs", self._site_log_probs, values, required=self.shapes)

    def log_joint(self, values: Values) -> float:
        return float(sum(np.sum(log_prob) for log_prob in self.site_log_probs(values).values()))

    def log_density(self, values: Values) -> float:
        return float(self._call("log_density", self._log_density, values, required=self.continuous))

    def discrete_marginals(self, values: Values) -> Arrays:
        return self._call("discrete_marginals", self._discrete_marginals, values, required=self.continuous)

    def unconstrain(self, values: Values) -> Arrays:
        return self._call("unconstrain", self._unconstrain, values, required=self.continuous, keep=True)

    def constrain(self, unconstrained: Values) -> Arrays:
        return self._call("constrain", self.constrain_function, unconstrained)

    def log_abs_det_jacobian(self, unconstrained: Values) -> Arrays:
        return self._call("log_abs_det_jacobian", self._log_abs_det_jacobian, unconstrained)

    def potential(self, unconstrained: Values) -> float:
        return float(self._call("potential", self.potential_function, unconstrained))

    def potential_and_gradient(self, unconstrained: Values) -> tuple[float, Arrays]:
        both = jax.value_and_grad(self.potential_function, argnums=1)
        value, gradient = self._call("potential_and_gradient", both, unconstrained)
        return float(value), gradient

    def leapfrog(
        self,
        unconstrained: Values,
        momentum: Values,
        *,
        step_size: float,
        num_steps: int,
        inverse_mass: Values | None = None,
    ) -> Trajectory:
        int_at_least("num_steps", num_steps, 1)
        if inverse_mass is None:
            inverse_mass = {name: np.ones_like(value) for name, value in unconstrained.items()}
        start = (dict(unconstrained), dict(momentum), dict(inverse_mass), np.float64(step_size))
        path = self._call(
            f"leapfrog {num_steps}",
            lambda arrays, given: self._leapfrog(arrays, *given, num_steps=num_steps),
            start,
        )
        return Trajectory(*path)

    def initial(self, strategy: str, *, num_chains: int, seed: int) -> Arrays:
        one_of("init", strategy, tuple(INIT_STRATEGIES))
        chains = []
        for chain in range(num_chains):
            for attempt in range(100):
                key = np.array([seed, chain, attempt], dtype=np.uint32)
                point = self._call(f"initial {strategy}", self._start(strategy), key)
                value, gradient = self.potential_and_gradient(point)
                if np.isfinite(value) and all(np.all(np.isfinite(g)) for g in gradient.values()):
                    chains.append(point)
                    break
            else:
                raise why_no_start(NAME, self, strategy)
        return {name: np.stack([point[name] for point in chains]) for name in self.continuous}

    def prior_samples(self, *, num_draws: int, seed: int, kept: Collection[str] = ()) -> Arrays:
        return simulate(self, {}, num_draws, seed, kept)

    def vector_jacobian(self, values: Values, vectors: Values, by: Collection[str]) -> Arrays:
        check_computed(NAME, vectors, self.deterministic, by, self.continuous)
        known = {**self.shapes, **self.subsampled, **self.learned}
        check_values(NAME, values, known, required=self.continuous)
        given = {name: self._counted(name, np.asarray(value)) for name, value in values.items()}
        moved = {name: given.pop(name) for name in by}
        name = f"vector jacobian {sorted(vectors)} {sorted(moved)}"
        return self._call(name, self._vector_jacobian, (given, moved, dict(vectors)))

    def predictive_samples(self, draws: Values, *, seed: int, kept: Collection[str] = ()) -> Arrays:
        given = {name: self._counted(name, np.asarray(draws[name])) for name in self.shapes if name in draws}
        check_values(NAME, given, self.shapes, required=self.continuous, batch_ndim=1)
        samples = simulate(self, given, len(next(iter(given.values()))), seed, kept)
        return {name: samples[name] for name in self.observed if name not in kept}

    def log_likelihood(self, draws: Values) -> Arrays:
        if self.enumerated:
            raise InputError(
                f"numpyro: the model sums out {', '.join(sorted(self.enumerated))}, so no row of the data "
                "has a log likelihood of its own: sum them out in the likelihood itself, as the mixture's "
                "formulation fused does."
            )
        given = {name: self._counted(name, np.asarray(draws[name])) for name in self.shapes}
        check_values(NAME, given, self.shapes, required=self.shapes, batch_ndim=1)
        return self._call("log_likelihood", self._log_likelihood, given)

    def constrain_draws(self, unconstrained: Values) -> Arrays:
        """``constrain`` for (S, ...) at once."""
        values = self._call("constrain_draws", self._constrain_many, unconstrained, keep=True)
        # JAX sorts names; the model's own order is kept.
        return {name: values[name] for name in [*self.continuous, *values] if name in values}

    def compile_ahead(self, num_draws: int, unconstrained: Values) -> None:
        """Compile what will be asked of so many draws, of each of which ``unconstrained`` is like one."""
        with self.session():
            given = {
                name: jax.ShapeDtypeStruct((num_draws, *np.shape(value)), jnp.result_type(float))
                for name, value in unconstrained.items()
            }
            self._kept("constrain_draws", self._constrain_many, given)
        ahead = getattr(self.model, "compile_ahead", None)
        if ahead is not None:
            ahead(num_draws, self.arguments(self.arrays)["x"], precision=self.precision, device=self.device)

    def _constrain_many(self, arrays: list[Any], batch: dict[str, Any]) -> dict[str, Any]:
        return jax.lax.map(lambda one: self.constrain_function(arrays, one), batch, batch_size=1000)


def _of_each_array(node: dict[str, Any], known: Collection[str], *, moved: bool) -> list[dict[str, Any]]:
    """A ``param`` statement; of a tree that a function makes, or a handler of the user's gives, one of each array.

    Nothing moves an array of such a tree, for no value is given to a part of a statement.
    """
    if jax.tree_util.all_leaves([node["value"]]):
        return [node]
    leaves = [] if moved else jax.tree_util.tree_flatten_with_path(node["value"])[0]
    named = {name_of(node["name"], path): leaf for path, leaf in leaves}
    return [node | {"name": name, "value": leaf} for name, leaf in named.items() if name not in known]
