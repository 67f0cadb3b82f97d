"""A NumPyro trace in the normal form that both backends share: one ``Site`` for each sample statement."""

from __future__ import annotations

from contextlib import suppress
from inspect import getattr_static
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

from ppl_parity.backend.contract import Plate, Site, SiteKind
from ppl_parity.backend.learned import away
from ppl_parity.backend.weights import scale_and_weights
from ppl_parity.families import mixture_of, of_transforms, transformed

WRAPPERS = (dist.Independent, dist.ExpandedDistribution, dist.MaskedDistribution)

# Distributions that are made from others, which have the parameters.
PARTS = (("mixing", "mixing_distribution"), ("component", "component_distribution"), ("base", "base_dist"))

# NumPyro splits a family by parameterisation (BernoulliProbs, BernoulliLogits); the family is one.
SUFFIXES = ("Probs", "Logits")

SUPPORTS = {
    "_Boolean": "boolean",
    "_Real": "real",
    "_Positive": "positive",
    # Closed and open ends share a name: the libraries differ there, by a set of measure zero.
    "_Nonnegative": "positive",
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


def numbers(trace: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every array that ``describe`` needs of a trace, so that a compiled function can return them."""
    found = {}
    for name, node in trace.items():
        if node["type"] == "deterministic":
            found[name] = {"value": node["value"]}
        elif node["type"] == "sample":
            base = unwrap(node["fn"])
            found[name] = {
                "value": node["value"],
                "weights": 1.0 if node["scale"] is None else node["scale"],
                "masked": _masked(node["fn"]),
                "bounds": _bounds(node["fn"].support),
                "params": _params(base),
            }
    return found


def describe(
    trace: dict[str, Any], arrays: dict[str, dict[str, Any]], enumerated: frozenset[str]
) -> tuple[Site, ...]:
    """The sites of a trace in the order in which the model visits them; ``arrays`` are its ``numbers``."""
    sizes = {name: node["args"][0] for name, node in trace.items() if node["type"] == "plate"}
    nodes = [node for node in trace.values() if node["type"] in ("sample", "deterministic")]
    return tuple(_site(node, arrays[node["name"]], sizes, node["name"] in enumerated) for node in nodes)


def is_factor(node: dict[str, Any]) -> bool:
    """Whether a node comes from a ``factor`` statement."""
    return node["type"] == "sample" and isinstance(unwrap(node["fn"]), dist.Unit)


def unwrap(fn: Any) -> Any:
    """The distribution under ``to_event``, ``expand`` and ``mask``."""
    while isinstance(fn, WRAPPERS):
        fn = fn.base_dist
    return fn


def support_name(support: Any, bounds: dict[str, Any]) -> str:
    """A constraint in the common vocabulary, with its bounds."""
    if isinstance(support, constraints.independent):
        return support_name(support.base_constraint, bounds)
    kind = type(support).__name__
    if kind in SUPPORTS:
        return SUPPORTS[kind]
    low, high = (_bound(bounds.get(end)) for end in ("lower_bound", "upper_bound"))
    if isinstance(support, constraints.integer_interval):
        return f"integer_interval({low}, {high})"
    if isinstance(support, constraints.integer_greater_than):
        return f"integer_greater_than({low})"
    if isinstance(support, constraints.interval):
        return f"interval({low}, {high})"
    if isinstance(support, constraints.greater_than | constraints.greater_than_eq):
        return "positive" if low == "0" else f"greater_than({low})"
    if isinstance(support, constraints.less_than | constraints.less_than_eq):
        return f"less_than({high})"
    return kind.strip("_").lower()


def param_site(node: dict[str, Any], seed: int | None = None) -> Site:
    """A ``param`` statement as a site; with a seed, away from its initial value."""
    value = np.asarray(node["value"])
    constraint = node["kwargs"].get("constraint", constraints.real)
    support = support_name(constraint, _bounds(constraint))
    # As flax makes them, whatever the session's precision; they need not stay so.
    narrow = value.dtype == np.float32
    if seed is not None and (narrow or value.dtype == np.float64):
        value = value.astype(np.float64)
        with suppress(NotImplementedError, ValueError):  # a constraint without a map: it stays where it is
            transform = dist.biject_to(constraint)
            unconstrained = away(np.asarray(transform.inv(value)), node["name"], seed, support)
            value = np.asarray(transform(unconstrained))
    dtype = "float32" if narrow else value.dtype.name
    return Site(node["name"], "param", "", (), value.shape, support, dtype, value=value)


def _site(node: dict[str, Any], arrays: dict[str, Any], sizes: dict[str, int], enumerated: bool) -> Site:
    value = np.asarray(arrays["value"])
    plates = tuple(
        Plate(frame.name, frame.dim, sizes.get(frame.name, frame.size), frame.size)  # type: ignore[arg-type]
        for frame in sorted(node.get("cond_indep_stack", ()), key=lambda frame: frame.dim)
    )
    if node["type"] == "deterministic":
        return Site(
            node["name"], "deterministic", "", (), value.shape, "", str(value.dtype), plates, value=value
        )
    fn = node["fn"]
    kind: SiteKind = "factor" if is_factor(node) else "observed" if node["is_observed"] else "latent"
    return Site(
        name=node["name"],
        kind=kind,
        family=family(fn),
        batch_shape=tuple(fn.batch_shape),
        event_shape=tuple(fn.event_shape),
        support="" if kind == "factor" else support_name(fn.support, arrays["bounds"]),
        dtype=str(value.dtype),
        plates=plates,
        enumerated=enumerated,
        **scale_and_weights(arrays["weights"]),
        masked=bool(arrays["masked"]),
        value=value,
        params={name: np.asarray(parameter) for name, parameter in arrays["params"].items()},
        bounds={
            end.replace("_", " "): np.asarray(value)
            for end, value in arrays["bounds"].items()
            if value is not None
        },
    )


def _bounds(support: Any) -> dict[str, Any]:
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return {end: getattr(support, end) for end in ("lower_bound", "upper_bound") if hasattr(support, end)}


def family(fn: Any) -> str:
    """The name of a distribution's family, without what it is wrapped in, and of the families it is made of."""
    base = unwrap(fn)
    name = type(base).__name__
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    if isinstance(base, dist.MixtureGeneral):
        return mixture_of(family(part) for part in base.component_distributions)
    if isinstance(base, dist.MixtureSameFamily):
        return mixture_of([family(base.component_distribution)])
    if type(base) is dist.TransformedDistribution:
        return transformed(family(base.base_dist), base.transforms)
    return f"{name}{family(base.base_dist)}" if name == "ZeroInflated" else name


def _params(base: Any) -> dict[str, Any]:
    """What the distribution was made from."""
    own = {key: value for key, value in vars(base).items() if key in base.arg_constraints}
    for key in set(base.arg_constraints) - set(own):
        # What a family keeps in another form, as a mean; a factor's inverse is found only when it is asked for.
        if isinstance(getattr_static(type(base), key, None), property):
            with suppress(Exception):  # of a user's own class
                own[key] = getattr(base, key)
    params = {key: value for key, value in own.items() if value is not None}
    params |= of_transforms(getattr(base, "transforms", ()))
    return params | {
        f"{prefix} {name}": value
        for prefix, attribute in PARTS
        if (part := getattr(base, attribute, None)) is not None
        for name, value in _params(unwrap(part)).items()
        if name not in params
    }


def _masked(fn: Any) -> Any:
    masked = jnp.asarray(False)
    while isinstance(fn, WRAPPERS):
        if isinstance(fn, dist.MaskedDistribution):
            masked = masked | ~jnp.all(jnp.asarray(fn._mask))
        fn = fn.base_dist
    return masked


def _bound(value: Any) -> str:
    if value is None:
        return "array"
    array = np.asarray(value)
    constant = array.size > 0 and np.all(array == array.flat[0])
    return f"{float(array.flat[0]):g}" if constant else "array"
