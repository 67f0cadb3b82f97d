"""NUTS on any NumPyro model, by the framework's own kernel, warmup and draws in two compiled programs."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpyro.infer import NUTS
from tqdm import tqdm

from numpyro_impl.compiled import beside, in_precision, kept
from numpyro_impl.program import Program
from numpyro_impl.randomness import fast_key, from_words, to_words
from numpyro_impl.runtime import NAME, seed_to_rng, synchronise, to_numpy, versions
from ppl_parity.backend.chains import (
    NUM_SEARCHES,
    WIDEST_STEP,
    by_chain,
    check_extras,
    checked_inverse_mass,
    fitted,
    flattened,
    run_attributes,
    starting_points,
)
from ppl_parity.backend.checks import check_settings, explain, refuse_subsampling
from ppl_parity.backend.contract import Arrays, Groups, Model, Values
from ppl_parity.backend.foreign import refuse_foreign
from ppl_parity.errors import InputError
from ppl_parity.orbits import ORBITS
from ppl_parity.spec import SamplerSettings

# Of each iteration, in ArviZ's names and the order of ``_record``.
STATISTICS = ("diverging", "n_steps", "tree_depth", "acceptance_rate", "step_size", "energy", "lp")

NUM_REPORTS = 40  # how often a progress bar moves in a run

# Of a chain, beyond which random bits in the program itself earn back the time that it then takes to compile: at 300
# rows a leapfrog takes 11 us with them and 12.4 with a call for each demand.
LONG = 20_000


def sample_posterior(
    model: Model,
    data: Mapping[str, Any],
    settings: SamplerSettings,
    *,
    initial_values: Values | None = None,
    inverse_mass: np.ndarray | None = None,
    max_plate_nesting: int | None = None,
    progress: bool = False,
) -> tuple[Groups, dict[str, Any]]:
    """See ``contract.Backend.sample_posterior``."""
    check_settings(NAME, settings)
    program = Program(
        model,
        data,
        precision=settings.precision,
        device=settings.device,
        max_plate_nesting=max_plate_nesting,
        num_shards=settings.num_shards,
    )
    return run_chains(
        program, settings, initial_values=initial_values, inverse_mass=inverse_mass, progress=progress
    )


def fit(
    model: Model,
    data: Mapping[str, Any],
    settings: SamplerSettings,
    *,
    initial_values: Values | None = None,
    inverse_mass: np.ndarray | None = None,
    max_plate_nesting: int | None = None,
    log_likelihood: bool = False,
    posterior_predictive: bool = False,
    progress: bool = False,
) -> Any:
    """See ``contract.Backend.fit``."""
    check_settings(NAME, settings)
    check_extras(settings, log_likelihood=log_likelihood, posterior_predictive=posterior_predictive)
    program = Program(
        model,
        data,
        precision=settings.precision,
        device=settings.device,
        max_plate_nesting=max_plate_nesting,
        num_shards=settings.num_shards,
    )
    refuse_foreign(NAME, program)
    sampled = run_chains(
        program, settings, initial_values=initial_values, inverse_mass=inverse_mass, progress=progress
    )
    return fitted(
        program,
        sampled,
        settings,
        log_likelihood=log_likelihood,
        posterior_predictive=posterior_predictive,
    )


def run_chains(
    program: Program,
    settings: SamplerSettings,
    *,
    initial_values: Values | None,
    inverse_mass: np.ndarray | None,
    progress: bool,
) -> tuple[Groups, dict[str, Any]]:
    """Run every chain from its own starting point; see ``contract.Backend.sample_posterior``."""
    unenumerable = sorted(set(program.discrete) - program.enumerated)
    if unenumerable:
        raise InputError(f"numpyro: NUTS needs {', '.join(unenumerable)} summed out, and it cannot be.")
    if not program.continuous:
        raise InputError("numpyro: NUTS needs a continuous latent site; the model has none.")
    if program.subsampled:  # the same few rows for the whole run
        refuse_subsampling(NAME, program.sites(), "for NUTS", ", and give None for it here")
    position = starting_points(program, settings, initial_values, program.continuous)
    inverse_mass = checked_inverse_mass(NAME, inverse_mass, position)
    with program.session():
        method, reason = chain_method(settings)
        began = time.perf_counter()
        with explain(NAME, "sampling failed"):
            draws = _sample(
                program, settings, in_precision(position), in_precision(inverse_mass), method, progress
            )
        seconds = time.perf_counter() - began
    unconstrained, stats = draws
    posterior = by_chain(program.constrain_draws(flattened(unconstrained)), settings)
    attributes = run_attributes(
        settings,
        initial_values,
        versions(),
        backend=NAME,
        kernel=program.kernel,
        chain_method=method,
        chain_method_reason=reason,
        potential=program.potential_kind,
        potential_reason="JAX compiles it together with the sampler",
        sampling_seconds=seconds,
    )
    return {"posterior": posterior, "sample_stats": stats}, attributes


def chain_method(settings: SamplerSettings) -> tuple[str, str]:
    """How the chains are run here, and why."""
    wanted, here = settings.chain_method, len(_devices(settings))
    if settings.num_shards > 1:
        if wanted == "parallel":
            raise InputError(
                "numpyro: the devices hold rows of the data, so chains cannot be parallel; use vectorized."
            )
        return wanted.replace("auto", "vectorized"), f"the rows are spread over {settings.num_shards} devices"
    if wanted != "auto":
        if wanted == "parallel" and here == 1:
            raise InputError(
                "numpyro: parallel chains need more than one JAX device; set XLA_FLAGS="
                "--xla_force_host_platform_device_count before JAX starts, or use vectorized."
            )
        return wanted, "as asked for"
    if settings.num_chains == 1:
        return "sequential", "one chain"
    if settings.device == "cpu" and here > 1:
        return "parallel", f"{_mesh(settings).size} JAX devices"
    return "vectorized", "one JAX device"


def _sample(
    program: Program,
    settings: SamplerSettings,
    position: dict[str, Any],
    inverse_mass: Any,
    method: str,
    progress: bool,
) -> tuple[Arrays, Arrays]:
    """One compiled program, which starts the chains and takes them from one iteration to another."""
    given = (program.arrays, inverse_mass)
    num_devices = _mesh(settings).size if method == "parallel" else 1
    key = ("nuts", method, num_devices, np.ndim(inverse_mass), replace(settings, seed=0))
    num_chains = settings.num_chains
    position = {name: _filled_up(value, _num_rows(settings, method)) for name, value in position.items()}
    compiled, shapes = kept(
        program,
        key,
        lambda: _compile(program, settings, given, position, method),
        num_devices=num_devices,
    )
    carried = [np.zeros(*one) for one in shapes]
    total = settings.num_warmup + settings.num_draws
    stride = max(1, total // NUM_REPORTS) if progress else total
    names = [*sorted(position), *STATISTICS]
    with tqdm(total=total, disable=not progress, desc=f"numpyro, {settings.num_chains} chains") as bar:
        for first in range(0, total, stride):
            last = min(first + stride, total)
            span = np.int32(first), np.int32(last)
            carried = compiled(*given, *span, np.uint32(settings.seed), position, carried)
            if progress:
                synchronise(carried)
            bar.update(last - first)
    recorded = dict(zip(names, to_numpy(carried[: len(names)]), strict=True))
    return {n: recorded[n][:num_chains] for n in position}, {n: recorded[n][:num_chains] for n in STATISTICS}


def _compile(
    program: Program, settings: SamplerSettings, given: tuple[Any, Any], position: dict[str, Any], method: str
) -> tuple[Any, list[tuple[tuple[int, ...], str]]]:
    """The program of a run, and the shapes and types of the numbers that it carries on.

    These are what is recorded of each draw, and then the kernel's state, as a flat list: a list can be read back
    without NumPyro's own classes.
    """

    def kernel(potential, inverse_mass):
        return NUTS(
            potential_fn=potential,
            target_accept_prob=settings.target_accept,
            max_tree_depth=settings.max_tree_depth,
            dense_mass=settings.dense_mass if inverse_mass is None else inverse_mass.ndim == 2,
            inverse_mass_matrix=inverse_mass,
            adapt_mass_matrix=settings.adapt_mass,
            **({} if settings.num_warmup else {"find_heuristic_step_size": True, "step_size": WIDEST_STEP}),
        )

    is_long = settings.num_warmup + settings.num_draws > LONG

    def key_of(seed):
        return seed_to_rng(seed) if program.shards or is_long else fast_key(seed, settings.device)

    def begin(nuts, key, position):
        init = functools.partial(
            nuts.init, num_warmup=settings.num_warmup, init_params=position, model_args=()
        )
        if settings.num_warmup:
            return _with_keys(to_words, init(key))
        keys = jax.random.split(jax.random.fold_in(key, 1), NUM_SEARCHES)
        searched = jax.vmap(lambda key: init(key).adapt_state.step_size)(keys)
        state = init(key)
        adapt = state.adapt_state._replace(step_size=jnp.min(searched) / 2)
        return _with_keys(to_words, state._replace(adapt_state=adapt))

    def nothing_yet(inverse_mass, position):
        # Any potential would do: shapes follow from the position.
        nuts = kernel(lambda u: sum(jnp.sum(value) for value in u.values()), inverse_mass)
        state = begin(nuts, key_of(0), jax.tree.map(lambda v: v[0], position))
        rows = jax.tree.map(lambda v: jnp.zeros((settings.num_draws, *jnp.shape(v)), v.dtype), _record(state))
        return rows, state

    empty = jax.eval_shape(nothing_yet, given[1], position)
    leaves, structure = jax.tree.flatten(empty)

    def advance(arrays, inverse_mass, first, last, key, position, carried):
        nuts = kernel(functools.partial(program.potential_function, arrays), inverse_mass)
        kept, state = jax.tree.unflatten(structure, carried)
        # Both branches are traced, so the kernel has its functions, which its init makes, wherever a run begins.
        state = jax.lax.cond(first == 0, lambda: begin(nuts, key, position), lambda: state)

        def iterate(i, carry):
            kept, state = carry
            if not settings.adapt_mass:
                state = _in_one_window(state)
            if settings.orbit != "any":
                state = _settled(state, i == settings.num_warmup, settings.orbit)
            state = nuts.sample(_with_keys(lambda words: from_words(words, key), state), (), {})
            state = _with_keys(to_words, state)
            # Warmup writes to the first row, which the first draw overwrites.
            row = jnp.maximum(i - settings.num_warmup, 0)
            kept = jax.tree.map(lambda all_, new: all_.at[row].set(new), kept, _record(state))
            return kept, state

        return jax.tree.leaves(jax.lax.fori_loop(first, last, iterate, (kept, state)))

    def run(arrays, inverse_mass, first, last, seed, position, carried):
        keys = _filled_up(jax.random.split(key_of(seed), settings.num_chains), num_rows)
        every = _over_chains(advance, method, settings, num_shared=4)
        return every(arrays, inverse_mass, first, last, keys, position, carried)

    num_rows = _num_rows(settings, method)
    shapes = [((num_rows, *leaf.shape), str(leaf.dtype)) for leaf in leaves]
    shardings = {}
    if method == "parallel":
        mesh = _mesh(settings)
        same, split = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("chains",)))
        shardings = {"in_shardings": (*(same,) * 5, split, split), "out_shardings": split}
    carried = [jax.ShapeDtypeStruct(*one) for one in shapes]
    first = np.int32(0)
    jitted = program.jit(run, **shardings)
    if program.shards is not None:  # what is spread how, is known at the call
        return jitted, shapes
    lowered = jitted.lower(*given, first, first, np.uint32(0), position, carried)
    num_draws = settings.num_chains * settings.num_draws
    ahead = functools.partial(program.compile_ahead, num_draws, {n: v[0] for n, v in position.items()})
    return beside(lowered.compile, ahead), shapes


def _with_keys(convert: Callable[[Any], Any], state: Any) -> Any:
    """A state of NumPyro's with each of its keys converted."""
    adapt = state.adapt_state
    adapt = adapt._replace(rng_key=convert(adapt.rng_key))
    return state._replace(rng_key=convert(state.rng_key), adapt_state=adapt)


