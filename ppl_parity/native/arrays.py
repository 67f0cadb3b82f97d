"""The native pass on NumPy arrays, for what needs no framework: the search for a start."""

from __future__ import annotations

import ctypes

import numpy as np

from ppl_parity import native


def mixture_pass(
    x: np.ndarray, log_theta: np.ndarray, beta: np.ndarray, noise_scale: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Value, n_k (K,) and sum_i r_ik (x_i - beta_k) / s^2 (K, D); see ``native``.

    Args:
        x: (N, D), float32 or float64, in C order. log_theta: (K,). beta: (K, D).

    Raises:
        NoLibrary: there is no native kernel here; ``native.available`` tells.
    """
    N, D = x.shape
    log_theta = np.ascontiguousarray(log_theta, dtype=np.float64)
    beta = np.ascontiguousarray(beta, dtype=np.float64)
    value, n, slope = np.zeros(1), np.zeros_like(log_theta), np.zeros_like(beta)
    given = (x, log_theta, beta, value, n, slope)
    call = native.MixtureCall(
        *(array.ctypes.data_as(ctypes.c_void_p) for array in given),
        N,
        D,
        len(log_theta),
        1,
        noise_scale,
        x.dtype.itemsize,
        0,
        0,
    )
    native.evaluate(call)
    return float(value[0]), n, slope
