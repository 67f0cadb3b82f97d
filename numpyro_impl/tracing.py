"""A NumPyro model bound to its data: what it consists of, and how each quantity is asked of the framework."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.infer import hmc_util, init_to_sample, init_to_uniform
from numpyro.infer import util as infer
from numpyro.primitives import Messenger

from numpyro_impl import sites as describing
from numpyro_impl.compiled import compile_options, kept, shapes_of, shared
from numpyro_impl.discrete import tilt
from numpyro_impl.holding import EachArray
from numpyro_impl.runtime import NAME, seed_to_rng, session, to_framework, to_numpy
from numpyro_impl.sharding import Shards, check_shards, spread, use
from ppl_parity.backend.checks import check_model, check_values, explain, refuse_varying
from ppl_parity.backend.contract import Arrays, Model, Values
from ppl_parity.backend.of_discrete import moved_by
from ppl_parity.backend.plain import plain
from ppl_parity.errors import one_of
from ppl_parity.spec import PRECISIONS

# Arrays of numbers are arguments of the compiled functions, so that these serve other data of the same shape;
# small integer and boolean arrays are constants in them, so that a model may use them as Python would (a
# length, a range, a branch).
LARGE = 10_000

# What JAX raises where a model asks of its data, or of a draw, what only a number can answer: a model may.
NEEDS_NUMBERS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)

NUM_RUNS = 4  # that must draw the same sites before anything is asked of a model

INIT_STRATEGIES = {"uniform": init_to_uniform, "prior": init_to_sample}


class _WideCarries(Messenger):
    """Let a ``scan`` carry whole numbers that a model begins with as int32, where its draws are int64.

    Without x64, as people run such a model, draws are int32, and NumPyro's own examples say ``jnp.int32`` of the first.
    """

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "control_flow":
            msg["fn"] = partial(_scanned, msg["fn"])


def _scanned(scan: Callable[..., Any], body: Any, init: Any, *rest: Any, **options: Any) -> Any:
    try:
        return scan(body, init, *rest, **options)
    except TypeError as error:
        wide = jax.tree.map(_widened, init)
        if jax.tree.map(jnp.result_type, wide) == jax.tree.map(jnp.result_type, init):
            raise
        if not {"int32", "int64"} <= set(re.findall(r"\w+", str(error))):
            raise
        return scan(body, wide, *rest, **options)


def _widened(value: Any) -> Any:
    return value.astype("int64") if getattr(value, "dtype", None) == jnp.int32 else value


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
        self.run = EachArray(_WideCarries(model))
        check_shards(model, device, num_shards)
        data = getattr(model, "prepared", dict)(plain(data))
        self.shards: Shards | None = None
        self.deterministic: list[str] = []
        with self.session():
            if num_shards > 1:
                x, self.shards = spread(np.asarray(data["x"], dtype=precision), device)
                data = {**data, "x": x}
            self.leaves, self.structure = jax.tree.flatten(to_framework(data, self.precision))
            self.passed = [i for i, leaf in enumerate(self.leaves) if _is_argument(leaf)]
            self.arrays = [self.leaves[i] for i in self.passed]
            with explain(NAME, "the model cannot be run on these data"):
                nodes = self._skeleton()
        samples = {name: node for name, node in nodes.items() if node["type"] == "sample"}
        latent = {name: node for name, node in samples.items() if not node["is_observed"]}
        self.shapes = {name: node["shape"] for name, node in latent.items()}
        self.discrete = [name for name, node in latent.items() if node["discrete"]]
        self.continuous = [name for name in latent if name not in self.discrete]
        self.enumerated = frozenset(name for name, node in latent.items() if node["enumerated"])
        self.observed = [n for n, node in samples.items() if node["is_observed"] and not node["factor"]]
        self.subsampled = {n: node["shape"] for n, node in nodes.items() if node["type"] == "plate"}
        self.learned = {n: node["shape"] for n, node in nodes.items() if node["type"] == "param"}
        dims = [dim for node in samples.values() for dim in node["dims"]]
        self.max_plate_nesting = max_plate_nesting if max_plate_nesting is not None else -min(dims, default=0)
        self.compiled = shared(self)

    @contextmanager
    def session(self) -> Iterator[None]:
        """This program's precision and device, for the length of a block.

        A model may keep its parameters, and its sums over the data, in float64 whatever the precision of
        its data (``contract.Program``).
        """
        wide = getattr(self.model, "float64_parameters", False)
        with session("float64" if wide else self.precision, self.device), use(self.shards):
            yield

    def jit(self, function: Callable[..., Any], **shardings: Any) -> Any:
        """``jax.jit``; where rows are spread over devices, what comes out is the same on each."""
        if self.shards is not None:
            shardings = {"out_shardings": self.shards.replicated}
        num_data = sum(array.size for array in self.arrays)
        options = compile_options(self.model, self.device, num_data)
        return jax.jit(function, compiler_options=options, **shardings)

    @property
    def kernel(self) -> str:
        """What computes the density, in words."""
        described = getattr(self.model, "kernel", None)
        return "the framework's own operations" if described is None else described(self.device)

    @property
    def potential_kind(self) -> str:
        """``direct`` where the model brings a potential for its data, else ``compiled``, from the program itself."""
        own = hasattr(self.model, "direct_potential") and self.observed and not self.enumerated
        return "direct" if own else "compiled"

    # What the samplers compile: pure functions of (large arrays, unconstrained values).

    def potential_function(self, arrays: list[Any], unconstrained: dict[str, Any]) -> Any:
        if self.potential_kind == "direct":
            return self.model.direct_potential(**self.arguments(arrays))(unconstrained)
        if self.enumerated:
            return infer.potential_energy(
                self._summed_out(), (), self.arguments(arrays), unconstrained, enum=True
            )
        return infer.potential_energy(self._seeded(), (), self.arguments(arrays), unconstrained)

    def constrain_function(self, arrays: list[Any], unconstrained: dict[str, Any]) -> dict[str, Any]:
        data = self.arguments(arrays)
        found = infer.constrain_fn(self._seeded(), (), data, unconstrained, return_deterministic=True)
        return {name: value for name, value in found.items() if name not in self._of_discrete}

    # The rest is private: how each quantity is asked of the framework.

    def _seeded(self) -> Any:
        return handlers.seed(self.run, seed_to_rng(0))

    def _summed_out(self, tilts: dict[str, Any] | None = None) -> Any:
        from numpyro.contrib.funsor import config_enumerate, enum  # slow to import, seldom needed

        return enum(config_enumerate(tilt(self._seeded(), tilts or {})), -1 - self.max_plate_nesting)

    def arguments(self, arrays: list[Any]) -> dict[str, Any]:
        leaves = list(self.leaves)
        for i, array in zip(self.passed, arrays, strict=True):
            leaves[i] = array
        return jax.tree.unflatten(self.structure, leaves)

    @cached_property
    def _of_discrete(self) -> frozenset[str]:
        if not (self.discrete and self.deterministic):
            return frozenset()
        with self.session(), jax.ensure_compile_time_eval():  # asked while another function is traced
            nodes = self._trace(self.arrays, {})
            values = {n: np.asarray(nodes[n]["value"]) for n in self.shapes}

            def run(arrays, given):
                found = self._trace(arrays, given)
                return {n: found[n]["value"] for n in self.deterministic}

            jitted = jax.jit(run)

            def computed(given: Arrays) -> Arrays:
                ours = {name: jnp.asarray(value) for name, value in given.items()}  # what a scan can index
                try:
                    return to_numpy(jitted(self.arrays, ours))
                except NEEDS_NUMBERS:
                    return to_numpy(run(self.arrays, ours))

            return moved_by(values, {n: _support(nodes[n]["fn"]) for n in self.discrete}, computed)

    def _trace(self, arrays: list[Any], values: dict[str, Any], key: Any = None) -> dict[str, Any]:
        seeded = handlers.seed(self.run, seed_to_rng(0) if key is None else key)
        given = handlers.substitute(handlers.substitute(seeded, data=values), substitute_fn=_of_improper)
        return handlers.trace(given).get_trace(**self.arguments(arrays))

    def _skeleton(self) -> dict[str, dict[str, Any]]:
        """Names, kinds and shapes: traced without arithmetic, or with it where the model needs numbers."""
        nodes: dict[str, dict[str, Any]] = {}

        def run(arrays, seed=0):
            trace = self._trace(arrays, {}, seed_to_rng(seed))
            self.deterministic = [n for n, node in trace.items() if node["type"] == "deterministic"]
            for name, node in trace.items():
                if node["type"] == "sample":
                    nodes[name] = _outline(node)
                elif node["type"] == "plate" and len(node["value"]) < node["args"][0]:
                    nodes[name] = {"type": "plate", "shape": np.shape(node["value"])}
                elif node["type"] == "param" and _is_leaf(node["value"]):
                    nodes[name] = {"type": "param", "shape": np.shape(node["value"])}
            return 0

        def traced() -> bool:
            nodes.clear()
            try:
                jax.eval_shape(run, self.arrays)
            except NEEDS_NUMBERS:
                return False
            return True

        leaves = self.leaves
        if not traced() and not self._of_numpy(traced):
            # The model uses its data, or its draws, as Python numbers: the data become constants.
            nodes.clear()
            self.leaves, self.passed, self.arrays = leaves, [], []
            run(self.arrays)
            for seed in range(1, NUM_RUNS):  # such a model may draw as many sites as a draw says
                shapes = {name: tuple(node["shape"]) for name, node in nodes.items()}
                nodes.clear()
                run(self.arrays, seed)
                refuse_varying(NAME, shapes, {name: tuple(node["shape"]) for name, node in nodes.items()})
        return nodes

    def _of_numpy(self, traced: Callable[[], bool]) -> bool:
        """Whether the model can be traced with data of NumPy, as it would be given them without this program.

        What is computed of a constant of JAX has no value while JAX traces, ``int(group.max())`` say; what NumPy
        computes has. First the small integers alone become NumPy's, then all data.
        """
        for keep in (self.passed, []):
            self.leaves = [
                leaf if i in keep or not isinstance(leaf, jax.Array) else np.asarray(leaf)
                for i, leaf in enumerate(self.leaves)
            ]
            self.passed, self.arrays = list(keep), [self.leaves[i] for i in keep]
            try:
                if traced():
                    return True
            except Exception:  # what NumPy's arrays lack, such as .at, or an index that is traced
                continue
        return False

    def _given(self, values: Values, required: Any) -> dict[str, Any]:
        check_values(NAME, values, {**self.shapes, **self.subsampled, **self.learned}, required=required)
        return to_framework({name: self._counted(name, np.asarray(value)) for name, value in values.items()})

    def _counted(self, name: str, value: np.ndarray) -> np.ndarray:
        """Integers for a discrete site, which may be an index here: Pyro's Bernoulli and Poisson give floats."""
        whole = name in self.discrete and value.dtype.kind == "f" and bool(np.all(value == np.round(value)))
        return value.astype(int) if whole else value

    def _call(
        self, name: str, function: Callable[..., Any], given: Any, required: Any = None, *, keep: bool = False
    ) -> Any:
        """``function`` of the large arrays and of ``given``, compiled once; ``keep`` it for other processes too."""
        with self.session():
            if required is not None:
                given = self._given(given, required)
            elif not isinstance(given, np.ndarray):
                given = jax.tree.map(lambda value: to_framework(np.asarray(value)), given)
            with explain(NAME, f"{name.replace('_', ' ')} failed"):
                if keep and self.shards is None:
                    return to_numpy(self._kept(name, function, given)(self.arrays, given))
                if name not in self.compiled:
                    self.compiled[name] = self.jit(function)
                return to_numpy(self.compiled[name](self.arrays, given))

    def _kept(self, name: str, function: Callable[..., Any], given: Any) -> Any:
        def build() -> tuple[Any, None]:
            return self.jit(function).lower(self.arrays, given).compile(), None

        return kept(self, (name, shapes_of(given)), build)[0]

    def _site_log_probs(self, arrays, values):
        return infer.compute_log_probs(
            self._seeded(), (), self.arguments(arrays), values, sum_log_prob=False
        )[0]

    def _log_density(self, arrays, values, tilts=None):
        if not self.enumerated:
            return infer.log_density(self._seeded(), (), self.arguments(arrays), values)[0]
        from numpyro.contrib.funsor import log_density  # slow to import, seldom needed

        return log_density(self._summed_out(tilts), (), self.arguments(arrays), values)[0]

    def _discrete_marginals(self, arrays, values):
        trace = self._trace(arrays, values)
        shapes = {
            name: (*trace[name]["fn"].batch_shape, len(trace[name]["fn"].enumerate_support(expand=False)))
            for name in self.enumerated
            if name not in values
        }
        tilts = {name: jnp.zeros(shape) for name, shape in shapes.items()}
        return jax.grad(lambda tilts: self._log_density(arrays, values, tilts))(tilts)

    def _bijections(self, trace: dict[str, Any]) -> dict[str, Any]:
        return {name: dist.biject_to(trace[name]["fn"].support) for name in self.continuous}

    def _unconstrain(self, arrays, values):
        bijections = self._bijections(self._trace(arrays, values))
        return {name: bijections[name].inv(values[name]) for name in self.continuous}

    def _log_abs_det_jacobian(self, arrays, unconstrained):
        values = self.constrain_function(arrays, unconstrained)
        trace = self._trace(arrays, {name: values[name] for name in self.continuous})
        return {
            name: jnp.sum(bijection.log_abs_det_jacobian(unconstrained[name], values[name]))
            for name, bijection in self._bijections(trace).items()
        }

    def _leapfrog(self, arrays, position, momentum, inverse_mass, step_size, *, num_steps):
        mass = ravel_pytree(inverse_mass)[0]
        kinetic = hmc_util.euclidean_kinetic_energy
        start, step = hmc_util.velocity_verlet(lambda u: self.potential_function(arrays, u), kinetic)

        def advance(state, _):
            state = step(step_size, mass, state)
            return state, state

        first = start(position, momentum)
        _, rest = jax.lax.scan(advance, first, None, length=num_steps)
        path = jax.tree.map(lambda one, many: jnp.concatenate([one[None], many]), first, rest)
        energy = path.potential_energy + jax.vmap(lambda r: kinetic(mass, r))(path.r)
        return path.z, path.r, path.potential_energy, energy

    def _vector_jacobian(self, arrays, given):
        held, moved, vectors = given

        def computed(moved):
            trace = self._trace(arrays, {**held, **moved})
            return {name: trace[name]["value"] for name in vectors}

        _, pull_back = jax.vjp(computed, moved)
        return jax.vmap(pull_back)(vectors)[0]

    def _start(self, strategy: str) -> Callable[..., Any]:
        def start(arrays, words):
            key = jax.random.fold_in(jax.random.fold_in(seed_to_rng(words[0]), words[1]), words[2])
            seeded = handlers.seed(self.run, key)
            model = handlers.substitute(seeded, substitute_fn=INIT_STRATEGIES[strategy])
            trace = handlers.trace(model).get_trace(**self.arguments(arrays))
            bijections = self._bijections(trace)
            return {name: bijections[name].inv(trace[name]["value"]) for name in self.continuous}

        return start

    def _log_likelihood(self, arrays, draws):
        def one(values):
            log_probs = self._site_log_probs(arrays, values)
            return {name: log_probs[name] for name in self.observed}

        return jax.lax.map(one, draws, batch_size=1000)


