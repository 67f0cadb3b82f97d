"""One fit in numbers: its table, its troubles, and what does not depend on the components' names."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_parity.draws.posterior import attribute, group, to_datatree
from ppl_parity.fitting.diagnosis import troubles, unsuited
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics import invariants
from ppl_parity.statistics.diagnostics import mcse_mean
from ppl_parity.statistics.labels import Pivot
from ppl_parity.statistics.recovery import Recovery, named_as, recover
from ppl_parity.statistics.summary import Summary, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xarray import DataTree

DIMS = {"mixture_mean": ["dim"], "mixture_variance": ["dim"]}


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fit, read once.

    Args:
        tree: the fit.
        summary: of its posterior, components relabelled.
        invariants: of the same, quantities that no renaming of components changes.
        log_predictive: sum_i log p(x_i | x), averaged over draws within the log, and its MCSE; None if the
            fit did not keep the log likelihood.
        troubles: sentences about the draws; none is good.
        misfits: sentences about the model and these data; none is good.
        recovery: where the truth lies that the data were drawn with; None if nobody knows it.
    """

    tree: DataTree
    summary: Summary
    invariants: Summary
    log_predictive: tuple[float, float] | None
    troubles: list[str]
    misfits: list[str]
    recovery: Recovery | None = None

    @property
    def table_rows(self) -> Summary:
        """The summary, followed by the invariants, for one table."""
        return dataclasses.replace(self.summary, rows=(*self.summary.rows, *self.invariants.rows))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        predictive = self.log_predictive
        diverging = group(self.tree, "sample_stats")["diverging"].values
        return {
            "summary": self.summary.as_dicts(),
            "recovery": None if self.recovery is None else dataclasses.asdict(self.recovery),
            "relabelled": None if self.summary.relabelling is None else str(self.summary.relabelling),
            "diagnosis": {
                "num_divergences": int(np.count_nonzero(diverging)),
                "troubles": self.troubles,
                "misfits": self.misfits,
            },
            "invariants": {
                "rows": self.invariants.as_dicts(),
                "log_predictive_density": None
                if predictive is None
                else {"sum": predictive[0], "mcse": predictive[1]},
            },
        }


def read_fit(
    tree: DataTree, pivot: Pivot | None = None, truth: Mapping[str, np.ndarray] | None = None
) -> Fitted:
    """Summarise a fit of the mixture.

    Args:
        tree: from ``fit_mixture``.
        pivot: another fit's ``summary.relabelling.pivot``, to name the components as there.
        truth: theta (K,) and beta (K, D) that the data were drawn with, to name the components as there; none
            of it, or of another K than the fit's, is not looked at.
    """
    summary = summarize(tree, pivot)
    posterior = group(tree, "posterior")
    recovery = None
    if truth and truth["beta"].shape == posterior["beta"].shape[2:]:
        if summary.relabelling is not None:
            summary = summarize(tree, named_as(truth, summary.relabelling.pivot))
        recovery = recover(tree, summary, truth)
    theta, beta = posterior["theta"].values, posterior["beta"].values
    spec = MixtureSpec(**attribute(tree, "spec"))
    whole = {
        "mixture_mean": invariants.mixture_mean(theta, beta),
        # Of a new observation, as the mean is.
        "mixture_variance": invariants.mixture_variance(theta, beta) + spec.noise_scale**2,
        "theta_squared": invariants.theta_squared(theta),
    }
    predictive = None
    if "x" in (log_likelihood := group(tree, "log_likelihood")):
        values = log_likelihood["x"].values
        # To first order the error of a log of means is that of the ratios' mean.
        ratio = invariants.predictive_ratio(values).sum(axis=-1)
        total = float(invariants.log_predictive(values).sum())
        predictive = (total, float(mcse_mean(ratio)))
    columns = {"dim": posterior["dim"].values} if "dim" in posterior.coords else {}
    rows = summarize(to_datatree({"posterior": whole}, {}, dims=DIMS, coords=columns))
    return Fitted(tree, summary, rows, predictive, troubles(tree, summary), unsuited(tree, summary), recovery)
