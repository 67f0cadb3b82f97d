"""What is compiled of a model: the potential and its gradient as one graph, in place of running the program.

Pyro runs the model's Python again for every gradient, which costs more than the arithmetic of most models. Here
the evaluation is recorded once, gradient included, as a graph of tensor operations (``make_fx``) that TorchScript
then runs without Python. A graph knows nothing of Python's branches or of state kept between calls, so it is used
only where it gives the program's own numbers, at many points beforehand and at the kept draws afterwards.
"""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyro.ops import integrator
from pyro.ops.integrator import potential_grad

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.tolerances import allowed
from pyro_impl.runtime import to_framework

if TYPE_CHECKING:
    from pyro_impl.program import Program

Tensors = dict[str, torch.Tensor]
Function = Callable[[Tensors], torch.Tensor]

# Recording costs as much as some 200 gradients, which a run of a few iterations never earns back.
LEAST_ITERATIONS = 200
NUM_PRIOR, NUM_SPREAD, SPREAD = 6, 6, 3.0  # points of the test beforehand; the spread in unconstrained units
NUM_KEPT = 16  # draws of a chain at which the test afterwards is made

# Graphs by model and data: a check's later rounds and simulation-based calibration come back to them.
_COMPILED: OrderedDict[Any, dict[Any, Any]] = OrderedDict()
MAX_COMPILED = 32


@dataclass(frozen=True)
class SamplingPotential:
    """The potential that NUTS is given; it travels to the chains' processes.

    Attributes:
        kind: ``traced`` (a recorded graph), ``eager`` (the program, run each time), or ``direct`` (the model
            brings a function of its own).
        reason: why.
        graph: the recorded graph, serialised.
    """

    kind: str
    reason: str
    graph: bytes | None = None

    def function(self, program: Program) -> Function:
        """u -> U(u), differentiable once."""
        if self.graph is None:
            return program.potential_function
        # A graph of its own for each chain: TorchScript rewrites it while it runs, and chains must be alike.
        with _quiet():
            return _differentiable(torch.jit.load(io.BytesIO(self.graph)), program)

    def holds(self, program: Program, draws: Arrays) -> bool:
        """Whether the graph gives the program's value and gradient at draws (S, ...) that it led to."""
        if self.graph is None:
            return True
        number = len(next(iter(draws.values())))
        kept = np.unique(np.linspace(0, number - 1, NUM_KEPT).astype(int))
        points = [{name: _tensor(value[i]) for name, value in draws.items()} for i in kept]
        return _gap(program, self.function(program), points) is None


def sampling_potential(program: Program, starts: Arrays, num_iterations: int) -> SamplingPotential:
    """Record the potential where that pays and the graph is the program's; say why not elsewhere.

    Args:
        program: of the model that is sampled.
        starts: unconstrained starting points, (num_chains, ...) a site.
        num_iterations: of all chains together.

    ``PPL_PARITY_RECORD=0`` in the environment leaves every program as it is, which is for benchmarks.
    """
    if program.potential_kind == "direct":
        return SamplingPotential("direct", "the model brings a potential of its own")
    if os.environ.get("PPL_PARITY_RECORD") == "0":
        return SamplingPotential("eager", "PPL_PARITY_RECORD is 0")
    if num_iterations < LEAST_ITERATIONS:
        return SamplingPotential("eager", f"{num_iterations} iterations do not pay for a recording")
    with program.session():
        store = shared(program)
        if "graph" not in store:
            first = {name: _tensor(value[0]) for name, value in starts.items()}
            store["graph"], store["reason"] = _recorded(program, first)
        graph, reason = store["graph"], store["reason"]
        if graph is None:
            return SamplingPotential("eager", reason)
        traced = SamplingPotential("traced", "its graph agrees with the program at every point tried", graph)
        # The program first, whose error is the model's own.
        gap = _gap(program, traced.function(program), list(_points(program, starts)))
    return traced if gap is None else SamplingPotential("eager", f"a recording is not the program: {gap}")


def shared(program: Program) -> dict[Any, Any]:
    """What is compiled for every program of this model on these data."""
    try:
        digest = blake2b(pickle.dumps((program.given, program.options))).hexdigest()
        compiled = _COMPILED.setdefault((program.model, digest), {})
    except (TypeError, AttributeError, pickle.PicklingError):  # something among them is known here alone
        return {}
    _COMPILED.move_to_end((program.model, digest))
    if len(_COMPILED) > MAX_COMPILED:
        _COMPILED.popitem(last=False)
    return compiled


