"""Draws from a program: of its prior, or of its data at given values."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.uncondition_messenger import UnconditionMessenger
from pyro.poutine.util import site_is_subsample
from pyro.util import get_rng_state, set_rng_state

from ppl_parity.backend.checks import explain, refuse_varying
from ppl_parity.backend.contract import Arrays
from pyro_impl.compiled import record, shared
from pyro_impl.runtime import NAME, to_numpy
from pyro_impl.sites import family, is_factor
from pyro_impl.tracing import Tensors, samples

if TYPE_CHECKING:
    from pyro_impl.program import Program

LEAST_DRAWS = 300  # a recording costs as much as some 200 runs
NUM_CHECKED = 16  # draws at which the program is run beside its recording


def simulate(program: Program, draws: list[Tensors], kept: Collection[str] = ()) -> Arrays:
    """Run the program once a draw, its data not observed: site -> (S, ...).

    Pyro's ``Predictive`` changes the shapes of a model with plates, so the draws are made one by one; a long
    series is made by a recording of the program (see ``compiled``) that draws the same numbers.

    Args:
        program: whose session is open.
        draws: the values of each run's latent sites; none of them for a draw of the prior.
        kept: observed sites that stay observed, and are left out.
    """
    before = get_rng_state()
    rows = None
    if len(draws) >= LEAST_DRAWS and program.device == "cpu":  # a GPU's generator is not put back
        rows = _by_recording(program, draws, kept)
    if rows is None:
        set_rng_state(before)
        rows = [_run(program, values, kept) for values in draws]
        for row in rows[1:]:
            refuse_varying(NAME, _shapes(rows[0]), _shapes(row))
    return {name: np.stack([to_numpy(row[name]) for row in rows]) for name in rows[0]}


def _shapes(row: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(to_numpy(value)) for name, value in row.items()}


def _run(program: Program, values: Tensors, kept: Collection[str]) -> Tensors:
    drawn = [name for name in program.observed if name not in kept]
    conditioned = poutine.condition(_Unobserved(drawn)(program.model), values)
    nodes = samples(poutine.trace(_Named()(conditioned)).get_trace(**program.data))
    return {node["name"]: node["value"] for node in nodes if not is_factor(node) and node["name"] not in kept}


def _by_recording(program: Program, draws: list[Tensors], kept: Collection[str]) -> list[Tensors] | None:
    """The draws of a recording; None where the program cannot be recorded, or draws other numbers."""
    names, store = list(draws[0]), shared(program)
    key = ("simulation", *names, None, *sorted(kept))
    if key not in store:
        state = get_rng_state()
        store[key] = _recorded(program, draws[0], kept)
        set_rng_state(state)
    graph, sites = store[key]
    if graph is None:
        return None
    checked = set(np.linspace(0, len(draws) - 1, NUM_CHECKED).astype(int))
    rows = []
    for i, values in enumerate(draws):
        arguments = [values[name] for name in names] or [torch.zeros(())]
        if i not in checked:
            rows.append(dict(zip(sites, graph(*arguments), strict=True)))
            continue
        state = get_rng_state()
        rows.append(dict(zip(sites, graph(*arguments), strict=True)))
        after = get_rng_state()
        set_rng_state(state)
        own = _run(program, values, kept)
        same = list(own) == sites and all(_equal(rows[-1][name], own[name]) for name in sites)
        if not (same and _same_state(after, get_rng_state())):
            return None
    return rows


def _recorded(program: Program, values: Tensors, kept: Collection[str]) -> tuple[Any, list[str]]:
    sites: list[str] = []

    def run(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        row = _run(program, dict(zip(values, given, strict=False)), kept)
        sites[:] = row
        return tuple(torch.as_tensor(value).detach() for value in row.values())

    # A graph without arguments has nothing that keeps its constants apart from its draws.
    graph, _ = record(run, list(values.values()) or [torch.zeros(())])
    return graph, sites


def _equal(a: Any, b: Any) -> bool:
    a, b = (np.asarray(to_numpy(value)) for value in (a, b))
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _same_state(a: Any, b: Any) -> bool:
    return torch.equal(a["torch"], b["torch"]) and a["random"] == b["random"]


class _Named(Messenger):
    """Name the site whose sampler fails; it stands outside of all that may give a site its value."""

    def _pyro_sample(self, msg: Any) -> None:
        if msg["value"] is None and not site_is_subsample(msg):
            with explain(NAME, f"the sampler of {msg['name']!r} ({family(msg['fn'])}) failed"):
                msg["value"] = msg["fn"](*msg["args"], **msg["kwargs"])


class _Unobserved(UnconditionMessenger):
    """Sample what was observed; a ``factor`` has no value to sample, and a ``deterministic`` only one."""

    def __init__(self, names: Collection[str]):
        self.names = names
        super().__init__()

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.names:
            super()._pyro_sample(msg)
