"""A Pyro model bound to its data: what it consists of, and how each quantity is asked of the framework."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.distributions import constraints
from pyro.distributions.util import scale_and_mask
from pyro.infer import config_enumerate
from pyro.infer.autoguide.initialization import (
    init_to_sample,
    init_to_uniform,
    init_to_value,
)
from pyro.infer.mcmc.util import TraceEinsumEvaluator, initialize_model
from pyro.ops.integrator import potential_grad
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch.distributions import biject_to

from ppl_parity.backend.checks import check_model, check_values, explain, refuse_varying
from ppl_parity.backend.contract import Arrays, Model, Site, Values
from ppl_parity.backend.of_discrete import moved_by
from ppl_parity.backend.plain import plain
from ppl_parity.errors import InputError, one_of
from ppl_parity.spec import PRECISIONS
from pyro_impl import sites as describing
from pyro_impl.discrete import tilt
from pyro_impl.holding import Weights, as_params
from pyro_impl.runtime import NAME, seed_to_rng, session, to_framework, to_numpy
from pyro_impl.sharding import check_shards

NUM_RUNS = 4  # that must draw the same sites before anything is asked of a model


def uniform(site: dict[str, Any]) -> Any:
    """``init_to_uniform``, also for a site that nothing can be drawn from: Pyro's draws a value to learn its shape."""
    base = site["fn"]
    while hasattr(base, "base_dist"):
        base = base.base_dist
    if not isinstance(base, dist.ImproperUniform):
        return init_to_uniform(site)
    constrain = torch.distributions.transform_to(site["fn"].support)
    shape = constrain.inverse_shape(site["fn"].shape())
    return constrain(4 * torch.rand(shape) - 2)


INIT_STRATEGIES = {"uniform": uniform, "prior": init_to_sample}

Tensors = dict[str, torch.Tensor]


