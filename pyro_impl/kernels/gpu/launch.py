"""The three Triton programs of a value and gradient, one after the other. Importing this file imports Triton."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch

from ppl_parity.gpu.launches import block, padded, plan, power
from pyro_impl.kernels.cpu import SAMPLE
from pyro_impl.kernels.gpu.ends import finish, prepare
from pyro_impl.kernels.gpu.lanes import lanes
from pyro_impl.kernels.gpu.tiles import tiles

STAGES = 4  # steps of rows that a program of lanes has at hand or on their way


def evaluate(log_theta: Any, beta: Any, x: Any, noise_scale: float, processors: int) -> tuple[Any, Any, Any]:
    """Value (C,), n (C, K) and slope (C, K, D), all in float64.

    Args:
        log_theta, beta, x: (C, K), (C, K, D) and (N, D), contiguous; x in float32.
        processors: of the GPU.
    """
    (C, K, D), N = beta.shape, len(x)
    launch = plan(N, D, K, C, processors)
    high, stored = (K, D) if launch.lanes else (padded(K), padded(D))
    single, double = (partial(torch.empty, dtype=t, device=x.device) for t in (torch.float32, torch.float64))
    sides = {"D": D, "WIDE": power(stored), "STORED": stored, "VARIANCE": noise_scale**2}

    w, b, centre = single((C, high, stored)), single((C, high)), single((stored,))
    every = -(-N // SAMPLE)
    sample = {"every": every, "taken": -(-N // every), "SAMPLE": SAMPLE, "TURNED": not launch.lanes}
    prepare[C, high](log_theta, beta, x, w, b, centre, K, **sample, **sides)

    P = launch.programs
    sums = double((P, C)), single((P, C, high)), single((P, C, high, stored))
    given = (w, b, centre, x, *sums, N, launch.steps)
    options = {"H": 0.5 * math.log2(math.e) / noise_scale**2, "num_warps": launch.warps, "num_stages": 2}
    options |= {"D": D, "ROWS": launch.rows}
    if launch.lanes:
        options |= {"K": K, "WIDTH": D & -D, "TILES": launch.tiles, "STAGES": STAGES}
        lanes[C, P](*given, **options)
    else:
        options |= {"HIGH": high, "WIDE": stored}
        tiles[C, P](*given, **options)

    value, n, slope = double((C, K)), double((C, K)), double((C, K, D))
    given = (log_theta, beta, centre, *sums, value, n, slope, N, P)
    constant = 0.5 * D * math.log(2 * math.pi * noise_scale**2)
    options = {"HIGH": high, "BLOCK": block(P, stored), "CONSTANT": constant}
    finish[C, K](*given, **options, **sides)
    return value.sum(-1), n, slope
