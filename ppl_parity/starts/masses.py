"""How much of the posterior a mode holds, by Laplace's method: height and volume together.

    log M = log p(x, y*) + P / 2 log 2 pi + log det L,  with L L^T the inverse of the observed information at y*

The highest mode can be a spike: a component on one far row, under a wide prior, gains a few nats of likelihood and has
a millionth of the volume that it has where it explains nothing and its mean is the prior's.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from ppl_parity.spec import MixtureSpec


def log_mass(spec: MixtureSpec, log_target: float, scale: np.ndarray) -> float:
    """log M of one labelling of a mode, up to a constant of the data and of K.

    Args:
        log_target: of ``search.one_pass``, at the mode.
        scale: L, (P, P) lower triangular, or its diagonal (P,).
    """
    diagonal = scale if scale.ndim == 1 else np.diagonal(scale)
    volume = float(np.sum(np.log(np.abs(diagonal)))) + 0.5 * len(diagonal) * math.log(2 * math.pi)
    return log_target + log_constant(spec) + volume


def log_constant(spec: MixtureSpec) -> float:
    """Of the prior, which ``search.one_pass`` leaves out."""
    in_theta = math.lgamma(spec.concentration.sum()) - sum(map(math.lgamma, spec.concentration))
    _, log_det = np.linalg.slogdet(2 * math.pi * spec.prior_cov)
    return float(in_theta - 0.5 * spec.num_components * log_det)


def log_share_of_empty(spec: MixtureSpec, empty: list[int], num_data: int) -> float:
    """What components without rows change: log p(z | K) - log p(z | K without them), of one labelling among as many.

    With beta of an empty component integrated out, a mode has the mass of its rows' mixture times this. Empty
    components that the prior does not tell apart have one labelling where others of theirs have many.
    """
    total, of_empty = float(spec.concentration.sum()), float(spec.concentration[empty].sum())
    left = total - of_empty
    alike = Counter(spec.concentration[empty].tolist()).values()
    return (
        math.lgamma(total)
        - math.lgamma(total + num_data)
        - math.lgamma(left)
        + math.lgamma(left + num_data)
        - sum(math.lgamma(count + 1) for count in alike)
    )


def without(spec: MixtureSpec, empty: list[int]) -> MixtureSpec:
    """The mixture of the other components."""
    kept = [k for k in range(spec.num_components) if k not in empty]
    return MixtureSpec(
        len(kept), spec.dim, spec.concentration[kept], spec.prior_mean, spec.prior_cov, spec.noise_scale
    )
