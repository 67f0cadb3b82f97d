"""Whether a precision can hold a log density over so many rows: NUTS lives on differences of it."""

from __future__ import annotations

import math

import numpy as np

from ppl_parity.spec import MixtureSpec, SamplerSettings

MAX_STEP = 0.01  # nats: an energy difference that is off by more shows in the acceptance probability


class RoundingWarning(UserWarning):
    """A fit whose precision cannot hold its log density."""


def rounding_warning(
    spec: MixtureSpec, num_data: int, settings: SamplerSettings, formulation: str
) -> str | None:
    """A sentence if the log density of N rows cannot be held in the fit's precision, else None.

    A row's log density is about ``(D / 2) (log 2 pi s^2 + 1)``, and numbers as large as N of them are
    ``2^-23`` of themselves apart in float32. The fused formulation keeps its sums over rows in float64
    whatever the precision.

    Args:
        spec: the hyperparameters. num_data: N. settings: precision. formulation: of the density.
    """
    if settings.precision == "float64" or formulation == "fused":
        return None
    row = 0.5 * spec.dim * (math.log(2 * math.pi * spec.noise_scale**2) + 1)
    step = float(np.spacing(np.float32(max(abs(row), 1.0) * num_data)))
    if step <= MAX_STEP:
        return None
    return (
        f"The {formulation} formulation sums {num_data:,} rows in float32, where log densities of that size are "
        f"{step:.2g} nats apart; NUTS needs differences of {MAX_STEP:g}, and will take tiny steps or reject. "
        "Take --formulation fused, which sums in float64, or --precision float64."
    )
