"""A posterior in numbers, a row for each scalar, and what is wrong with its draws, in words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_parity.draws.posterior import attribute, group
from ppl_parity.statistics import diagnostics
from ppl_parity.statistics.labels import Pivot, Relabelling, is_mixture, relabelled_posterior
from ppl_parity.words import counted

if TYPE_CHECKING:
    from xarray import DataArray, DataTree

MAX_RHAT = 1.01  # Vehtari et al. 2021, section 5
MIN_ESS_PER_CHAIN = 100  # 400 with four chains; the same source
MIN_DRAWS_PER_CHAIN = 100
MODE_GAP_SD = 3.0  # chain means this many within-chain sd apart are no sampling error
MODES_FROM_DRAWS = 20  # of fewer, the spread within a chain is too rough a unit
SATURATED_SHARE = 0.01
LARGEST_RHAT = 1000.0  # beyond it the number says nothing: the chains stand still
# Ten thousand latent scalars are not a table.
MAX_SCALARS = 1000
NAMED = 3  # how many offenders a sentence names


@dataclass(frozen=True)
class Row:
    """One scalar; ``constant`` if its draws differ by rounding at most: its diagnostics are then NaN."""

    name: str
    mean: float
    sd: float
    mcse_mean: float
    ess_bulk: float
    ess_tail: float
    r_hat: float
    constant: bool


@dataclass(frozen=True)
class Summary:
    """The rows of a posterior, and how they came about.

    Args:
        rows: one a scalar.
        relabelling: what was done about label switching; None if nothing was.
        omitted: variables left out, with their sizes, because they hold too many scalars.
        num_chains: C.
        num_draws: S, per chain.
    """

    rows: tuple[Row, ...]
    relabelling: Relabelling | None
    omitted: dict[str, int]
    num_chains: int
    num_draws: int

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Plain rows, for JSON or ``pandas.DataFrame``."""
        return [dataclasses.asdict(row) for row in self.rows]

    @property
    def notes(self) -> list[str]:
        """What a reader of the rows must know about them."""
        notes = [f"{counted(self.num_chains, 'chain')} of {counted(self.num_draws, 'draw')}."]
        if self.relabelling is not None:
            notes.append(f"Components were relabelled: {self.relabelling}.")
        notes += [f"{name} is left out: it has {size} scalars." for name, size in self.omitted.items()]
        return notes


def summarize(tree: DataTree, pivot: Pivot | None = None, max_scalars: int = MAX_SCALARS) -> Summary:
    """Summarise every scalar of the posterior, with a mixture's components relabelled.

    Args:
        tree: from ``to_datatree``, of the mixture or of any model.
        pivot: another posterior's ``relabelling.pivot``, to name the components as there.
        max_scalars: a variable with more of them is left out, and named in ``omitted``.

    Returns:
        Mean, sd, MCSE of the mean, bulk and tail ESS and rank-normalised R-hat, for each scalar.

    Source: Vehtari et al. 2021, Bayesian Analysis 16:667.
    """
    posterior, relabelling = relabelled_posterior(tree, pivot)
    rows: list[Row] = []
    omitted: dict[str, int] = {}
    for name, values in posterior.data_vars.items():
        size = math.prod(values.shape[2:])
        if name == "z" and is_mixture(posterior):
            continue  # its entries are names of components, whose mean says nothing
        if size > max_scalars:
            omitted[str(name)] = size
        else:
            rows += _rows(values)
    sizes = posterior.sizes
    return Summary(tuple(rows), relabelling, omitted, sizes.get("chain", 0), sizes.get("draw", 0))


def diagnose(tree: DataTree, summary: Summary | None = None) -> list[str]:
    """Say in plain words what makes these draws untrustworthy, and what to do about it.

    Args:
        tree: from ``to_datatree``; the maximum tree depth and the target acceptance are read from the root
            attribute ``settings``, if it is there.
        summary: of the same tree, if there is one already.

    Returns:
        One sentence or two for each trouble, the worst kinds first; empty if nothing is wrong.

    Source: Vehtari et al. 2021, Bayesian Analysis 16:667.
    """
    summary = summarize(tree) if summary is None else summary
    values = {str(name): stat.values for name, stat in group(tree, "sample_stats").data_vars.items()}
    settings = attribute(tree, "settings", {})
    settings = settings if isinstance(settings, dict) else {}
    return [
        *_not_finite(tree),
        *_stuck(tree, summary),
        *_modes(tree, summary, values.get("lp")),
        *_divergences(values.get("diverging"), settings),
        *_convergence(summary),
        *_depth(values.get("tree_depth"), settings),
        *_few(summary),
    ]