def _in_one_window(state: Any) -> Any:
    """Keep NumPyro's adaptation in its first window.

    At the end of each later one it begins the step size anew, even where there is no mass to adapt.
    """
    adapt = state.adapt_state
    return state._replace(adapt_state=adapt._replace(window_idx=jnp.zeros_like(adapt.window_idx)))


def _settled(state: Any, at_end: Any, orbit: str) -> Any:
    """At the end of warmup, the step size of ``orbit`` in place of one that makes it more."""
    low, high, to = ORBITS[orbit]
    adapt = state.adapt_state
    more = (adapt.step_size > low) & (adapt.step_size < high)
    step_size = jnp.where(at_end & more, to, adapt.step_size)
    return state._replace(adapt_state=adapt._replace(step_size=step_size))


def _record(state: Any) -> tuple[list[Any], list[Any]]:
    """What is kept of an iteration: the position by sorted names, then ``STATISTICS``."""
    depth = jnp.floor(jnp.log2(state.num_steps)).astype(state.num_steps.dtype) + 1
    return [state.z[name] for name in sorted(state.z)], [
        state.diverging,
        state.num_steps,
        depth,
        state.accept_prob,
        state.adapt_state.step_size,
        state.energy,
        -state.potential_energy,
    ]


def _over_chains(
    function: Callable[..., Any], method: str, settings: SamplerSettings, *, num_shared: int
) -> Any:
    """One chain's function for all chains; its first ``num_shared`` arguments are the same for each."""

    def mapped(*arguments: Any) -> Any:
        shared, own = arguments[:num_shared], arguments[num_shared:]
        if method == "sequential":
            return jax.lax.map(lambda one: function(*shared, *one), own)
        vectorized = jax.vmap(lambda *one: function(*shared, *one))
        if method == "vectorized":
            return vectorized(*own)
        chains = PartitionSpec("chains")
        over_devices = jax.shard_map(
            lambda shared, own: jax.lax.map(lambda one: function(*shared, *one), own),
            mesh=_mesh(settings),
            in_specs=(PartitionSpec(), chains),
            out_specs=chains,
            check_vma=False,
        )
        return over_devices(shared, own)

    return mapped


def _mesh(settings: SamplerSettings) -> Mesh:
    """The fewest devices that have the longest queue of chains as short as all of them would."""
    devices = _devices(settings)
    queue = math.ceil(settings.num_chains / len(devices))
    return Mesh(np.array(devices[: math.ceil(settings.num_chains / queue)]), ("chains",))


def _num_rows(settings: SamplerSettings, method: str) -> int:
    """The chains, and as many more as give each device as many: no longer than the longest queue."""
    size = _mesh(settings).size if method == "parallel" else 1
    return math.ceil(settings.num_chains / size) * size


def _filled_up(chains: Any, num_rows: int) -> Any:
    """The last chain again, up to so many rows."""
    missing = num_rows - len(chains)
    return jnp.concatenate([chains, *[chains[-1:]] * missing]) if missing else chains


def _devices(settings: SamplerSettings) -> list[Any]:
    """What chains can be spread over: the CPU's devices also where JAX would take another's by itself."""
    return list(jax.local_devices(backend="cpu" if settings.device == "cpu" else None))  # JAX's own list
