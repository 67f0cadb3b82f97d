"""The three Pallas programs of a value and gradient, one after the other."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from numpyro_impl.kernels.cpu import SAMPLE
from numpyro_impl.kernels.gpu.ends import finish, prepare
from numpyro_impl.kernels.gpu.lanes import lanes
from numpyro_impl.kernels.gpu.tiles import tiles
from ppl_parity.gpu.launches import block, padded, plan


def evaluate(
    log_theta: Any, beta: Any, x: Any, noise_scale: float, processors: int, interpret: bool
) -> tuple[Any, Any, Any]:
    """Value (C,), n (C, K) and slope (C, K, D), all in the precision of the parameters.

    Args:
        log_theta, beta, x: (C, K), (C, K, D) and (N, D); x in float32.
        processors: of the GPU.
        interpret: without a GPU, slowly.
    """
    (C, K, D), N = beta.shape, len(x)
    launch = plan(N, D, K, C, processors)
    high, stored = (K, D) if launch.lanes else (padded(K), padded(D))
    variance = noise_scale**2

    def call(program, grid, given, shapes, warps=4, **options):
        return pl.pallas_call(
            partial(program, **options),
            grid=grid,
            out_shape=[jax.ShapeDtypeStruct(shape, dtype) for dtype, *shape in shapes],
            compiler_params=triton.CompilerParams(num_warps=warps, num_stages=2),
            interpret=interpret,
            name=f"mixture_{program.__name__}",
        )(*given)

    turned = not launch.lanes
    here, total, P = x.dtype, log_theta.dtype, launch.programs
    shapes = (here, C, stored, high) if turned else (here, C, high, stored), (here, C, high), (here, stored)
    options = {"variance": variance, "sample": SAMPLE, "turned": turned}
    w, b, centre = call(prepare, (C, high), (log_theta, beta, x), shapes, **options)

    shapes = (total, P, C), (here, P, C, high), (here, P, C, high, stored)
    options = {"h": 0.5 * math.log2(math.e) / variance, "launch": launch, "warps": launch.warps}
    sums = call(lanes if launch.lanes else tiles, (C, P), (w, b, centre, x), shapes, **options)

    shapes = (total, C, K), (total, C, K), (total, C, K, D)
    constant = -0.5 * N * D * math.log(2 * math.pi * variance)
    options = {"variance": variance, "constant": constant, "block": block(P, D)}
    value, n, slope = call(finish, (C, K), (log_theta, beta, centre, *sums), shapes, **options)
    return jnp.sum(value, axis=1), n, slope
