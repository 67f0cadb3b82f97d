"""The scalars of a pair's draws whose ESS is asked for: of sites that both sides have."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import norm

from ppl_parity.backend.contract import Arrays
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.samples import exchangeable
from ppl_parity.statistics.diagnostics import ess, mcse_mean, rhat
from ppl_parity.statistics.selection import Selection, select

# Of all chains of both sides together, some hundred draws each: above it they are in different places.
MAX_RHAT = 1.05
FALSE_ALARM = 1e-3  # of the means, all scalars together


class Quantities:
    """What is compared of draws, chosen once for a pair.

    Attributes:
        renamed: sites whose components are interchangeable; sums over them stand for them.
    """

    def __init__(self, context: Context) -> None:
        self._components = exchangeable.find(context)
        self.renamed = tuple(self._components.axes) if self._components is not None else ()
        self._selection: Selection | None = None

    def columns(self, runs: Sequence[Arrays], common: set[str]) -> list[np.ndarray]:
        """Draws (C, S, ...) a site of each run, as (C, S, Q); ``common`` are the sites that every run has."""
        values = []
        for posterior in runs:
            kept = {name: posterior[name] for name in sorted(common) if name not in self.renamed}
            if self._components is not None:
                kept |= exchangeable.invariants(self._components, posterior)
            values.append({n: np.asarray(v) for n, v in kept.items() if np.asarray(v).dtype.kind == "f"})
        if self._selection is None:
            self._selection = select({name: value.shape[2:] for name, value in values[0].items()})
        return [self._selection.columns(value, 2) for value in values]

    def name(self, column: int) -> str:
        """``slope``, ``theta[2]``."""
        if self._selection is None:
            raise ValueError("columns() must be called before name(); it was not.")
        site, index = self._selection.names()[column]
        return f"{site}[{', '.join(map(str, index))}]" if index else site


def smallest(draws: np.ndarray) -> tuple[float, int]:
    """The smallest bulk ESS of draws (C, S, Q), and whose it is; a scalar that never moves has none."""
    sizes = ess(draws)
    return (float(np.nanmin(sizes)), int(np.nanargmin(sizes))) if np.any(np.isfinite(sizes)) else (0.0, 0)


@dataclass(frozen=True)
class Mixing:
    """Whether the draws of all sides can be of one posterior, and of all of it.

    Attributes:
        r_hat: the largest over the chains of all sides together; it tells a chain that is elsewhere.
        r_hat_of: whose column that is.
        z: the largest difference of two sides' means, in its Monte Carlo standard error; it tells a difference that
            is too small for R-hat.
        z_of: whose column that is.
        z_at_most: what the largest of as many may be, with a probability of ``1 - FALSE_ALARM``.
    """

    r_hat: float
    r_hat_of: int
    z: float
    z_of: int
    z_at_most: float

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return self.r_hat <= MAX_RHAT and self.z <= self.z_at_most


def mixing(sides: Sequence[Sequence[np.ndarray]]) -> Mixing:
    """Of each side's runs, (C, S, Q); a scalar that moves nowhere, and is the same everywhere, is no matter."""
    length = min(run.shape[1] for runs in sides for run in runs)
    chains = [np.concatenate([run[:, -length:] for run in runs]) for runs in sides]
    together = np.concatenate(chains)
    still = np.ptp(together, axis=(0, 1)) == 0
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore")
        r_hat = np.where(still, 1.0, rhat(together))
        gaps = [
            np.abs(a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(mcse_mean(a), mcse_mean(b))
            for a, b in combinations(chains, 2)
        ]
    z = np.where(still, 0.0, np.max(gaps, axis=0))
    r_hat, z = (np.where(np.isnan(values), np.inf, values) for values in (r_hat, z))
    return Mixing(
        float(np.max(r_hat)),
        int(np.argmax(r_hat)),
        float(np.max(z)),
        int(np.argmax(z)),
        float(norm.isf(FALSE_ALARM / 2 / (len(z) * len(gaps)))),
    )