class TracedModel:
    """A model, its data, and what one run of it tells; ``Program`` is its public face."""

    def __init__(
        self,
        model: Model,
        data: Mapping[str, Any],
        *,
        precision: str = "float64",
        device: str = "cpu",
        max_plate_nesting: int | None = None,
        num_shards: int = 1,
    ) -> None:
        check_model(NAME, model, data)
        one_of("precision", precision, PRECISIONS)
        self.model, self.precision, self.device = model, precision, device
        check_shards(model, device, num_shards)
        self.learned: Tensors = {}  # param -> its initial value
        self.given = getattr(model, "prepared", dict)(plain(data))
        self.options = {"precision": precision, "device": device, "max_plate_nesting": max_plate_nesting}
        with self._running("the model cannot be run on these data"), seed_to_rng(0):
            self.data = to_framework(self.given, self.precision)
            trace = self.trace({}, _Filled(_draw)(model))
            kinds = {site.name: site.kind for site in self._described(trace, frozenset())}
        with self._running("the model cannot be run on these data"):
            self._refuse_varying(trace)
        nodes = {name: trace.nodes[name] for name in kinds}
        latent = {name: node for name, node in nodes.items() if kinds[name] == "latent"}
        self.prototype = {name: node["value"] for name, node in latent.items()}
        self.shapes = {name: tuple(value.shape) for name, value in self.prototype.items()}
        self.batch_shapes = {name: tuple(node["fn"].batch_shape) for name, node in latent.items()}
        self.discrete = [name for name, node in latent.items() if _is_discrete(node)]
        self.continuous = [name for name in latent if name not in self.discrete]
        enumerated = {name: node for name, node in latent.items() if _is_enumerated(node)}
        self.enumerated = frozenset(enumerated)
        self.deterministic = {
            name: tuple(node["value"].shape) for name, node in nodes.items() if kinds[name] == "deterministic"
        }
        self.learned = {
            node["name"]: node["value"].detach() for node in trace.nodes.values() if node["type"] == "param"
        }
        self.observed = [name for name, kind in kinds.items() if kind == "observed"]
        self.subsampled = {
            name: tuple(node["value"].shape)
            for name, node in trace.nodes.items()
            if site_is_subsample(node)
            and node["fn"].subsample_size is not None
            and len(node["value"]) < node["fn"].size
        }
        with self.session():
            self.num_values = {
                name: len(node["fn"].enumerate_support(expand=False)) for name, node in enumerated.items()
            }
        frames = [frame for node in nodes.values() for frame in node["cond_indep_stack"] if frame.vectorized]
        guess = -min((frame.dim for frame in frames), default=0)
        self.max_plate_nesting = max_plate_nesting if max_plate_nesting is not None else guess

    def _refuse_varying(self, trace: Any) -> None:
        first = {node["name"]: tuple(node["value"].shape) for node in samples(trace)}
        for seed in range(1, NUM_RUNS):
            try:
                with seed_to_rng(seed):
                    again = samples(self.trace({}, _Filled(_draw)(self.model)))
            except Exception:  # a draw that the model cannot take says nothing of shapes
                continue
            refuse_varying(NAME, first, {node["name"]: tuple(node["value"].shape) for node in again})

    def session(self) -> Any:
        """This program's precision and device, for the length of a block.

        A model may keep its parameters, and its sums over the data, in float64 whatever the precision of
        its data (``contract.Program``).
        """
        wide = getattr(self.model, "float64_parameters", False)
        return session("float64" if wide else self.precision, self.device)

    @property
    def kernel(self) -> str:
        """What computes the density, in words."""
        described = getattr(self.model, "kernel", None)
        return "the framework's own operations" if described is None else described(self.device)

    @property
    def potential_kind(self) -> str:
        """``direct`` where the model brings a potential for its data, else ``eager``: the program, run each time."""
        own = hasattr(self.model, "direct_potential") and self.observed and not self.enumerated
        return "direct" if own else "eager"

    @cached_property
    def _initialized(self) -> tuple[Callable[[Tensors], torch.Tensor], dict[str, Any]]:
        left = sorted(set(self.discrete) - self.enumerated)
        if left:
            raise InputError(f"pyro: a potential needs {', '.join(left)} summed out, and it cannot be.")
        # Whoever asks first may do so outside of a session; constants of the potential are made in ours.
        # Pyro's sampler fixes each transform at one trace: a support that moves with another site does not.
        with self.session(), seed_to_rng(0):
            _, potential, transforms, _ = initialize_model(
                self.model,
                model_kwargs=self.data,
                max_plate_nesting=self.max_plate_nesting,
                init_strategy=init_to_value(values=self.prototype),
                initial_params={},
            )
            if self.potential_kind == "direct":
                potential = self.model.direct_potential(**self.data)
        return potential, transforms

    @property
    def potential_function(self) -> Callable[[Tensors], torch.Tensor]:
        """u -> U(u), as Pyro's NUTS defines it."""
        return self._initialized[0]

    @contextmanager
    def _running(self, what: str) -> Iterator[None]:
        with self.session(), explain(NAME, what):
            yield

    def _described(self, trace: Any, enumerated: frozenset[str]) -> tuple[Site, ...]:
        return describing.describe(trace, describing.numbers(trace), enumerated)

    def _drawn(self, values: Tensors) -> Any:
        """A trace in which every latent site is still one: the rest is drawn, and nothing is conditioned."""

        def value(site):
            return values[site["name"]] if site["name"] in values else _draw(site)

        plates = {name: value for name, value in values.items() if name not in self.shapes}
        return self.trace(plates, _Filled(value)(self.model))

    def trace(self, values: Tensors, model: Model | None = None) -> Any:
        conditioned = poutine.condition(model or self.model, values)
        moved = {name: value for name, value in values.items() if name in self.learned}
        if moved:
            conditioned = poutine.substitute(conditioned, as_params(moved))
            with Weights(moved):
                return poutine.trace(conditioned).get_trace(**self.data)
        return poutine.trace(conditioned).get_trace(**self.data)

    def _summed_out(self, tilts: Tensors | None = None) -> Model:
        if not self.enumerated:
            return self.model
        model = config_enumerate(tilt(tilts or {})(self.model))
        return poutine.enum(model, first_available_dim=-1 - self.max_plate_nesting)

    def _log_sum(self, given: Tensors, tilts: Tensors | None = None) -> torch.Tensor:
        trace = self.trace(given, self._summed_out(tilts))
        _score(trace)
        return TraceEinsumEvaluator(trace, True, self.max_plate_nesting).log_prob(trace)

    def _not_summed(self) -> list[str]:
        return [name for name in self.shapes if name not in self.enumerated]

    def _given(self, values: Values, required: Collection[str]) -> Tensors:
        learned = {name: tuple(value.shape) for name, value in self.learned.items()}
        check_values(NAME, values, {**self.shapes, **self.subsampled, **learned}, required=required)
        return {name: self._as_drawn(name, np.asarray(value)) for name, value in values.items()}

    def _as_drawn(self, name: str, value: np.ndarray) -> torch.Tensor:
        # Pyro draws a Bernoulli as a float and a Categorical as an integer; another kind is refused by some.
        known = self.prototype.get(name, self.learned.get(name))
        dtype = torch.int64 if known is None else known.dtype
        if not dtype.is_floating_point and not np.array_equal(value, np.round(value)):
            raise InputError(f"pyro: the site {name!r} takes whole numbers; got {value}.")
        return to_framework(value).to(dtype)

    def _each(self, draws: Arrays) -> list[Tensors]:
        tensors = {name: self._as_drawn(name, value) for name, value in draws.items()}
        return [dict(zip(tensors, row, strict=True)) for row in zip(*tensors.values(), strict=True)]

    @cached_property
    def _unconstrained_shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            name: tuple(self._initialized[1][name](self.prototype[name]).shape) for name in self.continuous
        }

    def _position(self, unconstrained: Values) -> Tensors:
        check_values(NAME, unconstrained, self._unconstrained_shapes, required=self.continuous)
        return {name: to_framework(np.asarray(unconstrained[name])) for name in self.continuous}

    def _bijections(self, trace: Any) -> dict[str, Any]:
        return {name: _bijection(name, trace.nodes[name]["fn"].support) for name in self.continuous}

    def _transformed(self, position: Tensors) -> Any:
        """The trace at T(u), each bijection by its site's support in that trace."""

        def value(site):
            if site["name"] in position:
                return _bijection(site["name"], site["fn"].support)(position[site["name"]])
            return _draw(site)

        return poutine.trace(_Filled(value)(self._summed_out())).get_trace(**self.data)

    def _kept(self, trace: Any) -> list[str]:
        # A site that depends on an enumerated one has a value for each of its values, or a sum over them.
        whole = [
            n
            for n, shape in self.deterministic.items()
            if n not in self._of_discrete and tuple(trace.nodes[n]["value"].shape) == shape
        ]
        return [*self.continuous, *whole]

    @cached_property
    def _of_discrete(self) -> frozenset[str]:
        if not (self.discrete and self.deterministic):
            return frozenset()

        def computed(given: Arrays) -> Arrays:
            found = self.trace({name: to_framework(value) for name, value in given.items()}).nodes
            return to_numpy({name: found[name]["value"] for name in self.deterministic})

        with self._running("the model cannot be traced"), seed_to_rng(0):
            nodes = self.trace({}, _Filled(_draw)(self.model)).nodes
            supports = {name: _support(nodes[name]["fn"]) for name in self.discrete}
            return moved_by(to_numpy(self.prototype), supports, computed)

    def _site_log_probs(self, given: Tensors) -> Tensors:
        trace = self.trace(given)
        _score(trace)
        nodes = {node["name"]: node for node in samples(trace)}
        return {name: node["log_prob"] for name, node in nodes.items() if name not in self.deterministic}

    def _vector_jacobian(self, given: Tensors, vectors: Tensors, by: tuple[str, ...]) -> Tensors:
        moved = {name: given[name].detach().clone().requires_grad_() for name in by}
        nodes = self._drawn({**given, **moved}).nodes
        depends = [name for name in vectors if nodes[name]["value"].requires_grad]
        count = len(next(iter(vectors.values())))
        found: Any = [None] * len(by)
        if depends:
            found = torch.autograd.grad(
                [nodes[name]["value"] for name in depends],
                list(moved.values()),
                grad_outputs=[vectors[name] for name in depends],
                is_grads_batched=True,
                allow_unused=True,
            )
        return {
            name: moved[name].new_zeros((count, *moved[name].shape)) if rows is None else rows
            for name, rows in zip(by, found, strict=True)
        }

    def _with_unused(self, position: Tensors) -> tuple[torch.Tensor, Tensors]:
        """The potential and its gradient, zero in what it does not depend on: an improper prior's site, a Delta's."""
        leaves = {name: value.detach().requires_grad_() for name, value in position.items()}
        value = self.potential_function(leaves)
        found: Any = [None] * len(leaves)
        if value.requires_grad:
            found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
        slopes = zip(leaves.items(), found, strict=True)
        return value.detach(), {n: torch.zeros_like(leaf) if g is None else g for (n, leaf), g in slopes}

    def _start(self, model: Model) -> Tensors | None:
        potential, transforms = self._initialized
        for _ in range(100):
            trace = poutine.trace(model).get_trace(**self.data)
            values = {node["name"]: node["value"] for node in samples(trace)}
            point = {name: transforms[name](values[name].detach()) for name in self.continuous}
            gradient, value = potential_grad(potential, point)
            if all(bool(torch.isfinite(tensor).all()) for tensor in (value, *gradient.values())):
                return point
        return None