def _support(fn: Any) -> np.ndarray | None:
    """The possible values of a discrete site, in any shape; None where there is no end of them, or none is known."""
    try:
        return np.asarray(fn.enumerate_support(expand=False)) if fn.has_enumerate_support else None
    except NotImplementedError:  # of trials whose numbers differ
        return None


def _of_improper(site: dict[str, Any]) -> Any:
    """A value for a site that nothing can be drawn from, so that a model can be traced."""
    if site["type"] != "sample" or site["is_observed"] or site["value"] is not None:
        return None
    base = site["fn"]
    while hasattr(base, "base_dist"):
        base = base.base_dist
    return init_to_uniform(site) if isinstance(base, dist.ImproperUniform) else None


def _is_leaf(value: Any) -> bool:
    """Whether a param is one array; a network's is a tree of them."""
    return jax.tree_util.all_leaves([value])


def _is_argument(leaf: Any) -> bool:
    if not isinstance(leaf, jax.Array):
        return False
    return jnp.issubdtype(leaf.dtype, jnp.floating) or leaf.size > LARGE


def _outline(node: dict[str, Any]) -> dict[str, Any]:
    fn = node["fn"]
    discrete = not node["is_observed"] and bool(fn.support.is_discrete)
    wanted = node["infer"].get("enumerate", "parallel") == "parallel"
    return {
        "type": "sample",
        "is_observed": node["is_observed"],
        "factor": describing.is_factor(node),
        "shape": np.shape(node["value"]),
        "discrete": discrete,
        "enumerated": discrete and wanted and fn.has_enumerate_support,
        "dims": [frame.dim for frame in node["cond_indep_stack"]],
    }
