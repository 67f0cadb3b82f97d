"""A Pyro trace in the normal form that both backends share: one ``Site`` for each sample statement."""

from __future__ import annotations

from contextlib import suppress
from inspect import getattr_static
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.poutine.util import site_is_subsample
from torch.distributions import transform_to
from torch.distributions.utils import lazy_property

from ppl_parity.backend.contract import Plate, Site, SiteKind
from ppl_parity.backend.learned import away
from ppl_parity.backend.weights import scale_and_weights
from ppl_parity.errors import InputError
from ppl_parity.families import mixture_of, of_transforms, transformed
from pyro_impl.runtime import to_framework, to_numpy

WRAPPERS = (dist.Independent, dist.ExpandedDistribution, dist.MaskedDistribution)

# Distributions that are made from others, which have the parameters.
PARTS = (("mixing", "mixture_distribution"), ("component", "component_distribution"), ("base", "base_dist"))

SUPPORTS = {
    "_Boolean": "boolean",
    "_Real": "real",
    "_Simplex": "simplex",
    "_OrderedVector": "ordered_vector",
    "_PositiveOrderedVector": "positive_ordered_vector",
    "_CorrCholesky": "corr_cholesky",
    "_CorrMatrix": "corr_matrix",
    "_LowerCholesky": "lower_cholesky",
    "_SoftplusLowerCholesky": "lower_cholesky",
    "_SoftplusPositive": "positive",
    "_PositiveDefinite": "positive_definite",
    "_PositiveSemidefinite": "positive_semidefinite",
    "_Sphere": "sphere",
    "_Multinomial": "multinomial",
}


NAN_MASKED = (dist.NanMaskedNormal, dist.NanMaskedMultivariateNormal)
MATRICES = {"scale_tril", "covariance_matrix", "precision_matrix"}


def numbers(trace: Any) -> dict[str, dict[str, Any]]:
    """Every array that ``describe`` needs of a trace."""
    found = {}
    for node in _statements(trace):
        fn = node["fn"]
        found[node["name"]] = {
            "value": to_numpy(node["value"]),
            "weights": to_numpy(node["scale"]),
            "masked": _masked(fn, node["value"]) or _hides(node["mask"]),
            "bounds": {} if is_factor(node) else _bounds(fn.support),
            "params": _params(unwrap(fn)),
        }
    return found


def describe(trace: Any, arrays: dict[str, dict[str, Any]], enumerated: frozenset[str]) -> tuple[Site, ...]:
    """The sites of a trace in the order in which the model visits them; ``arrays`` are its ``numbers``."""
    # Handed the rows that it takes (``subsample=``) a plate draws nothing, and is a plate of these.
    fixed = {
        name
        for name, node in trace.nodes.items()
        if site_is_subsample(node) and node["fn"].subsample_size is None
    }
    return tuple(
        _site(node, arrays[node["name"]], node["name"] in enumerated, fixed) for node in _statements(trace)
    )


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
    if isinstance(support, constraints.independent) or _is_mixture(support):
        return support_name(support.base_constraint, bounds)
    kind = type(support).__name__
    if kind in SUPPORTS:
        return SUPPORTS[kind]
    low, high = (_bound(bounds.get(end)) for end in ("lower_bound", "upper_bound"))
    if isinstance(support, constraints.integer_interval):
        return f"integer_interval({low}, {high})"
    # Pyro has no classes of their own for bounds of 0 and 1.
    if kind == "_IntegerGreaterThan":
        named = {"0": "nonnegative_integer", "1": "positive_integer"}
        return named.get(low, f"integer_greater_than({low})")
    if isinstance(support, constraints.interval | constraints.half_open_interval):
        return f"interval({low}, {high})"
    if isinstance(support, constraints.greater_than | constraints.greater_than_eq):
        # Closed and open ends share a name: the libraries differ there, by a set of measure zero.
        return "positive" if low == "0" else f"greater_than({low})"
    if isinstance(support, constraints.less_than):
        return f"less_than({high})"
    return kind.strip("_").lower()


def param_site(node: dict[str, Any], seed: int | None = None) -> Site:
    """A ``param`` statement as a site; with a seed, away from its initial value."""
    value = np.asarray(to_numpy(node["value"]))
    # A PyroParam's statement does not repeat its constraint, which the store has.
    given = node["kwargs"].get("constraint", constraints.real)
    constraint = pyro.get_param_store().get_state()["constraints"].get(node["name"], given)
    support = support_name(constraint, _bounds(constraint))
    if seed is not None and value.dtype == np.float64:
        with suppress(NotImplementedError, ValueError):  # a constraint without a map: it stays where it is
            transform = transform_to(constraint)  # as the store has it
            unconstrained = away(to_numpy(transform.inv(node["value"].detach())), node["name"], seed, support)
            value = np.asarray(to_numpy(transform(to_framework(unconstrained))))
    return Site(node["name"], "param", "", (), value.shape, support, value.dtype.name, value=value)


