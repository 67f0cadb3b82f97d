"""The gradients of the evidence lower bound in the params, a draw each: do both sides' agree?

Where both libraries differentiate a draw in the same way, a gradient's whole distribution is the same, and is compared.
A Beta or a Dirichlet each of them differentiates in its own way: the means alone are then equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.families import parts
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.samples.judging import Block, Open
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.equivalence import FALSE_SAME, compare_unequal_means, decide
from ppl_parity.statistics.rounding import without_rounding
from ppl_parity.statistics.scores import skewness
from ppl_parity.statistics.splitting import holm, share_of_look
from ppl_parity.statistics.two_sample import SKEWED, scalar_p_values

# torch differentiates such a draw by itself; JAX by the gamma draws that it is made of.
OWN_ESTIMATORS = ("Beta", "Dirichlet", "LKJ", "LKJCholesky")
# A bound, and a gradient, is a sum of terms that may cancel, and be so many times as large: the rounding is theirs.
CANCELLED = 1e3
MOST_SCALARS = 200  # of all params and settings: so many have a row each
# Whose derivative is one of the param's own, in each number or within the set (``_within``).
COMPARED = (
    "real",
    "positive",
    "interval(",
    "greater_than(",
    "less_than(",
    "softplus_positive",
    "ordered_vector",
    "simplex",
    "lower_cholesky",
)


@dataclass(frozen=True)
class Slope:
    """The draws of a param's gradient at one setting of the params.

    Attributes:
        name: the param. setting: which one.
        indices: where in it.
        a, b: (S, Q) of pyro and of numpyro.
    """

    name: str
    setting: int
    indices: list[tuple[int, ...]]
    a: np.ndarray
    b: np.ndarray


Slopes = Sequence[Slope]


def slopes_of(gradients: Mapping[str, Arrays], sites: Mapping[str, Site]) -> list[Slope]:
    """Those that can be compared, at most some two hundred numbers.

    Args:
        gradients: side -> param (Pyro's names) -> (P, S, ...).
        sites: param -> what it is.
    """
    names = [
        name
        for name, site in sites.items()
        if all(name in gradients[side] for side in SIDES) and site.support.startswith(COMPARED)
    ]
    found = []
    largest = max((_largest(gradients[side][name]) for name in names for side in SIDES), default=0.0)
    for name in names:
        a, b = (_within(sites[name], gradients[side][name]) for side in SIDES)
        if a.shape[2:] != b.shape[2:]:
            continue
        most = max(1, MOST_SCALARS // (len(names) * len(a)))
        indices = [i for i in np.ndindex(a.shape[2:]) if not _is_zero(sites[name], i)]
        indices = [indices[i] for i in np.unique(np.linspace(0, len(indices) - 1, most).astype(int))]
        for p in range(len(a)):
            columns = [np.stack([side[p][:, *i] for i in indices], axis=1) for side in (a, b)]
            if all(np.all(np.isfinite(each)) for each in columns):
                found.append(
                    Slope(name, p, indices, *without_rounding(columns[0], columns[1], CANCELLED * largest))
                )
    return found


def estimators_differ(guide: Context) -> bool:
    """Whether the libraries differentiate a draw of the guide in their own ways."""
    return any(
        family in OWN_ESTIMATORS
        for side in SIDES
        for site in guide.sites[side].values()
        if site.kind == "latent"
        for family in parts(site.family)
    )


def slope_blocks(slopes: Slopes, at: Sequence[str]) -> list[Block]:
    """The gradients, to be judged like any draws."""
    return [
        Block(
            "estimated",
            [(slope.name, index) for index in slope.indices],
            slope.a[None],
            slope.b[None],
            np.ones(len(slope.indices), dtype=bool),
            extra=scalar_p_values(slope.a, slope.b)[None],
            independent=True,
            title=f"the bound's gradient in {slope.name!r} {at[slope.setting]}",
            hint=_hint(slope.name),
        )
        for slope in slopes
    ]


def mean_slopes(
    slopes: Slopes, at: Sequence[str], *, alpha: float, margin: float, look: int, few: Open
) -> Iterator[Finding]:
    """One finding a param and setting, of the means alone, at the number that is the furthest apart."""
    kept = [(slope, np.array([_has_a_mean(slope, q) for q in range(len(slope.indices))])) for slope in slopes]
    columns = [(slope, q) for slope, usable in kept for q in np.flatnonzero(usable)]
    if columns:
        a, b = (np.stack([getattr(slope, side)[:, q] for slope, q in columns], axis=1) for side in "ab")
        comparison = compare_unequal_means(a, b)
        adjusted = holm(comparison.p_value)
        false_same = share_of_look(FALSE_SAME, look)
        decision = decide(comparison, adjusted, alpha=alpha, margin=margin, false_same=false_same)
    for slope, usable in kept:
        where = f"{slope.name!r} {at[slope.setting]}"
        if not np.any(usable):
            yield Finding(
                "same",
                "gradient of the bound",
                f"The bound's gradient in {where} was not compared: its tails are too heavy for a mean.",
                site=slope.name,
                notable=True,
            )
            continue
        own = [i for i, (other, _) in enumerate(columns) if other is slope]
        order = {"different": 0, "unresolved": 1, "same": 2}
        worst = min(own, key=lambda i: (order[str(decision.verdict[i])], adjusted[i], -decision.upper[i]))
        verdict, index = str(decision.verdict[worst]), slope.indices[int(columns[worst][1])]
        means = [float(np.mean(side[:, worst])) for side in (a, b)]
        detail = {
            "same": f"The mean of the bound's gradient in {where} agrees within {max(decision.upper[own]):.2g} sd of a "
            "draw's.",
            "different": f"The mean of the bound's gradient in {where} is {means[0]:.4g} in pyro and {means[1]:.4g} in "
            f"numpyro ({-comparison.difference[worst]:+.3g} sd of a draw's, adjusted p = {adjusted[worst]:.1e}).",
            "unresolved": f"The mean of the bound's gradient in {where} could differ by up to "
            f"{decision.upper[worst]:.3g} sd of a draw's, and the margin is {margin:g}: {few.reason}.",
        }[verdict]
        yield Finding(
            verdict,  # type: ignore[arg-type]
            "gradient of the bound",
            detail,
            site=slope.name,
            size=float(np.max(np.abs(comparison.difference[own]))),
            resolution=float(np.max(decision.resolution[own])),
            index=index or None,
            hint=_hint(slope.name) if verdict == "different" else few.advice,
            numbers={"unit": "sd", "adjusted_p": [float(adjusted[i]) for i in own]},
        )


def _largest(values: np.ndarray) -> float:
    return float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))


def _hint(name: str) -> str:
    return f"a detach, or a stop_gradient, that one side alone has on the way from {name!r} to the draws"


def _within(site: Site, gradient: np.ndarray) -> np.ndarray:
    """A gradient without what leads out of the set: on a simplex each library goes on beyond it in its own way."""
    if site.support.startswith("simplex"):
        return gradient - gradient.mean(axis=-1, keepdims=True)
    return gradient


def _is_zero(site: Site, index: tuple[int, ...]) -> bool:
    """Whether an entry of a triangular matrix is one that is always zero."""
    return site.support.startswith("lower_cholesky") and index[-1] > index[-2]


def _has_a_mean(slope: Slope, q: int) -> bool:
    """Whether a mean of the draws is near enough to normal to be tested as one."""
    with np.errstate(all="ignore"):
        return not any(
            np.abs(skewness(draws[:, [q]])[0]) > SKEWED * np.sqrt(len(draws)) for draws in (slope.a, slope.b)
        )
