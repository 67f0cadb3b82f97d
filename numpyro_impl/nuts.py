"""NUTS on any NumPyro model, by the framework's own kernel, warmup and draws in two compiled programs."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from numpyro.infer import NUTS
from tqdm import tqdm

from numpyro_impl.program import Program
from numpyro_impl.runtime import NAME, seed_to_rng, synchronise, to_framework, to_numpy, versions
from ppl_parity.completion import complete, observed_values
from ppl_parity.contract import Arrays, Groups, Model, Values
from ppl_parity.errors import InputError
from ppl_parity.spec import SamplerSettings

NUM_REPORTS = 40  # how often a progress bar moves in a run


def sample_posterior(
    model: Model,
    data: Mapping[str, Any],
    settings: SamplerSettings,
    *,
    initial_values: Values | None = None,
    max_plate_nesting: int | None = None,
    progress: bool = False,
) -> tuple[Groups, dict[str, Any]]:
    """See ``contract.Backend.sample_posterior``."""
    program = Program(
        model,
        data,
        precision=settings.precision,
        device=settings.device,
        max_plate_nesting=max_plate_nesting,
    )
    return run_chains(program, settings, initial_values=initial_values, progress=progress)


def fit(
    model: Model,
    data: Mapping[str, Any],
    settings: SamplerSettings,
    *,
    initial_values: Values | None = None,
    max_plate_nesting: int | None = None,
    log_likelihood: bool = False,
    posterior_predictive: bool = False,
    progress: bool = False,
) -> Any:
    """See ``contract.Backend.fit``."""
    from ppl_parity.posterior import to_datatree  # ArviZ is slow to import, seldom needed

    program = Program(
        model,
        data,
        precision=settings.precision,
        device=settings.device,
        max_plate_nesting=max_plate_nesting,
    )
    groups, attributes = run_chains(program, settings, initial_values=initial_values, progress=progress)
    groups = complete(
        program,
        groups,
        observed_values(program),
        seed=settings.seed,
        log_likelihood=log_likelihood,
        posterior_predictive=posterior_predictive,
    )
    return to_datatree(groups, attributes)


def run_chains(
    program: Program, settings: SamplerSettings, *, initial_values: Values | None, progress: bool
) -> tuple[Groups, dict[str, Any]]:
    """Run every chain from its own starting point; see ``contract.Backend.sample_posterior``."""
    unenumerable = sorted(set(program.discrete) - program.enumerated)
    if unenumerable:
        raise InputError(f"numpyro: NUTS needs {', '.join(unenumerable)} summed out, and it cannot be.")
    position = starting_points(program, settings, initial_values)
    with program.session():
        method, reason = chain_method(settings)
        began = time.perf_counter()
        draws = _sample(program, settings, to_framework(position), method, progress)
        seconds = time.perf_counter() - began
    unconstrained, stats = draws
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in unconstrained.items()}
    shape = (settings.num_chains, settings.num_draws)
    posterior = {
        name: value.reshape(*shape, *value.shape[1:]) for name, value in program.constrain_draws(flat).items()
    }
    explicit = initial_values is not None and settings.init != "kmeans"
    attributes = {
        "backend": NAME,
        "versions": json.dumps(versions()),
        "settings": json.dumps(settings.as_dict() | ({"init": "explicit"} if explicit else {})),
        "precision": settings.precision,
        "device": settings.device,
        "chain_method": method,
        "chain_method_reason": reason,
        "potential": "compiled",
        "potential_reason": "JAX compiles the program together with the sampler",
        "sampling_seconds": seconds,
    }
    return {"posterior": posterior, "sample_stats": stats}, attributes


def starting_points(program: Program, settings: SamplerSettings, initial_values: Values | None) -> Arrays:
    """Unconstrained starting points, (num_chains, ...) a site: the given ones, or by strategy."""
    if initial_values is None:
        if settings.init == "kmeans":
            raise InputError(
                "The start 'kmeans' belongs to the mixture; ppl_parity.starts computes its values."
            )
        return program.initial(settings.init, num_chains=settings.num_chains, seed=settings.seed)
    chains = []
    for chain in range(settings.num_chains):
        for name, value in initial_values.items():
            if len(value) != settings.num_chains:
                raise InputError(
                    f"Starting values of {name!r} must be given for {settings.num_chains} chains; "
                    f"got {len(value)}."
                )
        chains.append(program.unconstrain({n: np.asarray(v)[chain] for n, v in initial_values.items()}))
    return {name: np.stack([point[name] for point in chains]) for name in program.continuous}


def chain_method(settings: SamplerSettings) -> tuple[str, str]:
    """How the chains are run here, and why."""
    wanted, here = settings.chain_method, len(jax.local_devices())
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
        return "parallel", f"{here} JAX devices"
    return "vectorized", "one JAX device"


def _sample(
    program: Program, settings: SamplerSettings, position: dict[str, Any], method: str, progress: bool
) -> tuple[Arrays, Arrays]:
    total = settings.num_warmup + settings.num_draws
    keys = jax.random.split(seed_to_rng(settings.seed), settings.num_chains)
    arrays = program.arrays

    def kernel(arrays, key, position):
        nuts = NUTS(
            potential_fn=functools.partial(program.potential_function, arrays),
            target_accept_prob=settings.target_accept,
            max_tree_depth=settings.max_tree_depth,
            dense_mass=settings.dense_mass,
        )
        return nuts, nuts.init(key, settings.num_warmup, position, (), {})

    def start(arrays, key, position):
        _, state = kernel(arrays, key, position)
        empty = jax.tree.map(lambda v: jnp.zeros((settings.num_draws, *v.shape), v.dtype), _record(state))
        return state, empty

    def advance(arrays, begin, end, state, kept):
        # The kernel's update functions exist only after its init; the state made here is dropped.
        nuts, _ = kernel(arrays, state.rng_key, state.z)

        def iterate(i, carry):
            state, kept = carry
            state = nuts.sample(state, (), {})
            # Warmup writes to the first row, which the first draw overwrites.
            row = jnp.maximum(i - settings.num_warmup, 0)
            kept = jax.tree.map(lambda all_, new: all_.at[row].set(new), kept, _record(state))
            return state, kept

        return jax.lax.fori_loop(begin, end, iterate, (state, kept))

    key = ("nuts", method, len(jax.local_devices()), replace(settings, seed=0))
    if key not in program.compiled:
        program.compiled[key] = tuple(
            jax.jit(_over_chains(function, method, settings.num_chains, num_shared=num_shared))
            for function, num_shared in ((start, 1), (advance, 3))
        )
    start, advance = program.compiled[key]
    state, kept = start(arrays, keys, position)
    stride = max(1, total // NUM_REPORTS) if progress else total
    with tqdm(total=total, disable=not progress, desc=f"numpyro, {settings.num_chains} chains") as bar:
        for begin in range(0, total, stride):
            end = min(begin + stride, total)
            state, kept = advance(arrays, jnp.asarray(begin), jnp.asarray(end), state, kept)
            if progress:
                synchronise(state)
            bar.update(end - begin)
    unconstrained, stats = to_numpy(kept)
    return unconstrained, stats


def _record(state: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is kept of an iteration, in ArviZ's names."""
    depth = jnp.floor(jnp.log2(state.num_steps)).astype(state.num_steps.dtype) + 1
    return state.z, {
        "diverging": state.diverging,
        "n_steps": state.num_steps,
        "tree_depth": depth,
        "acceptance_rate": state.accept_prob,
        "step_size": state.adapt_state.step_size,
        "energy": state.energy,
        "lp": -state.potential_energy,
    }


def _over_chains(function: Callable[..., Any], method: str, num_chains: int, *, num_shared: int) -> Any:
    """One chain's function for all chains; its first ``num_shared`` arguments are the same for each."""

    def mapped(*arguments: Any) -> Any:
        shared, own = arguments[:num_shared], arguments[num_shared:]
        if method == "sequential":
            return jax.lax.map(lambda one: function(*shared, *one), own)
        vectorized = jax.vmap(lambda *one: function(*shared, *one))
        if method == "vectorized":
            return vectorized(*own)
        devices = jax.local_devices()
        while num_chains % len(devices):
            devices.pop()
        chains = PartitionSpec("chains")
        over_devices = jax.shard_map(
            lambda shared, own: jax.lax.map(lambda one: function(*shared, *one), own),
            mesh=Mesh(np.array(devices), ("chains",)),
            in_specs=(PartitionSpec(), chains),
            out_specs=chains,
            check_vma=False,
        )
        return over_devices(shared, own)

    return mapped