def _statements(trace: Any) -> list[dict[str, Any]]:
    # A plate is a sample statement too in Pyro.
    nodes = trace.nodes.values()
    return [node for node in nodes if node["type"] == "sample" and not site_is_subsample(node)]


def _site(node: dict[str, Any], arrays: dict[str, Any], enumerated: bool, fixed: set[str]) -> Site:
    value = arrays["value"]
    plates = tuple(
        Plate(
            frame.name,
            frame.dim,
            int(frame.size if frame.name in fixed else frame.full_size or frame.size),
            int(frame.size),
        )
        for frame in sorted(node["cond_indep_stack"], key=lambda frame: frame.dim or 0)
        if frame.vectorized
    )
    if _is_deterministic(node):
        return Site(
            node["name"], "deterministic", "", (), value.shape, "", str(value.dtype), plates, value=value
        )
    if not hasattr(value, "dtype"):  # what PyTorch's own densities refuse, too
        raise InputError(
            f"pyro: {node['name']!r} observes a {type(value).__name__}; give data() a NumPy array of it, which a model "
            "of Pyro gets as a tensor."
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
        params=arrays["params"],
        bounds={
            end.replace("_", " "): np.asarray(value)
            for end, value in arrays["bounds"].items()
            if value is not None
        },
    )


def _bounds(support: Any) -> dict[str, Any]:
    while isinstance(support, constraints.independent) or _is_mixture(support):
        support = support.base_constraint
    ends = ("lower_bound", "upper_bound")
    return {end: to_numpy(getattr(support, end)) for end in ends if hasattr(support, end)}


def _is_mixture(support: Any) -> bool:
    return type(support).__name__ == "MixtureSameFamilyConstraint"


def _is_deterministic(node: dict[str, Any]) -> bool:
    """In Pyro an observed sample of a Delta that is masked out; a reparametrised site leaves one as well."""
    fn = node["fn"]
    hidden = isinstance(fn, dist.MaskedDistribution) and fn._mask is False
    return node["is_observed"] and hidden and isinstance(unwrap(fn), dist.Delta)


def _params(base: Any) -> dict[str, np.ndarray]:
    """What the distribution was made from; torch derives the other parameters when they are asked for."""
    params = {}
    for name in base.arg_constraints:
        derived = isinstance(getattr_static(type(base), name, None), lazy_property)
        # Of what was expanded this may be all that is left.
        given = (
            name == "scale_tril" and f"_unbroadcasted_{name}" in vars(base) and not MATRICES & set(vars(base))
        )
        if name in vars(base) or not derived or given:
            parameter = getattr(base, name, None)
            if isinstance(parameter, torch.Tensor):
                params[name] = to_numpy(_unexpanded(parameter))
    transforms = of_transforms(getattr(base, "transforms", ()))
    params |= {name: to_numpy(torch.as_tensor(value)) for name, value in transforms.items()}
    return params | {
        f"{prefix} {name}": value
        for prefix, attribute in PARTS
        if (part := getattr(base, attribute, None)) is not None
        for name, value in _params(unwrap(part)).items()
        if name not in params
    }


def _unexpanded(tensor: torch.Tensor) -> torch.Tensor:
    """Without the copies that broadcasting made: of N equal covariances one is enough, and fits in memory."""
    return tensor[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in tensor.stride())]


def family(fn: Any) -> str:
    """The name of a distribution's family, without what it is wrapped in, and of the families it is made of."""
    base = unwrap(fn)
    name = type(base).__name__
    if isinstance(base, dist.MixtureSameFamily):
        return mixture_of([family(base.component_distribution)])
    if type(base) is dist.TransformedDistribution:
        return transformed(family(base.base_dist), base.transforms)
    return f"ZeroInflated{family(base.base_dist)}" if name == "ZeroInflatedDistribution" else name


def _masked(fn: Any, value: torch.Tensor) -> bool:
    while isinstance(fn, WRAPPERS):
        if isinstance(fn, dist.MaskedDistribution) and _hides(fn._mask):
            return True
        fn = fn.base_dist
    return isinstance(fn, NAN_MASKED) and _hides(value.isfinite())


def _hides(mask: Any) -> bool:
    return mask is not None and not bool(torch.as_tensor(mask).all())


def _bound(value: Any) -> str:
    if value is None:
        return "array"
    array = np.asarray(value)
    constant = array.size > 0 and np.all(array == array.flat[0])
    return f"{float(array.flat[0]):g}" if constant else "array"
