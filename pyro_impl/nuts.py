"""NUTS on any Pyro model, by the framework's own kernel: a process for each chain, or one after the other."""

from __future__ import annotations

import logging
import pickle
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.machinery import PathFinder
from typing import Any

import cloudpickle
import loky
import numpy as np
import torch
from pyro.infer import MCMC, NUTS

from ppl_parity import native
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
from ppl_parity.process.defaults import default_precision
from ppl_parity.process.leaving import end_with_parent
from ppl_parity.spec import SamplerSettings
from pyro_impl.compiled import SamplingPotential, known_gradients, one_thread, sampling_potential
from pyro_impl.program import Program
from pyro_impl.runtime import NAME, seed_to_rng, to_framework, to_numpy, versions

IDLE_SECONDS = 30  # how long chain processes wait for the next fit: torch takes seconds to import


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
        raise InputError(f"pyro: NUTS needs {', '.join(unenumerable)} summed out, and it cannot be.")
    if not program.continuous:
        raise InputError("pyro: NUTS needs a continuous latent site; the model has none.")
    if program.subsampled:  # the same few rows for the whole run
        refuse_subsampling(NAME, program.sites(), "for NUTS", ", and give None for it here")
    method, reason = chain_method(settings)
    position = starting_points(program, settings, initial_values, program.continuous)
    inverse_mass = checked_inverse_mass(NAME, inverse_mass, position)
    began = time.perf_counter()
    num_iterations = settings.num_chains * (settings.num_warmup + settings.num_draws)
    with explain(NAME, "sampling failed"):
        potential = sampling_potential(program, position, num_iterations)
    unconstrained, stats, method, reason = _sample(
        program, settings, potential, position, inverse_mass, method, reason, progress
    )
    if not stats.pop("holds").all():
        potential = replace(
            potential, kind="eager", reason="a recording left the program in mid-run", graph=None
        )
        unconstrained, stats, method, reason = _sample(
            program, settings, potential, position, inverse_mass, method, reason, progress
        )
        stats.pop("holds")
    seconds = time.perf_counter() - began
    posterior = by_chain(program.constrain_draws(flattened(unconstrained)), settings)
    attributes = run_attributes(
        settings,
        initial_values,
        versions(),
        backend=NAME,
        kernel=program.kernel,
        chain_method=method,
        chain_method_reason=reason,
        potential=potential.kind,
        potential_reason=potential.reason,
        sampling_seconds=seconds,
    )
    return {"posterior": posterior, "sample_stats": stats}, attributes


def chain_method(settings: SamplerSettings) -> tuple[str, str]:
    """How the chains are run here, and why."""
    wanted, here = settings.chain_method, loky.cpu_count()
    if wanted == "vectorized":
        raise InputError("pyro cannot run chains vectorized; numpyro can. Use parallel or sequential.")
    if wanted != "auto":
        return wanted, "as asked for"
    if settings.num_chains == 1:
        return "sequential", "one chain"
    if here > 1:
        return "parallel", f"{here} cores"
    return "sequential", "one core"


