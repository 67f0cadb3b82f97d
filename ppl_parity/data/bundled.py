"""The real data sets that ship with the package, with the settings under which the mixture suits them.

Each noise_scale is the maximum-likelihood s of the model as it stands, K components that share s^2 I, by EM
on the standardised columns, rounded to two digits: 0.383, 0.489 and 0.534. A test computes them again.
``README.md`` in this folder names the original sources and the licences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from ppl_parity.data.read_csv import read_csv


@dataclass(frozen=True)
class Bundled:
    """One bundled data set: its file, its source, and the K and s (in standard deviations) that suit it."""

    file: str
    source: str
    num_components: int
    noise_scale: float
    standardize: bool = True

    def read(self, wanted: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
        """The (N, D) values in their own units, and the D column names; all of them, or those that are wanted."""
        with resources.as_file(resources.files("ppl_parity.data") / self.file) as path:
            return read_csv(path, wanted)

    def spec_hints(self, *, standardized: bool) -> dict[str, Any]:
        """Arguments for MixtureSpec; in the columns' own units only K is known to suit them."""
        hints: dict[str, Any] = {"num_components": self.num_components}
        if standardized:
            hints |= {
                "concentration": 1.0,
                "prior_mean": 0.0,
                "prior_cov": 1.0,
                "noise_scale": self.noise_scale,
            }
        return hints


BUNDLED = {
    "old-faithful": Bundled(
        file="old_faithful.csv",
        source=(
            "Eruption length and waiting time to the next eruption (minutes) of the Old Faithful geyser:"
            " Azzalini & Bowman (1990), in the 272-row version of Härdle (1991), which is R's `faithful`."
        ),
        num_components=2,
        noise_scale=0.38,
    ),
    "iris": Bundled(
        file="iris.csv",
        source=(
            "Sepal and petal length and width (cm) of 150 irises of three species:"
            " Anderson (1935) and Fisher (1936), with the published values, which are those of R's `iris`."
        ),
        num_components=3,
        noise_scale=0.49,
    ),
    "penguins": Bundled(
        file="penguins.csv",
        source=(
            "Bill, flipper and body measurements (mm, g) of 342 penguins of three species:"
            " Horst, Hill & Gorman (2020), palmerpenguins, less its two rows with missing measurements."
        ),
        num_components=3,
        noise_scale=0.53,
    ),
}
BUNDLED_NAMES = tuple(BUNDLED)
