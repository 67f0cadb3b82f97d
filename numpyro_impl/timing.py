"""One formulation's potential and gradient, as NUTS would call it, ready to be timed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import optim
from numpyro.infer import SVI
from numpyro.infer.autoguide import AutoGuide

from numpyro_impl.evidence import bound_of
from numpyro_impl.formulations import logits, sample_prior
from numpyro_impl.mixture import mixture
from numpyro_impl.program import Program
from numpyro_impl.runtime import seed_to_rng, synchronise, to_framework, to_numpy
from numpyro_impl.tracing import TracedModel
from ppl_parity.backend.contract import Arrays, Model, Values
from ppl_parity.backend.timed import LEARNING_RATE
from ppl_parity.errors import one_of
from ppl_parity.spec import FORMULATIONS, MixtureSpec

TIMED = (*FORMULATIONS, "matmul")

NUDGE = 1e-12  # of a gradient: moves a point by nothing that counts, and the compiler cannot know that


def prepare(
    spec: MixtureSpec,
    formulation: str,
    x: np.ndarray,
    *,
    precision: str = "float64",
    device: str = "cpu",
    num_chains: int = 1,
) -> Gradients:
    """See ``ppl_parity.backend.timed``; ``matmul`` is the array program that automatic differentiation is left to."""
    one_of("formulation", formulation, TIMED)
    model = matmul(spec) if formulation == "matmul" else mixture(spec, formulation)
    program = Program(model, {"x": x}, precision=precision, device=device)
    return Gradients(program, num_chains)


def of_program(program: Program, points: Values, num_chains: int = 1) -> Gradients:
    """Any model's, with the gradient that NUTS is given here; ``points`` (P, ...) a site are for Pyro's."""
    return Gradients(program, num_chains)


def matmul(spec: MixtureSpec) -> Model:
    """The marginal density as a matrix product and a logsumexp, differentiated automatically."""

    def model(x: Any):
        theta, beta = sample_prior(spec)
        s, D = spec.noise_scale, spec.dim
        rows = jax.nn.logsumexp(logits(theta, beta, x, s), axis=-1) - 0.5 * jnp.sum(x**2, axis=-1) / s**2
        numpyro.factor("x", jnp.sum(rows) - 0.5 * len(x) * D * jnp.log(2 * jnp.pi * s**2))

    return model


def learning(
    model: Model,
    guide: Model,
    data: Mapping[str, Any],
    *,
    precision: str = "float64",
    device: str = "cpu",
    max_plate_nesting: int | None = None,
) -> Learning:
    """See ``ppl_parity.backend.timed.Learns``."""
    options: dict[str, Any] = {
        "precision": precision,
        "device": device,
        "max_plate_nesting": max_plate_nesting,
    }
    # What a library makes of its model notes what it traced, and compiling would trace it first.
    of_guide = None if isinstance(guide, AutoGuide) else TracedModel(guide, data, **options)
    return Learning(TracedModel(model, data, **options), of_guide, guide)


class Learning:
    """See ``ppl_parity.backend.timed.Learns``."""

    compiled_loop = True

    def __init__(self, of_model: TracedModel, of_guide: TracedModel | None, guide: Model):
        self._model = of_model
        function, loss = bound_of(of_model, of_guide)
        self._svi = svi = SVI(function, guide, optim.Adam(LEARNING_RATE), loss)

        def loop(arrays, state, count):
            data = of_model.arguments(arrays)
            return jax.lax.fori_loop(0, count, lambda _, state: svi.update(state, **data)[0], state)

        self._loop = jax.jit(loop)
        with of_model.session():
            self._start = svi.init(seed_to_rng(0), **of_model.arguments(of_model.arrays))
        self.learned: Arrays = {}

    def many(self, count: int) -> None:
        """See ``Learns``."""
        with self._model.session():
            state = synchronise(self._loop(self._model.arrays, self._start, count))
            self.learned = to_numpy(self._svi.get_params(state))


class Gradients:
    """See ``ppl_parity.backend.timed.Timed``; several chains are one vectorised program."""

    compiled_loop = True

    def __init__(self, program: Program, num_chains: int):
        self._program, self._num_chains = program, num_chains
        self.potential = program.potential_kind
        one = jax.value_and_grad(program.potential_function, argnums=1)
        each = one if num_chains == 1 else jax.vmap(one, in_axes=(None, 0))

        def loop(arrays, start, count):
            def step(_, carry):
                u, total = carry
                value, gradient = each(arrays, u)
                u = jax.tree.map(lambda a, g: a - NUDGE * g, u, gradient)
                return u, total + jnp.sum(value)

            return jax.lax.fori_loop(0, count, step, (start, jnp.zeros(())))

        self._each, self._loop = jax.jit(each), jax.jit(loop)
        self._start: Any = None

    def evaluate(self, points: Values) -> tuple[np.ndarray, Arrays]:
        """See ``Timed``."""
        C = self._num_chains
        values, gradients = [], []
        with self._program.session():
            for first in range(0, len(next(iter(points.values()))), C):
                batch = {name: np.asarray(value[first : first + C]) for name, value in points.items()}
                self._start = to_framework(batch if C > 1 else {n: v[0] for n, v in batch.items()})
                value, gradient = to_numpy(self._each(self._program.arrays, self._start))
                values.append(np.reshape(value, C))
                gradients.append({n: g.reshape(batch[n].shape) for n, g in gradient.items()})
        return np.concatenate(values), {
            name: np.concatenate([gradient[name] for gradient in gradients]) for name in points
        }

    def once(self) -> None:
        """See ``Timed``."""
        with self._program.session():
            synchronise(self._each(self._program.arrays, self._start))

    def many(self, count: int) -> None:
        """See ``Timed``."""
        with self._program.session():
            synchronise(self._loop(self._program.arrays, self._start, count))