def _recorded(program: Program, point: Tensors) -> tuple[bytes | None, str]:
    """The graph of (leaf...) -> (U, dU/dleaf..., failures...), serialised; or why there is none."""
    names, potential = program.continuous, program.potential_function
    leaves = [point[name] for name in names]

    def evaluate(*leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = [leaf.detach().requires_grad_() for leaf in leaves]
        value = potential(dict(zip(names, own, strict=True)))
        return (value.detach(), *torch.autograd.grad(value, own))

    script, reason = record(evaluate, leaves, _tell_failures)
    if script is None:
        return None, reason
    buffer = io.BytesIO()
    with _quiet():
        torch.jit.save(script, buffer)
    return buffer.getvalue(), ""


def record(
    function: Callable[..., tuple[torch.Tensor, ...]],
    example: list[torch.Tensor],
    amend: Callable[[Any], None] = lambda graph: None,
) -> tuple[Any, str]:
    """A function's tensor operations as one TorchScript graph; or None, and why it cannot be recorded.

    Args:
        function: of tensors, returns a tuple of tensors; what it draws, the graph draws.
        example: arguments to record it with.
        amend: changes the recorded ``torch.fx`` graph.
    """
    from torch.fx.experimental.proxy_tensor import make_fx  # slow to import

    try:
        # Once as it is: what a model or Pyro makes at the first run only does not belong in a graph.
        function(*example)
        with _quiet():
            graph = make_fx(function)(*example)
            amend(graph)
            script = torch.jit.trace(graph, tuple(example), check_trace=False)
            return torch.jit.freeze(script.eval()), ""  # type: ignore[union-attr]
    except Exception as error:  # whatever torch cannot record, the program still computes
        said = str(error).strip().splitlines()
        return None, f"the program cannot be recorded ({type(error).__name__}: {said[0] if said else ''})"


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside the block: a chain sums in the same order in any process, waiting for none."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings that torch.jit is to be replaced one day, and of constants that the tests would find."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _tell_failures(graph: Any) -> None:
    """Return the factorisations' own error codes beside the numbers: no check of them survives as a graph."""
    nodes = list(graph.graph.nodes)
    checks = [node for node in nodes if "_linalg_check_errors" in str(node.target)]
    output = nodes[-1]
    with graph.graph.inserting_before(output):
        failed = [
            graph.graph.call_function(torch.ops.aten.count_nonzero.default, (node.args[0],))
            for node in checks
        ]
    output.args = ((*output.args[0], *failed),)
    for check in checks:
        graph.graph.erase_node(check)
    graph.recompile()


class _Evaluated(torch.autograd.Function):
    """A value whose gradient is known already."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, gradients: Any, *leaves: torch.Tensor) -> torch.Tensor:
        ctx.gradients = gradients
        return value

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> Any:  # type: ignore[override]
        return None, None, *(cotangent * gradient for gradient in ctx.gradients)


def _differentiable(graph: Any, program: Program) -> Function:
    names = program.continuous

    def evaluate(position: Tensors) -> list[torch.Tensor] | None:
        with torch.no_grad():
            value, *rest = graph(*(position[name].detach() for name in names))
        return None if any(rest[len(names) :]) else [value, *rest[: len(names)]]

    def potential(position: Tensors) -> torch.Tensor:
        found = evaluate(position)
        if found is None:
            return program.potential_function(position)  # which raises what Pyro's sampler knows
        return _Evaluated.apply(found[0], found[1:], *(position[name] for name in names))  # type: ignore[return-value]

    def with_gradient(position: Tensors) -> tuple[Tensors, torch.Tensor]:
        found = evaluate(position)
        if found is None:
            return potential_grad(program.potential_function, position)
        return dict(zip(names, found[1:], strict=True)), found[0]

    potential.with_gradient = with_gradient
    return potential


def gradient_of(potential: Function) -> Callable[[Tensors], tuple[Tensors, torch.Tensor]]:
    """u -> (dU/du, U): what ``potential`` brings itself, else Pyro's ``potential_grad``."""
    return getattr(potential, "with_gradient", None) or partial(potential_grad, potential)


@contextmanager
def known_gradients() -> Iterator[None]:
    """Inside the block Pyro's integrator takes a gradient that comes with its potential as it is.

    It would otherwise send it through autograd, which takes 0.09 ms for a single node.
    """
    own = integrator.potential_grad
    integrator.potential_grad = lambda potential_fn, z: gradient_of(potential_fn)(z)
    try:
        yield
    finally:
        integrator.potential_grad = own


def _points(program: Program, starts: Arrays) -> Iterator[Tensors]:
    number = len(next(iter(starts.values())))
    yield from ({name: _tensor(value[i]) for name, value in starts.items()} for i in range(number))
    try:
        drawn = program.initial("prior", num_chains=NUM_PRIOR, seed=0)
        yield from ({name: _tensor(value[i]) for name, value in drawn.items()} for i in range(NUM_PRIOR))
    except InputError:  # a prior that cannot be drawn from
        pass
    rng = np.random.default_rng(0)
    for _ in range(NUM_SPREAD):
        yield {name: _tensor(SPREAD * rng.standard_normal(value.shape[1:])) for name, value in starts.items()}


def _gap(program: Program, function: Function, points: list[Tensors]) -> str | None:
    """Where the recorded function and the program part, in words; None if nowhere."""
    for point in points:
        try:
            gradient, value = potential_grad(program.potential_function, _own(point))
        except Exception as error:  # a graph would not raise there
            return f"the program raises {type(error).__name__} at some point"
        traced, recorded = potential_grad(function, _own(point))
        if not _agree(value, recorded, program.precision):
            return f"{float(recorded):.10g} where the program gives {float(value):.10g}"
        for name in gradient:
            if not _agree(gradient[name], traced[name], program.precision):
                return f"another gradient in {name!r}"
    return None


def _tensor(value: Any) -> torch.Tensor:
    return to_framework(np.asarray(value))


def _own(point: Tensors) -> Tensors:
    return {name: value.detach().clone() for name, value in point.items()}


def _agree(a: torch.Tensor, b: torch.Tensor, precision: str) -> bool:
    left, right = (tensor.detach().cpu().numpy() for tensor in (a, b))
    with np.errstate(invalid="ignore"):
        close = np.abs(left - right) <= allowed("traced", left, right, precision)
    return bool(np.all(close | (left == right) | (np.isnan(left) & np.isnan(right))))
