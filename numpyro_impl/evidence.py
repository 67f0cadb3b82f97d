"""The evidence lower bound of a model and a guide, estimated as variational inference does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpyro import handlers
from numpyro.infer import Trace_ELBO, TraceEnum_ELBO
from numpyro.infer.autoguide import AutoGuide, AutoGuideList

from numpyro_impl.runtime import NAME, seed_to_rng, session, to_framework, to_numpy
from numpyro_impl.tracing import TracedModel
from ppl_parity.backend.checks import check_params, explain
from ppl_parity.backend.contract import Arrays, Model, Values
from ppl_parity.backend.plain import plain
from ppl_parity.spec import int_at_least

DRAWS_AT_ONCE = 100
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
    """The sites of the model that it draws."""
    with session(), explain(NAME, "the guide cannot be run on these data"):
        seeded: Any = handlers.seed(guide, seed_to_rng(0))
        return {"sites": tuple(sorted(seeded(**to_framework(plain(data), "float64"))))}


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
    check_params(NAME, params, {**of_guide.learned, **of_model.learned})
    with of_model.session(), explain(NAME, "the evidence lower bound failed"):
        name = ("elbo", guide, num_draws, max_plate_nesting)
        if name not in of_model.compiled:
            of_model.compiled[name] = (
                jax.jit(_estimates(of_model, of_guide, num_draws)),
                _is_pathwise(of_guide),
            )
        estimates, pathwise = of_model.compiled[name]
        keys = jax.random.split(seed_to_rng(seed), len(params))
        # One after the other: a loop around it in JAX would be a program to compile at each call.
        found = [
            to_numpy(estimates(of_model.arrays, to_framework(dict(values)), key))
            for values, key in zip(params, keys, strict=True)
        ]
    losses = np.stack([lost for lost, _ in found])
    slopes = {n: np.stack([slope[n] for _, slope in found]) for n in params[0]}
    return -losses, {n: -slope for n, slope in slopes.items()} if pathwise else {}


def bound_of(of_model: TracedModel, of_guide: TracedModel | None) -> tuple[Model, Any]:
    """The model with what the guide does not draw summed out, and the framework's loss for that.

    Args:
        of_guide: None is one that the library makes of the model's continuous sites.
    """
    if not of_model.enumerated - set(() if of_guide is None else of_guide.shapes):
        return of_model.run, Trace_ELBO()
    from numpyro.contrib.funsor import config_enumerate  # slow to import, seldom needed

    nesting = max(of_model.max_plate_nesting, 0 if of_guide is None else of_guide.max_plate_nesting)
    return config_enumerate(of_model.run), TraceEnum_ELBO(max_plate_nesting=nesting)


def _estimates(of_model: TracedModel, of_guide: TracedModel, num_draws: int) -> Any:
    model, loss = bound_of(of_model, of_guide)

    def run(arrays: list[Any], values: dict[str, Any], key: Any) -> Any:
        def one(key: Any) -> Any:
            def lost(values: dict[str, Any]) -> Any:
                return loss.loss(key, values, model, of_guide.run, **of_model.arguments(arrays))

            return jax.value_and_grad(lost)(values)

        return jax.lax.map(one, jax.random.split(key, num_draws), batch_size=DRAWS_AT_ONCE)

    return run


def _is_pathwise(of_guide: TracedModel) -> bool:
    """Whether every site that the guide draws is a differentiable function of noise."""
    nodes = of_guide._trace(of_guide.arrays, {}).values()
    drawn = [node for node in nodes if node["type"] == "sample" and not node["is_observed"]]
    return all(node["fn"].has_rsample for node in drawn)
