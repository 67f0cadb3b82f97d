"""Any Pyro model, bound to its data: what the ladder and the samplers ask of it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from pyro.infer.autoguide.initialization import (
    InitMessenger,
)
from pyro.ops.integrator import potential_grad, velocity_verlet

from ppl_parity.backend.checks import check_computed, check_values
from ppl_parity.backend.contract import Arrays, Site, Trajectory, Values
from ppl_parity.backend.foreign import foreign_statements
from ppl_parity.backend.learned import changed
from ppl_parity.backend.no_start import why_no_start
from ppl_parity.errors import InputError, one_of
from ppl_parity.spec import int_at_least
from pyro_impl.runtime import NAME, seed_to_rng, to_framework, to_numpy
from pyro_impl.simulation import simulate
from pyro_impl.sites import param_site
from pyro_impl.tracing import INIT_STRATEGIES, TracedModel, kinetic, stacked

# As torch says of sites that no density hangs on: of one among others, and of all.
UNUSED = "appears to not have been used in the graph", "does not require grad and does not have a grad_fn"


class Program(TracedModel):
    """See ``contract.Program``."""

    def sites(self, values: Values | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        with self._running("the model cannot be traced"), seed_to_rng(seed):
            given = self._given(values or {}, required=())
            return self._described(self._drawn(given), self.enumerated)

    def of_discrete(self) -> tuple[str, ...]:
        return tuple(sorted(self._of_discrete))

    def foreign_statements(self) -> tuple[str, ...]:
        with self._running("the model cannot be traced"), seed_to_rng(0):
            return foreign_statements("numpyro", lambda: self._drawn({}))

    def params(self, *, seed: int | None = None) -> tuple[Site, ...]:
        with self._running("the model cannot be traced"), seed_to_rng(0):
            nodes = self._drawn({}).nodes.values()
            return tuple(param_site(node, seed) for node in nodes if node["type"] == "param")

    def drawn_anew(self) -> Arrays:
        names = {*self.learned, *self.subsampled}
        runs: list[Arrays] = []
        for seed in (0, 1) if names else ():
            # A block of its own each: a param keeps its first value for as long.
            with self._running("the model cannot be traced"), seed_to_rng(seed):
                nodes = self._drawn({}).nodes
                runs.append(to_numpy({n: nodes[n]["value"] for n in nodes if n in names}))
        return changed(*runs) if runs else {}

    def site_log_probs(self, values: Values) -> Arrays:
        with self._running("site log probs failed"):
            return to_numpy(self._site_log_probs(self._given(values, self.shapes)))

    def log_joint(self, values: Values) -> float:
        return float(sum(np.sum(log_prob) for log_prob in self.site_log_probs(values).values()))

    def log_density(self, values: Values) -> float:
        if not self.enumerated:
            return self.log_joint(values)
        with self._running("log density failed"):
            given = self._given(values, self._not_summed())
            return float(self._log_sum(given))

    def discrete_marginals(self, values: Values) -> Arrays:
        with self._running("discrete marginals failed"):
            given = self._given(values, self._not_summed())
            tilts = {
                name: torch.zeros((*self.batch_shapes[name], num_values), requires_grad=True)
                for name, num_values in self.num_values.items()
                if name not in given
            }
            if not tilts:
                return {}
            gradients = torch.autograd.grad(self._log_sum(given, tilts), list(tilts.values()))
            return to_numpy(dict(zip(tilts, gradients, strict=True)))

    def unconstrain(self, values: Values) -> Arrays:
        with self._running("unconstrain failed"), seed_to_rng(0):
            given = self._given(values, self.continuous)
            bijections = self._bijections(self.trace(given))
            return to_numpy({name: bijections[name].inv(given[name]) for name in self.continuous})

    def constrain(self, unconstrained: Values) -> Arrays:
        with self._running("constrain failed"), seed_to_rng(0):
            trace = self._transformed(self._position(unconstrained))
            return to_numpy({name: trace.nodes[name]["value"] for name in self._kept(trace)})

    def log_abs_det_jacobian(self, unconstrained: Values) -> Arrays:
        with self._running("log abs det jacobian failed"), seed_to_rng(0):
            position = self._position(unconstrained)
            trace = self._transformed(position)
            return to_numpy(
                {
                    name: t.log_abs_det_jacobian(position[name], trace.nodes[name]["value"]).sum()
                    for name, t in self._bijections(trace).items()
                }
            )

    def potential(self, unconstrained: Values) -> float:
        with self._running("potential failed"):
            position = self._position(unconstrained)
            try:
                return float(self.potential_function(position))
            except torch.linalg.LinAlgError:  # Pyro's samplers reject such a point
                return float("nan")

    def potential_and_gradient(self, unconstrained: Values) -> tuple[float, Arrays]:
        with self._running("potential and gradient failed"):
            try:
                gradient, value = potential_grad(self.potential_function, self._position(unconstrained))
            except RuntimeError as error:
                if not any(words in str(error) for words in UNUSED):
                    raise
                value, gradient = self._with_unused(self._position(unconstrained))
            return float(value), to_numpy(gradient)

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
        with self._running("leapfrog failed"):
            q, p, mass = (self._position(point) for point in (unconstrained, momentum, inverse_mass))
            gradient, potential = potential_grad(self.potential_function, q)
            states = [(q, p, potential, potential + kinetic(p, mass))]
            for _ in range(num_steps):
                q, p, gradient, potential = velocity_verlet(
                    q,
                    p,
                    self.potential_function,
                    lambda r: {name: mass[name] * r[name] for name in r},
                    step_size,
                    z_grads=gradient,
                )
                states.append((q, p, potential, potential + kinetic(p, mass)))
            positions, momenta, potentials, energies = zip(*states, strict=True)
            return Trajectory(
                to_numpy(stacked(positions)),
                to_numpy(stacked(momenta)),
                to_numpy(torch.stack(potentials)),
                to_numpy(torch.stack(energies)),
            )

    def initial(self, strategy: str, *, num_chains: int, seed: int) -> Arrays:
        one_of("init", strategy, tuple(INIT_STRATEGIES))
        chains = []
        with self._running(f"the starting points by {strategy!r} failed"):
            start = InitMessenger(INIT_STRATEGIES[strategy])(self._summed_out())
            for chain in range(num_chains):
                with seed_to_rng(int(np.random.SeedSequence([seed, chain]).generate_state(1)[0])):
                    point = self._start(start)
                if point is None:
                    break
                chains.append(point)
            else:
                return to_numpy(stacked(chains))
        raise why_no_start(NAME, self, strategy)

    def prior_samples(self, *, num_draws: int, seed: int, kept: Collection[str] = ()) -> Arrays:
        with self._running("the model cannot be simulated"), seed_to_rng(seed):
            return simulate(self, [{}] * num_draws, kept)

    def vector_jacobian(self, values: Values, vectors: Values, by: Collection[str]) -> Arrays:
        check_computed(NAME, vectors, self.deterministic, by, self.continuous)
        with self._running("vector jacobian failed"), seed_to_rng(0):
            given = self._given(values, self.continuous)
            return to_numpy(self._vector_jacobian(given, to_framework(dict(vectors)), tuple(by)))

    def predictive_samples(self, draws: Values, *, seed: int, kept: Collection[str] = ()) -> Arrays:
        given = {name: np.asarray(draws[name]) for name in self.shapes if name in draws}
        check_values(NAME, given, self.shapes, required=self.continuous, batch_ndim=1)
        with self._running("the model cannot be simulated"), seed_to_rng(seed):
            samples = simulate(self, self._each(given), kept)
        return {name: samples[name] for name in self.observed if name not in kept}

    def log_likelihood(self, draws: Values) -> Arrays:
        if self.enumerated:
            raise InputError(
                f"pyro: the model sums out {', '.join(sorted(self.enumerated))}, so no row of the data has "
                "a log likelihood of its own: sum them out in the likelihood itself, as the mixture's "
                "formulation fused does."
            )
        given = {name: np.asarray(draws[name]) for name in self.shapes if name in draws}
        check_values(NAME, given, self.shapes, required=self.shapes, batch_ndim=1)
        with self._running("log likelihood failed"):
            rows = []
            for values in self._each(given):
                log_probs = self._site_log_probs(values)
                rows.append(to_numpy({name: log_probs[name] for name in self.observed}))
            return {name: np.stack([row[name] for row in rows]) for name in self.observed}

    def constrain_draws(self, unconstrained: Values) -> Arrays:
        """``constrain`` for (S, ...) at once, by the transforms of the sampler."""
        with self._running("constrain draws failed"), seed_to_rng(0):
            transforms = self._initialized[1]
            given = to_framework(dict(unconstrained))
            values = {name: transforms[name].inv(given[name]) for name in self.continuous}
            rows = []
            if self.deterministic:
                model = self._summed_out()
                for s in range(len(next(iter(values.values())))):
                    trace = self.trace({name: value[s] for name, value in values.items()}, model)
                    kept = [name for name in self._kept(trace) if name in self.deterministic]
                    rows.append(to_numpy({name: trace.nodes[name]["value"] for name in kept}))
            more = {name: np.stack([row[name] for row in rows]) for name in (rows[0] if rows else ())}
            return {**to_numpy(values), **more}
