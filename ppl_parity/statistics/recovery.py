"""Where the truth lies among the draws, for data that were drawn with a known one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ppl_parity.statistics.assignment import assign
from ppl_parity.statistics.labels import Pivot, relabelled_posterior
from ppl_parity.statistics.summary import Summary, scalar_names

if TYPE_CHECKING:
    from xarray import DataTree

LEVEL = 0.9  # of the central interval


@dataclass(frozen=True)
class Recovery:
    """How much of the truth the posterior has found again.

    Args:
        truth: its value for each scalar of theta and beta that is not constant, by the summary's names.
        sds: (mean - truth) / sd of each, in posterior standard deviations.
        inside: how many lie in their central 90 % interval; 90 % of them are expected to, over data sets.
    """

    truth: dict[str, float]
    sds: dict[str, float]
    inside: int

    def __str__(self) -> str:
        farthest = max(self.sds, key=lambda name: abs(self.sds[name]))
        return (
            f"Truth that the data were drawn with: {self.inside} of {len(self.sds)} scalars of theta and beta lie in "
            f"their {LEVEL:.0%} intervals; the farthest is {farthest}, {self.truth[farthest]:.4g}, "
            f"{abs(self.sds[farthest]):.1f} sd from its mean."
        )


def named_as(truth: Mapping[str, np.ndarray], pivot: Pivot) -> Pivot:
    """``pivot`` with its components in the order of the true ones that are nearest to them, one to one."""
    apart = (truth["beta"][:, None] - pivot.beta[None]) / pivot.beta_scale
    order = assign(np.sum(apart**2, axis=-1)[None])[0]  # at place j, the pivot's component that is the true j
    return Pivot(pivot.theta[order], pivot.beta[order], pivot.theta_scale, pivot.beta_scale)


def recover(tree: DataTree, summary: Summary, truth: Mapping[str, np.ndarray]) -> Recovery | None:
    """Hold a fit's posterior to the truth; its summary names the components as the truth does.

    Args:
        tree: the fit.
        summary: of it, relabelled with ``named_as``.
        truth: theta (K,) and beta (K, D).

    Returns:
        None where every scalar is constant: nothing was inferred.
    """
    pivot = None if summary.relabelling is None else summary.relabelling.pivot
    posterior, _ = relabelled_posterior(tree, pivot)
    rows = {row.name: row for row in summary}
    values: dict[str, float] = {}
    sds: dict[str, float] = {}
    inside = 0
    for name in ("theta", "beta"):
        draws = posterior[name].values.reshape(-1, truth[name].size)
        below = np.mean(draws < truth[name].ravel(), axis=0)
        for scalar, true, share in zip(
            scalar_names(posterior[name]), truth[name].ravel(), below, strict=True
        ):
            row = rows.get(scalar)
            if row is None or row.constant:
                continue
            values[scalar], sds[scalar] = float(true), (row.mean - float(true)) / row.sd
            inside += bool((1 - LEVEL) / 2 <= share <= (1 + LEVEL) / 2)
    return Recovery(values, sds, inside) if values else None