class _Filled(Messenger):
    """Give sites a value and leave them unobserved, after any reparametrisation (InitMessenger: before)."""

    def __init__(self, value: Callable[[Any], torch.Tensor]):
        self.value = value
        super().__init__()

    def _pyro_sample(self, msg: Any) -> None:
        if msg["value"] is None and not site_is_subsample(msg):
            msg["value"] = self.value(msg)


def _support(fn: Any) -> np.ndarray | None:
    """The possible values of a discrete site, in any shape; None where there is no end of them, or none is known."""
    try:
        return to_numpy(fn.enumerate_support(expand=False)) if fn.has_enumerate_support else None
    except NotImplementedError:  # of trials whose numbers differ
        return None


def samples(trace: Any) -> list[dict[str, Any]]:
    # A plate is a sample statement too in Pyro.
    nodes = trace.nodes.values()
    return [node for node in nodes if node["type"] == "sample" and not site_is_subsample(node)]


def _bijection(name: str, support: Any) -> Any:
    try:
        return biject_to(support)
    except NotImplementedError:
        kind = describing.support_name(support, {}).replace("_", " ")
        raise InputError(
            f"pyro: the values of {name!r} are {kind}, to which Pyro has no bijection: neither its NUTS nor an "
            "automatic guide can use this model. For a covariance draw a Cholesky factor of correlations (LKJCholesky) "
            "and standard deviations."
        ) from None


