"""NUTS of NumPyro with many vectorised chains on the fused mixture: ESS a second, warm.

The coordinates are measured from the truth in posterior standard deviations, so that warmup is short and the
same on every device; what is timed is the run after it, compiled beforehand.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.measuring import seconds_of
from benchmarks.gpu.problem import problem
from ppl_parity.statistics import diagnostics

MAX_TREE_DEPTH = 6
LEAPFROGS = 15  # an iteration: vectorised chains wait for the longest of their trees
FEWEST = 2  # chains
SHORT = 5.0  # seconds: a first run also loads the program, which shows where it is shorter


def measure(library: Any, sizes: dict[str, int], seconds: float) -> dict[str, Any]:
    """Run it at ``sizes``: N, D, K, chains, num_warmup, num_draws; with fewer chains where it would take too long.

    Args:
        seconds: for warmup and draws.

    Raises:
        ImportError: numpyro is not installed.
    """
    N, D, K, C = (sizes[name] for name in ("N", "D", "K", "chains"))
    centres, _ = problem(D, K, 1)
    x = library.rows(centres, N)
    start = 0.5 * np.random.default_rng(1).standard_normal((C, K * (D + 1)))
    iterations = sizes["num_warmup"] + sizes["num_draws"]
    C = affordable(C, seconds / (LEAPFROGS * iterations), _gradient_seconds(library, x, centres, start))
    sizes, start = sizes | {"chains": C}, start[:C]
    begin, sample = programs(library, centres, sizes)
    began = time.perf_counter()
    state = jax.block_until_ready(begin(jax.random.split(jax.random.key(1), C), start, x))
    compiled = sample.lower(state, x).compile()
    cold = time.perf_counter() - began
    results, warm = _timed(compiled, state, x)
    if warm < SHORT:
        results, warm = _timed(compiled, state, x)
    draws, steps, accepted, diverging = results
    draws = draws.swapaxes(0, 1)  # chains first, as the diagnostics want them
    ess = float(np.min(diagnostics.ess(draws)))
    return {
        **sizes,
        "status": "ok",
        "cold_seconds": cold,
        "seconds": warm,
        "ess": ess,
        "ess_per_second": ess / warm,
        "rhat": float(np.max(diagnostics.rhat(draws))),
        "leapfrogs_per_draw": float(np.mean(steps)),
        "acceptance": float(np.mean(accepted)),
        "divergences": int(np.sum(diverging)),
    }


def programs(library: Any, centres: np.ndarray, sizes: dict[str, int]) -> tuple[Any, Any]:
    """Compiled: (keys, start, x) -> the chains' states after warmup; (states, x) -> draws and what NUTS says of them.

    x is an argument: ``MCMC`` would write the data of a potential into its programs.
    """
    from numpyro.infer.hmc import hmc

    def generate(x: Any) -> Any:
        return potential(library, x, centres, sizes["N"])

    initial, following = hmc(potential_fn_gen=generate, algo="NUTS")

    def step(state: Any, x: Any) -> Any:
        return jax.vmap(lambda one: following(one, model_args=(x,)))(state)

    @jax.jit
    def begin(keys: Any, start: Any, x: Any) -> Any:
        given = partial(
            initial, num_warmup=sizes["num_warmup"], max_tree_depth=MAX_TREE_DEPTH, model_args=(x,)
        )
        state = jax.vmap(lambda z, key: given(z, rng_key=key))(start, keys)
        return jax.lax.fori_loop(0, sizes["num_warmup"], lambda _, s: step(s, x), state)

    @jax.jit
    def sample(state: Any, x: Any) -> Any:
        def draw(state: Any, _: Any) -> Any:
            state = step(state, x)
            return state, (state.z, state.num_steps, state.accept_prob, state.diverging)

        return jax.lax.scan(draw, state, length=sizes["num_draws"])[1]

    return begin, sample


def _timed(program: Any, *given: Any) -> tuple[list[np.ndarray], float]:
    began = time.perf_counter()
    results = [np.asarray(result) for result in program(*given)]
    return results, time.perf_counter() - began


def affordable(chains: int, seconds: float, taken: float) -> int:
    """As many of ``chains`` as have a gradient in ``seconds``, where all of them took ``taken``."""
    return max(min(chains, FEWEST), min(chains, int(chains * seconds / taken)))


def _gradient_seconds(library: Any, x: Any, centres: np.ndarray, points: np.ndarray) -> float:
    """One gradient of all chains."""

    @jax.jit
    def gradients(v: Any, x: Any) -> Any:
        return jax.vmap(jax.grad(potential(library, x, centres, len(x))))(v)

    def once() -> None:
        jax.block_until_ready(gradients(points, x))

    once()
    return min(seconds_of(once) for _ in range(3))


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
    # On a GPU its door itself: the backend's has a branch for the CPU too, and compiles the native kernel for it.
    one_pass = library.kernels.gpu.one_pass if library.device == "gpu" else library.kernels.one_pass

    @jax.custom_vjp
    def function(log_theta: Any, beta: Any, x: Any) -> Any:
        return one_pass(log_theta, beta, x, 1.0)[0]

    def forward(log_theta: Any, beta: Any, x: Any) -> Any:
        value, n, slope = one_pass(log_theta, beta, x, 1.0)
        return value, (n, slope)

    def backward(slopes: Any, cotangent: Any) -> Any:
        return *(cotangent * s for s in slopes), None

    function.defvjp(forward, backward)
    return lambda log_theta, beta: function(log_theta, beta, x)
