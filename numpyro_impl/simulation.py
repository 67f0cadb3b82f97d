"""Draws from a program: of its prior, or of its data at given values."""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import handlers

from numpyro_impl.runtime import NAME, seed_to_rng, to_framework, to_numpy
from numpyro_impl.sites import family, is_factor, unwrap
from ppl_parity.backend.checks import explain
from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import ModelError

if TYPE_CHECKING:
    from numpyro_impl.tracing import TracedModel

BLOCK = 1000  # draws at a time


def simulate(
    program: TracedModel, given: Arrays, num_draws: int, seed: int, kept: Collection[str] = ()
) -> Arrays:
    """Run the program once a draw, its data not observed: site -> (S, ...).

    Args:
        program: whose session is opened here.
        given: the values of each run's latent sites, (S, ...); none of them for draws of the prior.
        num_draws: S.
        seed: of the first key; each draw has its own.
        kept: observed sites that stay observed, and are left out.
    """

    def draws(arrays, batch, mapped):
        def one(pair):
            key, values = pair
            model = _Unobserved(handlers.substitute(handlers.seed(program.run, key), data=values), kept)
            trace = handlers.trace(model).get_trace(**program.arguments(arrays))
            return {
                name: node["value"]
                for name, node in trace.items()
                if node["type"] in ("sample", "deterministic") and not is_factor(node) and name not in kept
            }

        words, values = batch
        keys = jax.vmap(lambda i: jax.random.fold_in(seed_to_rng(words[0]), i))(jnp.arange(num_draws))
        return mapped(one, (keys, values))

    name = f"simulate {num_draws} {sorted(given)} {sorted(kept)}"
    with program.session(), explain(NAME, "the model cannot be simulated"):
        batch = (np.array([seed], dtype=np.uint32), to_framework(given))
        if name not in program.compiled:
            program.compiled[name] = jax.jit(lambda arrays, batch: draws(arrays, batch, _compiled))
        try:
            return to_numpy(program.compiled[name](program.arrays, batch))
        except ModelError as refused:
            # Some samplers need the numbers of a total that the model makes of its data, which compiled are none.
            program.compiled[name] = lambda arrays, batch: draws(arrays, batch, _step_by_step)
            try:
                return to_numpy(program.compiled[name](program.arrays, batch))
            except Exception:
                raise refused from refused.__cause__


def _bound_probs(base: Any) -> None:
    """Hold a binomial's probabilities to what they can be: of -2000, say, JAX draws for ever."""
    if isinstance(base, dist.BinomialProbs):
        base.probs = jnp.clip(jnp.asarray(base.probs), 0.0, 1.0)


def _compiled(one: Callable[..., Any], over: Any) -> Any:
    return jax.lax.map(one, over, batch_size=BLOCK)


def _step_by_step(one: Callable[..., Any], over: Any) -> Any:
    """What does not depend on the draw has its numbers, for only the draws are mapped over."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(over[0]), BLOCK)]
    parts = [jax.vmap(one)(jax.tree.map(itemgetter(block), over)) for block in blocks]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


class _Unobserved(handlers.uncondition):
    """Sample what was observed, and name the site whose sampler fails; a ``factor`` has no value to sample."""

    def __init__(self, fn: Any, kept: Collection[str]):
        self.kept = kept
        super().__init__(fn)

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "sample" and not is_factor(msg) and msg["name"] not in self.kept:
            super().process_message(msg)
            if msg["value"] is None:
                _bound_probs(unwrap(msg["fn"]))
                with explain(NAME, f"the sampler of {msg['name']!r} ({family(msg['fn'])}) failed"):
                    msg["value"], msg["intermediates"] = msg["fn"](
                        *msg["args"], sample_intermediates=True, **msg["kwargs"]
                    )
