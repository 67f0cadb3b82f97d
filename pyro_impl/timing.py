"""One formulation's potential and gradient, as NUTS would call it, ready to be timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pyro
import torch
from pyro.infer import SVI
from pyro.infer.autoguide.initialization import init_to_value
from pyro.infer.mcmc.util import initialize_model
from pyro.optim import PyroOptim

from ppl_parity.backend.contract import Arrays, Model, Values
from ppl_parity.backend.timed import LEARNING_RATE
from ppl_parity.errors import one_of
from ppl_parity.spec import FORMULATIONS, MixtureSpec
from pyro_impl.compiled import LEAST_ITERATIONS, gradient_of, one_thread, sampling_potential
from pyro_impl.evidence import bound_of
from pyro_impl.formulations import logits, sample_prior
from pyro_impl.mixture import mixture
from pyro_impl.program import Program
from pyro_impl.runtime import seed_to_rng, synchronise, to_framework, to_numpy
from pyro_impl.tracing import TracedModel

JIT = "-jit"  # after a formulation's name: traced by torch, as Pyro's own jit_compile does
TIMED = (*FORMULATIONS, "matmul", *(name + JIT for name in ("enumerated", "marginal", "matmul")))

NEAR, NUDGE = 8, 1e-12  # points around each start, and how far from it: by nothing that counts


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
    name = formulation.removesuffix(JIT)
    model = matmul(spec) if name == "matmul" else mixture(spec, name)
    program = Program(model, {"x": x}, precision=precision, device=device)
    if formulation.endswith(JIT):
        return Gradients(program, num_chains, _traced(program), "traced by torch.jit")
    return Gradients(program, num_chains, program.potential_function, program.potential_kind)


def of_program(program: Program, points: Values, num_chains: int = 1) -> Gradients:
    """Any model's, as NUTS asks for it here: a recording's, if it is the program's at ``points``, on one torch thread.

    A chain has no second one; where that waits for a processor, a gradient of 0.1 ms takes up to 30.
    """
    given = {name: np.asarray(value) for name, value in points.items()}
    chosen = sampling_potential(program, given, LEAST_ITERATIONS)
    return Gradients(program, num_chains, chosen.function(program), chosen.kind, one_thread)


def matmul(spec: MixtureSpec) -> Model:
    """The marginal density as a matrix product and a logsumexp, differentiated automatically."""

    def model(x: Any):
        theta, beta = sample_prior(spec)
        s, D = spec.noise_scale, spec.dim
        rows = torch.logsumexp(logits(theta, beta, x, s), dim=-1) - 0.5 * torch.sum(x**2, dim=-1) / s**2
        pyro.factor("x", torch.sum(rows) - 0.5 * len(x) * D * math.log(2 * math.pi * s**2))

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
    return Learning(*(TracedModel(function, data, **options) for function in (model, guide)))


class Learning:
    """See ``ppl_parity.backend.timed.Learns``."""

    compiled_loop = False

    def __init__(self, of_model: TracedModel, of_guide: TracedModel):
        self._model = of_model
        function, loss = bound_of(of_model, of_guide)
        self._parts = function, of_guide.model, loss
        self.learned: Arrays = {}

    def many(self, count: int) -> None:
        """See ``Learns``."""
        function, guide, loss = self._parts
        # With a session a parameter store of its own begins, so the params start anew.
        with self._model.session(), one_thread(), seed_to_rng(0):
            svi = SVI(function, guide, PyroOptim(torch.optim.Adam, {"lr": LEARNING_RATE}), loss=loss)
            for _ in range(count):
                svi.step(**self._model.data)
            self.learned = to_numpy({n: value.detach() for n, value in pyro.get_param_store().items()})


class Gradients:
    """See ``ppl_parity.backend.timed.Timed``; several chains come one after the other."""

    compiled_loop = False

    def __init__(
        self,
        program: Program,
        num_chains: int,
        potential: Callable[[dict[str, torch.Tensor]], torch.Tensor],
        kind: str,
        threads: Callable[[], AbstractContextManager[None]] = nullcontext,
    ):
        self._threads = threads
        self._program, self._num_chains = program, num_chains
        self._gradient = gradient_of(potential)  # as NUTS asks for it here; see ``compiled.known_gradients``
        self.potential = kind
        self._starts: list[dict[str, torch.Tensor]] = []
        self._near: list[list[dict[str, torch.Tensor]]] = []

    def evaluate(self, points: Values) -> tuple[np.ndarray, Arrays]:
        """See ``Timed``."""
        values, gradients = [], []
        with self._program.session(), self._threads():
            rows = [
                {name: to_framework(np.asarray(value[p])) for name, value in points.items()}
                for p in range(len(next(iter(points.values()))))
            ]
            for row in rows:
                gradient, value = self._gradient(row)
                values.append(float(value))
                gradients.append(to_numpy(gradient))
            self._starts = rows[-self._num_chains :]
            # Nothing is hoisted out of a loop in Python, so the points need not be computed in it.
            self._near = [
                [{n: v * (1 + NUDGE * i) for n, v in u.items()} for i in range(NEAR)] for u in self._starts
            ]
        return np.array(values), {name: np.stack([g[name] for g in gradients]) for name in points}

    def once(self) -> None:
        """See ``Timed``."""
        with self._program.session(), self._threads():
            for start in self._starts:
                synchronise(self._gradient(start))

    def many(self, count: int) -> None:
        """See ``Timed``."""
        with self._program.session(), self._threads():
            for points in self._near:
                for i in range(count):
                    found = self._gradient(points[i % NEAR])
                synchronise(found)


def _traced(program: Program) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
    with program.session(), seed_to_rng(0):
        _, potential, _, _ = initialize_model(
            program.model,
            model_kwargs=program.data,
            max_plate_nesting=program.max_plate_nesting,
            init_strategy=init_to_value(values=program.prototype),
            initial_params={},
            jit_compile=True,
            skip_jit_warnings=True,
        )
    return potential
