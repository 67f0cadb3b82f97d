"""Starts around a mode of the mixture's posterior, with the mass matrix that belongs there.

Each chain searches a mode of its own, and a few more searches look for others. What counts is the mass that a mode
holds, not its height (``masses``), and one whose small components are empty is tried as well; chains are shared out
among the modes that hold some. They start two posterior standard deviations (of the Laplace approximation) away
from their modes, farther apart than they end, so that R-hat can mean something. Importance weights of draws
from the approximation say how good it is: where it is good, its covariance is as good a mass matrix as
warmup could find, and warmup is left with the step size alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.spec import MixtureSpec
from ppl_parity.starts.kmeans import too_few
from ppl_parity.starts.laplace import Mode, point_at, times
from ppl_parity.starts.modes import find_modes, shared_out, shares
from ppl_parity.starts.search import one_pass

SPREAD = 2.0  # posterior standard deviations between a chain's start and its mode
NUM_WEIGHTS = 64  # draws of the approximation that judge it
MAX_DEVIATION = 1.5  # nats, of their log importance weights, up to which the approximation is trusted
SHORT_WARMUP = 100  # iterations, where only the step size is left to find


@dataclass(frozen=True)
class Start:
    """Starting values, the mass matrix to start with, and whether it can stay.

    Args:
        values: theta (C, K) and beta (C, K, D), one for each chain.
        inverse_mass: (P, P) or (P,), as ``contract.Backend.sample_posterior`` takes it.
        trusted: the approximation holds, so that the mass matrix need not be adapted.
        note: what was done, in a sentence.
        num_modes: from which chains start.
        modes: those that hold some mass, the heaviest first.
    """

    values: Arrays
    inverse_mass: np.ndarray
    trusted: bool
    note: str
    num_modes: int = 1
    modes: tuple[Mode, ...] = ()


def mode_start(spec: MixtureSpec, x: np.ndarray, num_chains: int, seed: int) -> Start:
    """k-means++, EM and Newton to a mode for each chain, and starts spread around it.

    Args:
        spec: the hyperparameters. x: (N, D) data.
        num_chains: C. seed: of the searches and of the spread.
    """
    streams = np.random.SeedSequence(seed).spawn(num_chains + 1)
    shared = np.random.default_rng(streams[-1])
    rngs = [np.random.default_rng(stream) for stream in streams[:-1]]
    more = np.random.default_rng(streams[0].spawn(1)[0])
    kept, failed = find_modes(spec, x, rngs, more, shared)
    best, scale = kept[0], kept[0].scale
    chosen = shared_out(kept, num_chains)
    starts = []
    for mode, rng in zip(chosen, rngs, strict=True):
        moved = mode.coordinates + SPREAD * times(mode.scale, rng.standard_normal(len(mode.coordinates)))
        starts.append(point_at(spec, moved))
    deviation = _deviation(spec, x, best, shared)
    trusted = deviation <= MAX_DEVIATION
    note = (
        f"k-means++, EM and Newton to a mode of the posterior, moved by {SPREAD:g} posterior sd; "
        f"mass from the observed information there ({'dense' if scale.ndim == 2 else 'diagonal'}), "
        f"{'kept' if trusted else 'adapted in warmup'}, for the posterior and its Laplace approximation "
        f"differ by {deviation:.2g} nats (sd)"
    )
    if failed:
        note += f"; {failed} of {num_chains} searches ended at a mode of little mass, which "
        note += "was dropped" if failed == 1 else "were dropped"
    if len(kept) > 1:
        told = ", ".join(f"{share:.0%}" for share in shares(kept))
        started = ", ".join(str(chosen.count(mode)) for mode in kept)
        note += (
            f"; {len(kept)} modes hold {told} of the posterior by Laplace's method; chains that start there: "
        )
        note += started
    if best.num_empty:
        note += f"; with {best.num_empty} of {spec.num_components} components empty, which holds more mass"
    values = {
        "theta": np.stack([point.theta for point in starts]),
        "beta": np.stack([point.beta for point in starts]),
    }
    inverse_mass = scale @ scale.T if scale.ndim == 2 else scale**2
    return Start(
        values, inverse_mass, trusted, note + too_few(spec, x), len(set(map(id, chosen))), tuple(kept)
    )


def _deviation(spec: MixtureSpec, x: np.ndarray, mode: Mode, rng: np.random.Generator) -> float:
    """Standard deviation of the log importance weights of draws from the approximation, in nats."""
    noise = rng.standard_normal((NUM_WEIGHTS, len(mode.coordinates)))
    log_weights = [
        one_pass(spec, point_at(spec, mode.coordinates + times(mode.scale, xi)), x).log_target + 0.5 * xi @ xi
        for xi in noise
    ]
    return float(np.std(log_weights))