def _rows(values: DataArray) -> list[Row]:
    names = scalar_names(values)
    if not names:
        return []
    # The weight of a single component is 1, to the rounding of the dtype in which it was drawn.
    rounding = 4 * np.finfo(values.dtype).eps if values.dtype.kind == "f" else 0.0
    draws = np.asarray(values.values, dtype=np.float64)
    draws = draws.reshape(*draws.shape[:2], -1)
    # False for NaN, which is no constant.
    constant = np.ptp(draws, axis=(0, 1)) <= rounding * np.abs(draws).max(axis=(0, 1))
    ess_bulk, ess_tail, r_hat = (
        np.where(constant, np.nan, statistic)
        for statistic in (diagnostics.ess(draws), diagnostics.ess(draws, "tail"), diagnostics.rhat(draws))
    )
    mcse = np.where(constant, 0.0, diagnostics.mcse_mean(draws))
    ddof = min(1, draws.shape[0] * draws.shape[1] - 1)
    sd = np.where(constant, 0.0, draws.std(axis=(0, 1), ddof=ddof))
    columns = (draws.mean(axis=(0, 1)), sd, mcse, ess_bulk, ess_tail, r_hat)
    return [
        Row(name, *(float(column[i]) for column in columns), constant=bool(constant[i]))
        for i, name in enumerate(names)
    ]


def rhat_words(value: float, decimals: int = 3) -> str:
    """R-hat with as many decimals, and no digits of what is only large."""
    return f"{value:.{decimals}f}" if value < LARGEST_RHAT else f"> {LARGEST_RHAT:.0f}"


def scalar_names(values: DataArray) -> list[str]:
    """The names of the scalars of one variable, such as ``beta[0, 1]``, in the order of ``np.ndindex``."""
    axes = values.dims[2:]
    labels = [values[axis].values if axis in values.coords else range(values.sizes[axis]) for axis in axes]
    return [
        f"{values.name}[{', '.join(str(label[i]) for label, i in zip(labels, index, strict=True))}]"
        if axes
        else str(values.name)
        for index in np.ndindex(*values.shape[2:])
    ]


def _not_finite(tree: DataTree) -> list[str]:
    bad = {}
    for name, values in group(tree, "posterior").data_vars.items():
        if values.dtype.kind == "f" and (count := int(np.count_nonzero(~np.isfinite(values.values)))):
            bad[f"{name} ({count} of {values.size})"] = count
    if not bad:
        return []
    return [f"Some draws are not finite: {_listed(list(bad))}. The density or its gradient broke down there."]


def _standing(tree: DataTree) -> np.ndarray:
    """(C,): the chains whose every draw is their first one."""
    variables = [
        v.values for v in group(tree, "posterior").data_vars.values() if v.dtype.kind == "f" and v.size
    ]
    if not variables or variables[0].shape[1] < 2:
        return np.zeros(0, dtype=bool)
    return np.all([np.all(v == v[:, :1], axis=tuple(range(1, v.ndim))) for v in variables], axis=0)


def _stuck(tree: DataTree, summary: Summary) -> list[str]:
    standing = np.flatnonzero(_standing(tree))
    if not len(standing):
        return []
    why = "every proposal was rejected, or the step size is zero or far too large. Run a longer warmup."
    if len(standing) == summary.num_chains:
        return [f"No parameter ever moved: {why}"]
    which = f"chain {standing[0]}" if len(standing) == 1 else f"chains {', '.join(map(str, standing))}"
    return [f"In {which} no parameter ever moved: {why}"]


