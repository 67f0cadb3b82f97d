"""What a fit's draws say of the rows, in closed form: whose they are, and how likely they were."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pyro.distributions import Categorical

from ppl_parity.backend.centring import centred
from ppl_parity.backend.checks import check_draws
from ppl_parity.spec import MixtureSpec
from pyro_impl.formulations import logits
from pyro_impl.runtime import NAME, seed_to_rng, session, to_framework, to_numpy

NUMBERS = 1 << 20  # of logits at a time: draws are taken in blocks of what fits


def responsibilities(
    spec: MixtureSpec,
    theta: np.ndarray,
    beta: np.ndarray,
    x: np.ndarray,
    *,
    precision: str = "float64",
    device: str = "cpu",
) -> np.ndarray:
    """See ``contract.Backend.responsibilities``."""
    check_draws(NAME, spec, theta, beta, x)
    x, beta, precision = centred(x, beta, spec.noise_scale, precision)
    with session(precision, device):
        total = torch.zeros((len(x), spec.num_components))
        for _, terms, _ in _blocks(spec, theta, beta, x):
            total = total + torch.softmax(terms, dim=-1).sum(dim=0)
        return to_numpy(total / len(theta))


def sample_assignments(
    spec: MixtureSpec,
    theta: np.ndarray,
    beta: np.ndarray,
    x: np.ndarray,
    *,
    seed: int = 0,
    precision: str = "float64",
    device: str = "cpu",
) -> np.ndarray:
    """See ``contract.Backend.sample_assignments``."""
    check_draws(NAME, spec, theta, beta, x)
    x, beta, precision = centred(x, beta, spec.noise_scale, precision)
    with session(precision, device), seed_to_rng(seed):
        z = np.empty((len(theta), len(x)), dtype=np.int64)
        for block, terms, _ in _blocks(spec, theta, beta, x):
            z[block] = to_numpy(Categorical(logits=terms).sample())
        return z


def pointwise_log_likelihood(
    spec: MixtureSpec,
    theta: np.ndarray,
    beta: np.ndarray,
    x: np.ndarray,
    *,
    precision: str = "float64",
    device: str = "cpu",
) -> np.ndarray:
    """See ``contract.Backend.pointwise_log_likelihood``."""
    check_draws(NAME, spec, theta, beta, x)
    x, beta, precision = centred(x, beta, spec.noise_scale, precision)
    with session(precision, device):
        result = np.empty((len(theta), len(x)))
        constant = 0.5 * spec.dim * math.log(2 * math.pi * spec.noise_scale**2)
        for block, terms, rows in _blocks(spec, theta, beta, x):
            square = torch.sum(rows**2, dim=-1) / spec.noise_scale**2
            result[block] = to_numpy(torch.logsumexp(terms, dim=-1) - 0.5 * square - constant)
        return result


def _blocks(
    spec: MixtureSpec, theta: np.ndarray, beta: np.ndarray, x: np.ndarray
) -> Iterator[tuple[slice, Any, Any]]:
    """Walk over the draws: which they are, their logits (draws, N, K), and x."""
    draws, rows = to_framework((np.asarray(theta), np.asarray(beta))), to_framework(np.asarray(x))
    size = max(1, NUMBERS // max(1, len(x) * spec.num_components))
    for start in range(0, len(theta), size):
        block = slice(start, start + size)
        yield block, logits(draws[0][block], draws[1][block], rows, spec.noise_scale), rows