def _draw(site: dict[str, Any]) -> torch.Tensor:
    """A draw from the prior, or a feasible point where a distribution cannot be drawn from."""
    try:
        return site["fn"].sample()
    except NotImplementedError:
        bijection = biject_to(site["fn"].support)
        return bijection(torch.zeros(bijection.inverse_shape(site["fn"].shape())))


def _is_discrete(node: dict[str, Any]) -> bool:
    return bool(node["fn"].has_enumerate_support or node["fn"].support.is_discrete)


def _is_enumerated(node: dict[str, Any]) -> bool:
    wanted = node["infer"].get("enumerate", "parallel") == "parallel"
    return wanted and node["fn"].has_enumerate_support


def kinetic(momentum: Tensors, inverse_mass: Tensors) -> torch.Tensor:
    terms = [torch.sum(inverse_mass[name] * momentum[name] ** 2) for name in momentum]
    return 0.5 * torch.stack(terms).sum()


def stacked(points: Any) -> Tensors:
    return {name: torch.stack([point[name] for point in points]) for name in points[0]}


def _score(trace: Any) -> None:
    """Pyro's ``Trace.compute_log_prob``, with -inf where a value is outside its support.

    Pyro has no value there: it raises with validation, and without gives -inf, nan or a finite number, by
    family. The trace's own evaluators find the result in place of their own.
    """
    for node in samples(trace):
        fn, value = node["fn"], node["value"]
        inside = _in_support(fn, value)
        everywhere = bool(torch.all(inside))
        if not everywhere and fn.has_enumerate_support:
            # These look their value up in a table, and would raise.
            rows = inside.reshape(inside.shape + (1,) * fn.event_dim)
            value = torch.where(rows, value, fn.enumerate_support(expand=False)[0])
        with explain(NAME, f"the log probability of {node['name']!r} failed"):
            log_prob = fn.log_prob(value, *node["args"], **node["kwargs"])
        if not everywhere:
            log_prob = torch.where(inside, log_prob, -torch.inf)
        node["unscaled_log_prob"] = log_prob
        node["log_prob"] = scale_and_mask(log_prob, node["scale"], node["mask"])
        node["log_prob_sum"] = node["log_prob"].sum()


def _in_support(fn: Any, value: torch.Tensor) -> torch.Tensor:
    """Whether each element of the batch is inside its support, or masked out."""
    if isinstance(fn, dist.MaskedDistribution):
        mask = torch.as_tensor(fn._mask, device=value.device)
        return _in_support(fn.base_dist, value) | ~mask
    if isinstance(fn, dist.Independent):
        return _all_rightmost(_in_support(fn.base_dist, value), fn.reinterpreted_batch_ndims)
    if isinstance(fn, dist.ExpandedDistribution):
        return _in_support(fn.base_dist, value)
    if isinstance(fn, describing.NAN_MASKED):  # a missing value is left out of the density
        return torch.ones(value.shape[: value.dim() - fn.event_dim], dtype=torch.bool, device=value.device)
    if type(fn.support) is type(constraints.simplex):
        # torch allows 1e-6 in any precision, which a long float32 simplex does not keep.
        allowed = 1e-6 + 10 * value.shape[-1] * torch.finfo(value.dtype).eps
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < allowed)
    inside = fn.support.check(value)
    # Some constraints are on each element of an event.
    return _all_rightmost(inside, inside.dim() - value.dim() + fn.event_dim)


def _all_rightmost(inside: torch.Tensor, num_dims: int) -> torch.Tensor:
    for _ in range(num_dims):
        inside = inside.all(-1)
    return inside
