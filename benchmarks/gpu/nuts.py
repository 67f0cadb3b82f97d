"""NUTS of NumPyro with many vectorised chains on the fused mixture: ESS a second, warm.

The coordinates are measured from the truth in posterior standard deviations, so that warmup is short and the
same on every device; what is timed is the run after it, compiled beforehand.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.problem import problem

MAX_TREE_DEPTH = 6


def measure(library: Any, sizes: dict[str, int]) -> dict[str, Any]:
    """Run it at ``sizes``: N, D, K, chains, num_warmup, num_draws.

    Raises:
        ImportError: numpyro is not installed.
    """
    from numpyro.diagnostics import effective_sample_size, gelman_rubin
    from numpyro.infer import MCMC, NUTS

    N, D, K, C = (sizes[name] for name in ("N", "D", "K", "chains"))
    centres, _ = problem(D, K, 1)
    empty = np.zeros((1, K)), np.zeros((1, K, D))
    x = library.problem(centres, empty, N)[2]
    began = time.perf_counter()
    mcmc = MCMC(
        NUTS(potential_fn=potential(library, x, centres, N), max_tree_depth=MAX_TREE_DEPTH),
        num_warmup=sizes["num_warmup"],
        num_samples=sizes["num_draws"],
        num_chains=C,
        chain_method="vectorized",
        progress_bar=False,
    )
    start = 0.5 * np.random.default_rng(1).standard_normal((C, K * (D + 1)))
    fields = ("num_steps", "diverging", "accept_prob")
    mcmc.warmup(jax.random.key(1), init_params=jnp.asarray(start), extra_fields=fields)
    mcmc.run(jax.random.key(2), extra_fields=fields)
    jax.block_until_ready(mcmc.get_samples())
    cold = time.perf_counter() - began
    began = time.perf_counter()
    mcmc.run(jax.random.key(3), extra_fields=fields)
    draws = np.asarray(mcmc.get_samples(group_by_chain=True))
    warm = time.perf_counter() - began
    extra = mcmc.get_extra_fields()
    ess = np.min([effective_sample_size(draws[..., i]) for i in range(draws.shape[-1])])
    return {
        **sizes,
        "status": "ok",
        "cold_seconds": cold,
        "seconds": warm,
        "ess": float(ess),
        "ess_per_second": float(ess) / warm,
        "rhat": float(np.max([gelman_rubin(draws[..., i]) for i in range(draws.shape[-1])])),
        "leapfrogs_per_draw": float(np.mean(extra["num_steps"])),
        "acceptance": float(np.mean(extra["accept_prob"])),
        "divergences": int(np.sum(extra["diverging"])),
    }


def potential(library: Any, x: Any, centres: np.ndarray, N: int) -> Any:
    """v (K + K D,) -> U, flat priors: theta from K logits held by a normal, beta around ``centres``."""
    likelihood = _likelihood(library, x)
    K, D = centres.shape
    scale = float(np.sqrt(K / N))
    means = jnp.asarray(centres)

    def function(v: Any) -> Any:
        log_theta = jax.nn.log_softmax(scale * v[:K])
        # The K logits have one direction that theta does not see; the normal holds it.
        held = 0.5 * jnp.sum(v[:K]) ** 2 / K
        return held - likelihood(log_theta, means + scale * v[K:].reshape(K, D))

    return function


def _likelihood(library: Any, x: Any) -> Any:
    """The fused log likelihood with its own gradient, as a backend registers it."""
    passes = library.kernels

    @jax.custom_vjp
    def function(log_theta: Any, beta: Any) -> Any:
        return passes.one_pass(log_theta, beta, x, 1.0)[0]

    def forward(log_theta: Any, beta: Any) -> Any:
        value, n, slope = passes.one_pass(log_theta, beta, x, 1.0)
        return value, (n, slope)

    function.defvjp(forward, lambda slopes, cotangent: tuple(cotangent * s for s in slopes))
    return function