class _RecordingNUTS(NUTS):
    """Pyro's NUTS, which remembers of an iteration what it has in hand; it draws nothing of its own."""

    def __init__(self, *args: Any, inverse_mass: torch.Tensor | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._given_inverse_mass = inverse_mass
        self.accept_probs: list[float] = []
        self._drops: dict[int, Any] = {}
        self._drop = self._energy = 0.0

    def setup(self, warmup_steps: int, *args: Any, **kwargs: Any) -> None:
        super().setup(warmup_steps, *args, **kwargs)
        if self._given_inverse_mass is not None:  # Pyro has no argument for it
            (sites,) = self.mass_matrix_adapter.mass_matrix_size
            self.mass_matrix_adapter.inverse_mass_matrix = {sites: self._given_inverse_mass}
            self._adapter.reset_step_size_adaptation(self.initial_params)
        if warmup_steps == 0:
            self._adapter.step_size = min(self._searched() for _ in range(NUM_SEARCHES)) / 2

    def _searched(self) -> float:
        self._adapter.step_size = WIDEST_STEP
        return self._find_reasonable_step_size(self.initial_params)

    def sample(self, params: Any) -> Any:
        self.accept_probs, self._drops, self._drop = [], {}, 0.0
        return super().sample(params)

    def _build_basetree(self, z: Any, r: Any, z_grads: Any, log_slice: Any, direction: Any, energy: Any):
        tree = super()._build_basetree(z, r, z_grads, log_slice, direction, energy)
        self.accept_probs.append(float(tree.sum_accept_probs))
        # With multinomial sampling a leaf's log weight is the energy at the start less its own.
        self._drops[id(tree.z_proposal)] = tree.weight
        self._energy = energy
        return tree

    def _cache(self, z: Any, potential_energy: Any, z_grads: Any = None) -> None:
        self._drop = self._drops.get(id(z), 0.0)
        super()._cache(z, potential_energy, z_grads)

    def settle(self, orbit: str) -> None:
        """At the end of warmup, the step size of ``orbit`` in place of one that makes it more."""
        low, high, to = ORBITS[orbit]
        if low < self.step_size < high:
            self._adapter.step_size = to

    def record(self, draw: int) -> dict[str, Any]:
        """What is kept of an iteration, in ArviZ's names; energy is of the draw, with its own momentum."""
        potential: Any = self._potential_energy_last
        return {
            "diverging": draw in self._divergences[-1:],
            "n_steps": len(self.accept_probs),
            "tree_depth": len(self.accept_probs).bit_length(),
            "acceptance_rate": float(np.mean(self.accept_probs)),
            "step_size": float(self.step_size),
            "energy": float(self._energy - self._drop),
            "lp": -float(potential),
        }


def _sample(
    program: Program,
    settings: SamplerSettings,
    potential: SamplingPotential,
    position: Arrays,
    inverse_mass: np.ndarray | None,
    method: str,
    reason: str,
    progress: bool,
) -> tuple[Arrays, Arrays, str, str]:
    streams = np.random.SeedSequence(settings.seed).spawn(settings.num_chains)
    tasks = [
        (
            {name: np.asarray(value[chain]) for name, value in position.items()},
            inverse_mass,
            int(stream.generate_state(1)[0]),
        )
        for chain, stream in enumerate(streams)
    ]
    results = None
    if method == "parallel":
        try:
            executor, packed = _processes(program, settings)
        except Exception as error:
            why = f"chain processes cannot be started here ({type(error).__name__}: {error})"
            if settings.chain_method == "parallel":
                raise InputError(f"pyro: {why}; use sequential.") from error
            method, reason = "sequential", why
        else:
            workers = min(settings.num_chains, loky.cpu_count())
            results = _in_parallel(executor, packed, workers, settings, potential, tasks, progress)
    if results is None:
        results = [_run_chain(program, settings, potential, *task, progress) for task in tasks]
    draws, stats = ([result[i] for result in results] for i in range(2))
    return _stacked(draws), _stacked(stats), method, reason


def _run_chain(
    program: Program,
    settings: SamplerSettings,
    potential: SamplingPotential,
    position: Arrays,
    inverse_mass: np.ndarray | None,
    seed: int,
    progress: bool,
) -> tuple[Arrays, Arrays]:
    records = []

    def keep(kernel, params, stage, i):
        if stage.startswith("Sample"):
            records.append(kernel.record(i))
        elif i == settings.num_warmup - 1:
            kernel.settle(settings.orbit)

    with (
        program.session(),
        seed_to_rng(seed),
        one_thread(),
        _own_logging(),
        known_gradients(),
        explain(NAME, "sampling failed"),
    ):
        kernel = _RecordingNUTS(
            potential_fn=potential.function(program),
            target_accept_prob=settings.target_accept,
            max_tree_depth=settings.max_tree_depth,
            full_mass=settings.dense_mass if inverse_mass is None else inverse_mass.ndim == 2,
            adapt_mass_matrix=settings.adapt_mass,
            inverse_mass=to_framework(inverse_mass),
        )
        mcmc = MCMC(
            kernel,
            num_samples=settings.num_draws,
            warmup_steps=settings.num_warmup,
            initial_params=to_framework(position),
            hook_fn=keep,
            disable_progbar=not progress,
        )
        mcmc.run()
        draws = to_numpy({n: v[0] for n, v in mcmc.get_samples(group_by_chain=True).items()})
        holds = np.array(potential.holds(program, draws))
    stats = {name: np.array([record[name] for record in records]) for name in records[0]}
    return draws, {**stats, "holds": holds}


def _in_parallel(
    executor: Any,
    packed: bytes,
    workers: int,
    settings: SamplerSettings,
    potential: SamplingPotential,
    tasks: list[Any],
    progress: bool,
) -> list[tuple[Arrays, Arrays]]:
    try:
        futures = [
            executor.submit(
                _in_process,
                packed,
                _default_precision(),
                workers,
                settings,
                potential,
                *task,
                progress and chain == 0,
            )
            for chain, task in enumerate(tasks)
        ]
        return [future.result() for future in futures]
    except BaseException:  # an interrupted chain would otherwise run on
        executor.shutdown(wait=True, kill_workers=True)
        raise


def _processes(program: Program, settings: SamplerSettings) -> tuple[Any, bytes]:
    """Processes that have proved that they can load this model, and the model as they load it."""
    packed = _packed(program)
    workers = min(settings.num_chains, loky.cpu_count())
    executor = loky.get_reusable_executor(
        max_workers=workers, timeout=IDLE_SECONDS, initializer=end_with_parent
    )
    executor.submit(_load, packed, _default_precision()).result()
    return executor, packed


def _default_precision() -> str:
    """What constants of the model's own modules were made in: a process that imports them makes the same."""
    return str(torch.get_default_dtype()).removeprefix("torch.")


def _packed(program: Program) -> bytes:
    module = sys.modules.get(getattr(program.model, "__module__", None) or "")
    hidden = module is not None and not _is_importable(module)
    if hidden:  # a model from a file that Python cannot import by name travels as code
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps((program.model, program.given, program.options))
    finally:
        if hidden:
            cloudpickle.unregister_pickle_by_value(module)


def _is_importable(module: Any) -> bool:
    spec = PathFinder.find_spec(module.__name__.partition(".")[0])
    return spec is not None and ("." in module.__name__ or spec.origin == getattr(module, "__file__", None))


def _load(packed: bytes, precision: str) -> Any:
    with default_precision(precision):
        return pickle.loads(packed)


def _in_process(packed: bytes, precision: str, workers: int, *task: Any) -> tuple[Arrays, Arrays]:
    model, data, options = _load(packed, precision)
    # The native kernel sums in the same order on any number of threads; chains share the cores out.
    native.set_threads(max(1, loky.cpu_count() // workers))
    with one_thread():
        return _run_chain(Program(model, data, **options), *task)


@contextmanager
def _own_logging() -> Iterator[None]:
    """Pyro's MCMC takes over its logger's handlers; give them back."""
    logger = logging.getLogger("pyro.infer.mcmc")
    handlers, propagate = logger.handlers, logger.propagate
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate


def _stacked(chains: list[Arrays]) -> Arrays:
    return {name: np.stack([chain[name] for chain in chains]) for name in chains[0]}
