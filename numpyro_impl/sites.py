"""A NumPyro trace in the normal form that both backends share: one ``Site`` for each sample statement."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

from ppl_parity.contract import Plate, Site, SiteKind

WRAPPERS = (dist.Independent, dist.ExpandedDistribution, dist.MaskedDistribution)

# NumPyro splits a family by parameterisation (BernoulliProbs, BernoulliLogits); the family is one.
SUFFIXES = ("Probs", "Logits")

SUPPORTS = {
    "_Boolean": "boolean",
    "_Real": "real",
    "_Positive": "positive",
    "_Nonnegative": "nonnegative",
    "_UnitInterval": "interval(0, 1)",
    "_Simplex": "simplex",
    "_OrderedVector": "ordered_vector",
    "_PositiveOrderedVector": "positive_ordered_vector",
    "_CorrCholesky": "corr_cholesky",
    "_CorrMatrix": "corr_matrix",
    "_LowerCholesky": "lower_cholesky",
    "_ScaledUnitLowerCholesky": "lower_cholesky",
    "_SoftplusLowerCholesky": "lower_cholesky",
    "_SoftplusPositive": "positive",
    "_PositiveDefinite": "positive_definite",
    "_PositiveSemiDefinite": "positive_semidefinite",
    "_IntegerNonnegative": "nonnegative_integer",
    "_IntegerPositive": "positive_integer",
    "_Circular": "circular",
    "_Sphere": "sphere",
    "_L1Ball": "l1_ball",
    "_ZeroSum": "zero_sum",
    "_Multinomial": "multinomial",
}


def describe(trace: dict[str, Any], enumerated: frozenset[str]) -> tuple[Site, ...]:
    """The sites of a trace in the order in which the model visits them."""
    sizes = {
        name: (node["args"][0], len(node["value"])) for name, node in trace.items() if node["type"] == "plate"
    }
    nodes = [node for node in trace.values() if node["type"] in ("sample", "deterministic")]
    return tuple(_site(node, sizes, node["name"] in enumerated) for node in nodes)


def is_factor(node: dict[str, Any]) -> bool:
    """Whether a node comes from a ``factor`` statement."""
    return node["type"] == "sample" and isinstance(unwrap(node["fn"]), dist.Unit)


def unwrap(fn: Any) -> Any:
    """The distribution under ``to_event``, ``expand`` and ``mask``."""
    while isinstance(fn, WRAPPERS):
        fn = fn.base_dist
    return fn


def support_name(support: Any) -> str:
    """A constraint in the common vocabulary, with its bounds."""
    if isinstance(support, constraints.independent):
        return support_name(support.base_constraint)
    kind = type(support).__name__
    if kind in SUPPORTS:
        return SUPPORTS[kind]
    if isinstance(support, constraints.integer_interval):
        return f"integer_interval({_bound(support.lower_bound)}, {_bound(support.upper_bound)})"
    if isinstance(support, constraints.interval):
        return f"interval({_bound(support.lower_bound)}, {_bound(support.upper_bound)})"
    if isinstance(support, constraints.greater_than | constraints.greater_than_eq):
        return f"greater_than({_bound(support.lower_bound)})"
    if isinstance(support, constraints.less_than | constraints.less_than_eq):
        return f"less_than({_bound(support.upper_bound)})"
    return kind.strip("_").lower()


def _site(node: dict[str, Any], sizes: dict[str, tuple[int, int]], enumerated: bool) -> Site:
    value = np.asarray(node["value"])
    plates = tuple(
        Plate(frame.name, frame.dim, sizes.get(frame.name, (frame.size, frame.size))[0], frame.size)
        for frame in sorted(node.get("cond_indep_stack", ()), key=lambda frame: frame.dim)
    )
    if node["type"] == "deterministic":
        shape = value.shape
        return Site(node["name"], "deterministic", "", (), shape, "", str(value.dtype), plates, value=value)
    fn = node["fn"]
    base = unwrap(fn)
    kind: SiteKind = "factor" if is_factor(node) else "observed" if node["is_observed"] else "latent"
    params = {
        name: np.asarray(parameter)
        for name, parameter in vars(base).items()
        if name in base.arg_constraints and np.ndim(parameter) >= 0 and parameter is not None
    }
    return Site(
        name=node["name"],
        kind=kind,
        family=_family(base),
        batch_shape=tuple(fn.batch_shape),
        event_shape=tuple(fn.event_shape),
        support="" if kind == "factor" else support_name(fn.support),
        dtype=str(value.dtype),
        plates=plates,
        enumerated=enumerated,
        scale=1.0 if node["scale"] is None else float(np.max(np.asarray(node["scale"]))),
        masked=_masked(fn),
        value=value,
        params=params,
    )


def _family(base: Any) -> str:
    name = type(base).__name__
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return {"MixtureSameFamily": "Mixture", "MixtureGeneral": "Mixture"}.get(name, name)


def _masked(fn: Any) -> bool:
    while isinstance(fn, WRAPPERS):
        if isinstance(fn, dist.MaskedDistribution) and not np.all(np.asarray(fn._mask)):
            return True
        fn = fn.base_dist
    return False


def _bound(value: Any) -> str:
    array = np.asarray(value)
    constant = array.size > 0 and np.all(array == array.flat[0])
    return f"{float(array.flat[0]):g}" if constant else "array"
