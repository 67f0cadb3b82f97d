"""What a margin says of a standard deviation, held against draws whose spread is as much wider."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ppl_parity.statistics.equivalence import moments
from ppl_parity.statistics.widths import ratio_of_scores, ratio_of_squares

N = 200_000
DRAWS = {
    "normal": lambda rng: rng.normal(size=N),
    "uniform": lambda rng: rng.uniform(-1, 1, size=N),
    "mixture": lambda rng: rng.normal(size=N) * rng.choice([0.6, 1.4], size=N),
    "laplace": lambda rng: rng.laplace(size=N),
    "cauchy": lambda rng: rng.standard_cauchy(size=N),
    "horseshoe": lambda rng: rng.normal(size=N) * np.abs(rng.standard_cauchy(size=N)),
    "half-cauchy": lambda rng: np.abs(rng.standard_cauchy(size=N)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_spread_at_the_ratio_is_at_the_margin(name: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (DRAWS[name](rng) for _ in range(2))
    scored = name in ("cauchy", "horseshoe", "half-cauchy")
    kurtosis = np.mean((x - x.mean()) ** 4) / x.var() ** 2
    ratio = ratio_of_scores(x, 0.15) if scored or kurtosis > 6 else ratio_of_squares(0.15, kurtosis)
    middle = np.median(y)
    location, spread, heavy = moments(
        x[None, :, None], (middle + ratio * (y - middle))[None, :, None], independent=True
    )
    assert bool(heavy[0]) == (scored or kurtosis > 6)
    assert max(abs(location.difference[0]), abs(spread.difference[0])) == pytest.approx(0.15, abs=0.02)


def test_the_heavier_the_tails_the_less_a_margin_says() -> None:
    rng = np.random.default_rng(1)
    assert ratio_of_squares(0.15) == pytest.approx(1.113, abs=0.002)
    assert ratio_of_squares(0.15, 6.0) > 1.17
    assert ratio_of_scores(DRAWS["horseshoe"](rng), 0.15) > 1.25
    assert ratio_of_squares(0.9, 6.0) == math.inf