def _modes(tree: DataTree, summary: Summary, lp: np.ndarray | None) -> list[str]:
    """Chains whose means are far apart in units of the spread within a chain; where one stands still, none is known."""
    if summary.num_chains < 2 or summary.num_draws < MODES_FROM_DRAWS or _standing(tree).any():
        return []
    pivot = summary.relabelling.pivot if summary.relabelling else None
    posterior, _ = relabelled_posterior(tree, pivot)
    kept = {row.name: row for row in summary}
    worst, worst_gap, worst_means = "", MODE_GAP_SD, np.empty(0)
    for values in posterior.data_vars.values():
        if not (names := scalar_names(values)) or names[0] not in kept:
            continue
        draws = np.asarray(values.values, dtype=np.float64).reshape(*values.shape[:2], -1)
        means, within = draws.mean(axis=1), np.median(draws.std(axis=1, ddof=1), axis=0)
        spread = np.ptp(means, axis=0)
        spread = np.where([kept[name].constant for name in names], 0.0, spread)
        gaps = np.divide(spread, within, out=np.where(spread > 0, np.inf, 0.0), where=within > 0)
        i = int(np.argmax(np.nan_to_num(gaps, nan=0.0, posinf=np.inf)))
        if gaps[i] > worst_gap:
            worst, worst_gap, worst_means = names[i], float(gaps[i]), means[:, i]
    if not worst:
        return []
    told = f"chain means of {worst}: {', '.join(f'{mean:.3g}' for mean in worst_means)}"
    if lp is not None:
        told += f"; mean log density of each chain: {', '.join(f'{mean:.1f}' for mean in lp.mean(axis=1))}"
    return [
        f"The chains are in different modes ({told}). Their mixture is no posterior: give the chains better "
        "starting points or a longer warmup, and distrust those of lower log density."
    ]


def _divergences(diverging: np.ndarray | None, settings: dict[str, Any]) -> list[str]:
    count = 0 if diverging is None else int(np.count_nonzero(diverging))
    if diverging is None or count == 0:
        return []
    target = settings.get("target_accept")
    now = f" (now {target})" if target is not None else ""
    return [
        f"{count} of {diverging.size} draws ({100 * count / diverging.size:.2g} %) diverged: part of the "
        f"posterior may not have been reached. Raise target_accept{now} towards 0.99; if that does not help, "
        "rewrite the model in less correlated parameters."
    ]


def _convergence(summary: Summary) -> list[str]:
    troubles = []
    if high := sorted((r for r in summary if r.r_hat > MAX_RHAT), key=lambda r: -r.r_hat):
        # 1.0104 is above 1.01, and 1.010 does not look it.
        told = _listed(
            [f"{r.name} ({rhat_words(r.r_hat, 3 if r.r_hat >= MAX_RHAT + 5e-4 else 4)})" for r in high]
        )
        troubles.append(
            f"R-hat is above {MAX_RHAT} for {len(high)} of {len(summary)} scalars: {told}. "
            "The chains do not agree yet: run a longer warmup and more draws."
        )
    least = MIN_ESS_PER_CHAIN * summary.num_chains
    # NaN, of a constant or of a quantile that all draws share, is no small number.
    ess = {row.name: float(np.fmin(row.ess_bulk, row.ess_tail)) for row in summary}
    if low := sorted((name for name in ess if ess[name] < least), key=ess.__getitem__):
        told = _listed([f"{name} ({ess[name]:.0f})" for name in low])
        troubles.append(
            f"The effective sample size is below {least} ({MIN_ESS_PER_CHAIN} a chain) for {len(low)} of "
            f"{len(summary)} scalars: {told}. Means and intervals are noisy: run more draws."
        )
    return troubles


def _depth(tree_depth: np.ndarray | None, settings: dict[str, Any]) -> list[str]:
    limit = settings.get("max_tree_depth")
    if tree_depth is None or limit is None:
        return []
    share = float(np.mean(tree_depth >= limit))
    if share <= SATURATED_SHARE:
        return []
    dense = (
        ", or"
        if settings.get("dense_mass") or not settings.get("adapt_mass", True)
        else ", use dense_mass, or"
    )
    return [
        f"{share:.1%} of the trajectories reached the maximum tree depth of {limit}: draws are slow and "
        f"correlated. Raise max_tree_depth{dense} scale the parameters alike."
    ]


def _few(summary: Summary) -> list[str]:
    troubles = []
    if summary.num_draws < MIN_DRAWS_PER_CHAIN:
        troubles.append(
            f"A chain has {counted(summary.num_draws, 'draw')}; below {MIN_DRAWS_PER_CHAIN} the diagnostics above say "
            "little. Run more draws."
        )
    if summary.num_chains < 2:
        troubles.append("There is one chain only, so nothing shows whether another start ends elsewhere.")
    return troubles


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
