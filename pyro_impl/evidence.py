"""The evidence lower bound of a model and a guide, estimated as variational inference does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO, config_enumerate
from pyro.infer.autoguide import AutoGuide, AutoGuideList

from ppl_parity.backend.checks import check_params, explain
from ppl_parity.backend.contract import Arrays, Model, Values
from ppl_parity.backend.plain import plain
from ppl_parity.spec import int_at_least
from pyro_impl.compiled import one_thread
from pyro_impl.holding import Weights, as_params
from pyro_impl.runtime import NAME, seed_to_rng, session, to_framework, to_numpy
from pyro_impl.tracing import TracedModel, samples

OF_A_GUIDE = {"scale": "_init_scale", "rank": "rank"}  # where a family has it


def automatic(guide: Model, data: Mapping[str, Any]) -> dict[str, Any]:
    """See ``contract.Backend.automatic``."""
    if not isinstance(guide, AutoGuide):
        return {}
    found = {key: getattr(guide, name, None) for key, name in OF_A_GUIDE.items()}
    return {
        "family": _family(guide),
        **_sites(guide, data),
        **{key: float(value) for key, value in found.items() if isinstance(value, int | float)},
    }


def _family(guide: Any) -> str:
    parts = [_family(part) for part in guide] if isinstance(guide, AutoGuideList) else []
    return type(guide).__name__ + (f" of {' and '.join(parts)}" if parts else "")


def _sites(guide: Any, data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The sites of the model that it draws; unknown of one that came from another process, where it lost its model."""
    if guide._model is None:
        return {}
    with session(), explain(NAME, "the guide cannot be run on these data"), seed_to_rng(0):
        return {"sites": tuple(sorted(guide(**to_framework(plain(data), "float64"))))}


def elbo(
    model: Model,
    guide: Model,
    data: Mapping[str, Any],
    params: Sequence[Values],
    *,
    num_draws: int,
    seed: int,
    max_plate_nesting: int | None = None,
) -> tuple[np.ndarray, Arrays]:
    """See ``contract.Backend.elbo``."""
    int_at_least("num_draws", num_draws, 1)
    of_model, of_guide = (TracedModel(f, data, max_plate_nesting=max_plate_nesting) for f in (model, guide))
    learned = {**of_guide.learned, **of_model.learned}
    check_params(NAME, params, {name: tuple(value.shape) for name, value in learned.items()})
    function, loss = bound_of(of_model, of_guide)
    bounds, gradients = [], []
    with (
        of_model.session(),
        one_thread(),
        explain(NAME, "the evidence lower bound failed"),
        seed_to_rng(seed),
    ):
        trace = poutine.trace(guide).get_trace(**of_guide.data)
        pathwise = all(node["fn"].has_rsample for node in samples(trace) if not node["is_observed"])
        for values in params:
            leaves = {name: to_framework(value).requires_grad_() for name, value in values.items()}
            both = [poutine.substitute(each, as_params(leaves)) for each in (function, guide)]
            rows: list[Arrays] = []
            for _ in range(num_draws):
                with Weights(leaves) as weights:
                    lost = loss.differentiable_loss(*both, **of_model.data)
                    bounds.append(-float(torch.as_tensor(lost).detach()))
                    rows.append(to_numpy(_gradient(lost, {**leaves, **weights.own})) if pathwise else {})
            gradients.append({name: np.stack([row[name] for row in rows]) for name in rows[0]})
    found = {
        name: np.stack([rows[name] for rows in gradients]) for name in (gradients[0] if gradients else ())
    }
    return np.reshape(bounds, (len(params), num_draws)), found


def bound_of(of_model: TracedModel, of_guide: TracedModel) -> tuple[Model, Any]:
    """The model with what the guide does not draw summed out, and the framework's loss for that."""
    if not of_model.enumerated - set(of_guide.shapes):
        return of_model.model, Trace_ELBO()
    nesting = max(of_model.max_plate_nesting, of_guide.max_plate_nesting)
    return config_enumerate(of_model.model), TraceEnum_ELBO(max_plate_nesting=nesting)


def _gradient(lost: Any, leaves: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of the bound, which is the loss with the other sign; zero of a param that it does not depend on."""
    if not leaves or not isinstance(lost, torch.Tensor) or not lost.requires_grad:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad(lost, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if slope is None else -slope
        for (name, leaf), slope in zip(leaves.items(), found, strict=True)
    }
