"""Did the chains converge? Asked before anything that they drew is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ppl_parity.findings import Finding
from ppl_parity.ladder.samples.judging import NOT_FINITE
from ppl_parity.listing import listed
from ppl_parity.statistics import diagnostics

MAX_RHAT = 1.01  # Vehtari et al. 2021, section 5
MIN_ESS = 400.0
STUCK_RHAT = 1.1  # chains this far apart are in different places: nothing of that side can be believed
NAMED = 2


@dataclass(frozen=True)
class Convergence:
    """Diagnostics of Q scalars on one side; NaN where a scalar never moves.

    Attributes:
        r_hat, ess: (Q,); ess is the smaller of the bulk's and the tail's.
        usable: (Q,) whether the scalar may be judged.
        finite: (Q,) whether all draws are numbers.
        still: (Q,) whether it never moves.
    """

    r_hat: np.ndarray
    ess: np.ndarray
    usable: np.ndarray
    finite: np.ndarray
    still: np.ndarray

    def where(self, keep: np.ndarray) -> Convergence:
        """Of some of the scalars; ``keep`` (Q,) of bool."""
        return Convergence(*(getattr(self, part.name)[keep] for part in fields(self)))

    def joined(self, other: Convergence) -> Convergence:
        """These scalars and then the other's."""
        return Convergence(
            *(np.concatenate([getattr(self, p.name), getattr(other, p.name)]) for p in fields(self))
        )


def converged(draws: np.ndarray, lp: np.ndarray | None = None) -> Convergence:
    """Rank-normalised split R-hat below 1.01, bulk and tail ESS above 400, of draws (C, S, Q).

    A scalar that never moves and is finite is usable; one that is stuck at a value in each chain is not. Where
    nothing moves at all, no proposal was accepted, and nothing is usable.

    Args:
        lp: (C, S) the sampler's log density, of what the draws are all of; None asks of none that it moved.

    Source: Vehtari et al. 2021, Bayesian Analysis 16:667.
    """
    finite = np.all(np.isfinite(draws), axis=(0, 1))
    draws = np.where(finite, draws, 0.0)
    constant = np.ptp(draws, axis=(0, 1)) == 0
    r_hat, bulk = diagnostics.rhat(draws), diagnostics.ess(draws)
    tail = diagnostics.ess(draws, "tail")
    # A quantile that all draws share, as that of a bounded discrete scalar, has no ESS.
    ess = np.where(np.isnan(tail), bulk, np.minimum(bulk, tail))
    usable = finite & (constant | ((r_hat < MAX_RHAT) & (ess > MIN_ESS)))
    if lp is not None and np.size(lp) > 1 and np.ptp(lp) == 0 and np.all(constant):
        usable = np.zeros_like(usable)
    r_hat, ess = (np.where(constant, np.nan, of) for of in (r_hat, ess))
    return Convergence(r_hat, ess, usable, finite, constant)


def stuck(convergence: Convergence) -> bool:
    """Whether some scalar's chains are in different places."""
    return bool(np.any(convergence.r_hat > STUCK_RHAT))


def finding(
    side: str, convergence: Convergence, names: Sequence[tuple[str, tuple[int, ...]]], told: str
) -> Finding:
    """A side's convergence in a sentence; ``told`` says how many draws there are."""
    r_hat, ess = convergence.r_hat, convergence.ess
    worst_r, worst_e = float(np.nanmax(r_hat, initial=1.0)), float(np.nanmin(ess, initial=np.inf))
    numbers = {"largest_r_hat": worst_r, "smallest_ess": worst_e}
    if np.all(convergence.usable):
        detail = f"{side}: {told} converged: R-hat at most {worst_r:.3f}, ESS at least {worst_e:.0f}."
        return Finding("same", "convergence", detail, numbers=numbers)
    if not np.all(convergence.finite):
        lost = [int(q) for q in np.flatnonzero(~convergence.finite)]
        where = listed(dict.fromkeys(names[q][0] for q in lost))
        slow = int(np.sum(convergence.finite & ~convergence.usable))
        also = f", and {slow} of the finite scalars have not converged" if slow else ""
        return Finding(
            "unresolved",
            "convergence",
            f"{side}: some of {told} are not finite at {where}{also}.",
            site=names[lost[0]][0],
            index=names[lost[0]][1] or None,
            hint=NOT_FINITE,
            numbers=numbers,
        )
    if np.all(convergence.still):
        detail = f"{side}: {told} are one and the same, for no proposal was accepted: the chains never moved."
        hint = "a longer warmup, or a parameterisation that is easier to sample"
        return Finding("unresolved", "convergence", detail, hint=hint, numbers=numbers)
    order = np.argsort(np.where(convergence.usable, -np.inf, np.nan_to_num(r_hat, nan=np.inf)))[::-1]
    bad = [int(q) for q in order if not convergence.usable[q]]
    worst = ", ".join(
        f"{names[q][0]}{list(names[q][1]) or ''} (R-hat {r_hat[q]:.3f}, ESS {ess[q]:.0f})"
        for q in bad[:NAMED]
    )
    more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    hint = (
        "the chains are in different modes: better starting points, or exchangeable components to declare"
        if stuck(convergence)
        else "a larger budget, or a parameterisation that is easier to sample"
    )
    return Finding(
        "unresolved",
        "convergence",
        f"{side}: {told} have not converged at {worst}{more}; R-hat must be below {MAX_RHAT} and ESS above "
        f"{MIN_ESS:.0f}.",
        site=names[bad[0]][0],
        index=names[bad[0]][1] or None,
        hint=hint,
        numbers=numbers,
    )


def pooled_r_hat(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """R-hat of all chains of both sides together, (Q,); the longer chains are thinned to the shorter ones.

    Args:
        a, b: (C, S, Q), of one side each.
    """
    length = min(a.shape[1], b.shape[1])
    thinned = [x[:, np.linspace(0, x.shape[1] - 1, length).astype(int)] for x in (a, b)]
    return diagnostics.rhat(np.concatenate(thinned))
