"""Draws from a program: of its prior, or of its data at given values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from numpyro_impl.runtime import NAME, seed_to_rng, to_framework, to_numpy
from numpyro_impl.sites import family, is_factor
from ppl_parity.checks import explain
from ppl_parity.contract import Arrays

if TYPE_CHECKING:
    from numpyro_impl.tracing import TracedModel


def simulate(program: TracedModel, given: Arrays, num_draws: int, seed: int) -> Arrays:
    """Run the program once a draw, its data not observed: site -> (S, ...).

    Args:
        program: whose session is opened here.
        given: the values of each run's latent sites, (S, ...); none of them for draws of the prior.
        num_draws: S.
        seed: of the first key; each draw has its own.
    """

    def run(arrays, batch):
        def one(pair):
            key, values = pair
            model = _Unobserved(handlers.substitute(handlers.seed(program.model, key), data=values))
            trace = handlers.trace(model).get_trace(**program.arguments(arrays))
            kept = ("sample", "deterministic")
            return {
                name: node["value"]
                for name, node in trace.items()
                if node["type"] in kept and not is_factor(node)
            }

        words, values = batch
        keys = jax.vmap(lambda i: jax.random.fold_in(seed_to_rng(words[0]), i))(jnp.arange(num_draws))
        return jax.lax.map(one, (keys, values), batch_size=1000)

    name = f"simulate {num_draws} {sorted(given)}"
    with program.session():
        given = to_framework(given)
        if name not in program.compiled:
            program.compiled[name] = jax.jit(run)
        with explain(NAME, "the model cannot be simulated"):
            batch = (np.array([seed], dtype=np.uint32), given)
            return to_numpy(program.compiled[name](program.arrays, batch))


class _Unobserved(handlers.uncondition):
    """Sample what was observed, and name the site whose sampler fails; a ``factor`` has no value to sample."""

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "sample" and not is_factor(msg):
            super().process_message(msg)
            if msg["value"] is None:
                with explain(NAME, f"the sampler of {msg['name']!r} ({family(msg['fn'])}) failed"):
                    msg["value"], msg["intermediates"] = msg["fn"](
                        *msg["args"], sample_intermediates=True, **msg["kwargs"]
                    )
