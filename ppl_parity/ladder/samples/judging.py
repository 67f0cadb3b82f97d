"""From scalars to findings: a family of quantities judged together, then told site by site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ppl_parity.findings import Finding, Verdict
from ppl_parity.listing import listed
from ppl_parity.statistics.equivalence import FALSE_SAME, POWER, Comparison, decide, moments
from ppl_parity.statistics.rounding import without_rounding
from ppl_parity.statistics.splitting import holm, share_of_look
from ppl_parity.statistics.widths import ratio_of_scores, ratio_of_squares

Name = tuple[str | None, tuple[int, ...]]

FUNCTIONALS = ("mean", "spread")
NOT_FINITE = (
    "find what overflows, or has no value, in these draws (a division by zero, the log of a negative number): more "
    "time gives no finite ones"
)
UNIT = "sd"  # pooled, of the draws or of their normal scores
ORDER = {"different": 2, "unresolved": 1, "same": 0}


@dataclass(frozen=True)
class Open:
    """Why what is unresolved stayed so, and what to do about it where more draws would not help."""

    reason: str
    advice: str | None = None

    @classmethod
    def not_finite(cls, names: Iterable[str]) -> Open:
        """For sites some of whose draws are no numbers."""
        return cls(f"some draws of {listed(names)} are not finite", NOT_FINITE)


@dataclass
class Block:
    """Scalars that were drawn alike, and what else is known of them.

    Attributes:
        label: where they come from, for sentences: ``posterior``, ``prior``.
        names: (site, index) of each; site None for a quantity of the model as a whole.
        a, b: (C, S, Q) of pyro and of numpyro.
        usable: (Q,) whether the draws may be judged: converged, and finite.
        extra: further p-values of each quantity, (R, Q), such as a two-sample test's.
        rare: (Q,) of which ``extra`` alone can tell: a mean of them is far from normal. None is of none.
        independent: the draws are no chains.
        title: what they are, where that is no site's own scalars: ``the sum of beta``.
        among: of how many scalars these are the furthest apart; each is then judged as one of so many, and told
            only if it differs. 0 for scalars that were not chosen so.
        total: the site's own number of scalars, where these are not all of them.
        hint: the probable cause of a difference of these, where that is not the family's.
        doubt: why a difference of these would not be one of the models; None where it would.
    """

    label: str
    names: Sequence[Name]
    a: np.ndarray
    b: np.ndarray
    usable: np.ndarray
    extra: np.ndarray | None = None
    rare: np.ndarray | None = None
    independent: bool = False
    title: str | None = None
    among: int = 0
    total: int = 0
    doubt: Open | None = None
    hint: str | None = None

    def __post_init__(self) -> None:
        self.a, self.b = without_rounding(self.a, self.b)


@dataclass
class Judged:
    """One functional of one scalar, and what was decided of it."""

    block: Block
    site: str | None
    index: tuple[int, ...]
    functional: str
    verdict: Verdict
    difference: float
    error: float
    p_value: float
    resolution: float
    upper: float
    scored: bool
    by_shape: bool
    doubted: bool = False


@dataclass
class Family:
    """All that was judged at one look; ``forgiven`` if divergences took a difference's standard error away."""

    judged: list[Judged] = field(default_factory=list)
    alpha: float = 0.0
    margin: float = 0.0
    forgiven: bool = False

    def verdicts(self) -> set[str]:
        """Those that occur."""
        return {one.verdict for one in self.judged}

    def open(self) -> bool:
        """Whether more draws could decide what is not decided."""
        return any(one.verdict == "unresolved" and not one.doubted for one in self.judged)


def judge(blocks: Sequence[Block], *, alpha: float, margin: float, look: int) -> Family:
    """Judge every quantity of all blocks as one family, under Holm.

    Args:
        blocks: what was drawn.
        alpha: the family's false-alarm probability at this look.
        margin: in pooled standard deviations.
        look: which look this is; the chance of a false ``same`` is spent over looks too.

    Returns:
        A ``Family``; a quantity whose draws may not be judged is ``unresolved``.
    """
    family = Family([], alpha, margin)
    blocks = [block for block in blocks if len(block.names)]
    if not blocks:
        return family
    tested = [_test(block) for block in blocks]
    p_values = [p for _, _, p in tested]
    adjusted = np.split(
        holm(np.concatenate([p.ravel() for p in p_values])), np.cumsum([p.size for p in p_values])
    )
    for block, (comparisons, scored, p), flat in zip(blocks, tested, adjusted, strict=False):
        rows = flat.reshape(p.shape)
        # A test of the whole distribution speaks for the first functional, so that it is told once.
        own, rows[0] = rows[0].copy(), np.min(np.delete(rows, 1, axis=0), axis=0)
        for functional, comparison, row in zip(FUNCTIONALS, comparisons, rows, strict=False):
            decision = decide(
                comparison,
                row,
                alpha=alpha,
                margin=margin,
                num_tests=sum(p.size for p in p_values),
                false_same=share_of_look(FALSE_SAME, look),
            )
            family.judged += [
                Judged(
                    block,
                    site,
                    index,
                    functional,
                    str(decision.verdict[q]),  # type: ignore[arg-type]
                    -float(comparison.difference[q]),  # as everywhere: numpyro minus pyro
                    float(comparison.error[q]),
                    float(row[q]),
                    float(decision.resolution[q]),
                    float(decision.upper[q]),
                    bool(scored[q]),
                    by_shape=functional == FUNCTIONALS[0] and bool(own[q] >= alpha > row[q]),
                )
                for q, (site, index) in enumerate(block.names)
                if not block.among or decision.verdict[q] == "different"
            ]
    for one in family.judged:
        if one.block.doubt is not None and one.verdict == "different":
            one.verdict, one.doubted = "unresolved", True
    return family


def _test(block: Block) -> tuple[tuple[Comparison, Comparison], np.ndarray, np.ndarray]:
    """Both functionals' comparisons, NaN where unusable; which are scored; all p-values (2 + R, Q)."""
    keep = block.usable
    a, b = (np.where(keep, draws, 0.0) for draws in (block.a, block.b))
    location, spread, scored = moments(a, b, independent=block.independent)
    comparisons = tuple(
        Comparison(*(np.where(keep, part, np.nan) for part in (c.difference, c.error, c.p_value)))
        for c in (location, spread)
    )
    extra = np.empty((0, len(keep))) if block.extra is None else block.extra
    own = [
        c.p_value if block.rare is None else np.where(block.rare & keep, 1.0, c.p_value) for c in comparisons
    ]
    p_values = np.stack([*own, *extra])
    p_values = np.minimum(1.0, p_values * block.among) if block.among else p_values
    return (comparisons[0], comparisons[1]), scored, p_values


def findings(
    family: Family,
    *,
    reason: Open,
    unusable: Callable[[str | None], Open] | None = None,
    hint: str | None = None,
) -> Iterator[Finding]:
    """One finding a site and functional, at its worst scalar, in the order in which the blocks came.

    Args:
        family: what ``judge`` returned.
        reason: of what is unresolved though it could be judged.
        unusable: of a site that could not be judged; None is the same.
        hint: the probable cause of a difference.
    """
    groups: dict[tuple[int, str | None, str], list[Judged]] = {}
    for one in family.judged:
        groups.setdefault((id(one.block), one.site, one.functional), []).append(one)
    spreads = {
        (id(one.block), one.site, one.index): one.difference
        for one in family.judged
        if one.functional == FUNCTIONALS[1] and not one.scored
    }
    for members in groups.values():
        worst = max(members, key=_severity)
        spread = spreads.get((id(worst.block), worst.site, worst.index), np.nan) if worst.by_shape else np.nan
        why = reason if unusable is None or np.isfinite(worst.error) else unusable(worst.site)
        yield _finding(members, worst, spread, family, why, hint)


def of_a_part(family: Family, *labels: str) -> Iterator[Finding]:
    """Which sites are too large for every scalar to be compared by itself, among blocks with these labels."""
    parts = {
        one.site: (len(one.block.names), one.block.total)
        for one in family.judged
        if one.block.total and one.block.label in labels
    }
    if parts:
        told = ", ".join(f"{kept} of the {total:,} of {site!r}" for site, (kept, total) in parts.items())
        yield Finding(
            "same",
            "scalars",
            f"One by one were compared {told}; of the others only what stands out among so many would be seen.",
            notable=True,
            numbers={"part": True},
        )


def _parted(block: Block, one: Judged) -> float:
    """The largest gap between the distribution functions of both sides' draws of a scalar."""
    column = list(block.names).index((one.site, one.index))
    a, b = (np.sort(draws[..., column].ravel()) for draws in (block.a, block.b))
    at = np.concatenate([a, b])
    below = [np.searchsorted(side, at, side="right") / len(side) for side in (a, b)]
    return float(np.max(np.abs(below[0] - below[1])))


def _finding(
    members: list[Judged], worst: Judged, spread: float, family: Family, why: Open, hint: str | None
) -> Finding:
    block, site = worst.block, worst.site
    of = f"{block.label} {worst.functional}"
    what = f"The {of} of {block.title or in_words(site, worst.index)}"
    unit = "pooled standard deviations"
    if worst.scored:
        unit = "standard deviations of normal scores (its tails are heavy)"
    if worst.functional == "spread":  # compared as what it is a mean of
        unit += " of (x - mean)^2"
    size = abs(worst.difference)
    if worst.verdict == "different" and worst.by_shape:
        and_spread = f" and its {FUNCTIONALS[1]} by {spread:+.3g}" if np.isfinite(spread) else ""
        moved = (
            f"its mean by {worst.difference:+.3g}{and_spread} {unit}"
            if np.isfinite(size)
            else "some draws are not finite"
        )
        # Neither moment shows it where both are inside the margin: the size of something else is no size of this.
        size = float(np.fmax(size, abs(spread)))
        size = size if size >= family.margin else np.nan
        moved = f"its distribution functions part by up to {_parted(block, worst):.2g}; {moved}"
        detail = (
            f"The {block.label} distribution of {block.title or in_words(site, worst.index)} differs (two-sample "
            f"test, adjusted p = {worst.p_value:.1e}; {moved})."
        )
    elif worst.verdict == "different":
        inside = ", which is inside the margin and still no chance" if worst.upper < family.margin else ""
        detail = (
            f"{what} differs by {worst.difference:+.3g} {unit} (numpyro minus pyro; standard error "
            f"{worst.error:.2g}, adjusted p = {worst.p_value:.1e}{_ratio(block, worst)}){inside}."
        )
    elif worst.verdict == "same":
        if len(members) > 1 and not block.title:
            which = f"{len(members)} of the {block.total:,}" if block.total else f"all {len(members)}"
            what = f"The {of} of {which} scalars of {site!r}"
        detail = (
            f"{what} agrees within {max(m.upper for m in members):.2g} {unit}; the margin is "
            f"{family.margin:g}, and {max(m.resolution for m in members):.2g} would have been found with a "
            f"probability of {100 * POWER:.0f} %."
        )
    else:
        count = sum(one.verdict == "unresolved" for one in members)
        some = f" ({count} of {len(members)} scalars)" if len(members) > 1 else ""
        told = (
            f"could differ by up to {worst.upper:.3g} {unit}, and the margin is {family.margin:g}"
            if np.isfinite(worst.upper)
            else "cannot be judged"
        )
        if worst.doubted and block.doubt is not None:
            told = f"differs by {worst.difference:+.3g} {unit} (numpyro minus pyro)"
            why = block.doubt
        detail = f"{what} {told}{some}: {why.reason}."
    resolution = max(one.resolution for one in members)
    return Finding(
        worst.verdict,
        f"{block.label} distribution" if worst.verdict == "different" and worst.by_shape else of,
        detail,
        site=site,
        size=size if np.isfinite(size) else None,
        resolution=resolution if np.isfinite(resolution) else None,
        index=worst.index or None,
        hint={"different": block.hint or hint, "unresolved": why.advice}.get(worst.verdict),
        numbers={
            "indices": [list(one.index) for one in members],
            "difference": [one.difference for one in members],
            "error": [one.error for one in members],
            "adjusted_p": [one.p_value for one in members],
            "margin": family.margin,
            "unit": UNIT,
            **_wider(members, family.margin),
        },
    )


def _wider(members: list[Judged], margin: float) -> dict[str, float]:
    """Of spreads that are the same: the ratio of standard deviations that the margin excludes for all of them."""
    held = [m for m in members if m.functional == "spread" and m.verdict == "same" and m.site is not None]
    ratios = []
    for one in held if not members[0].block.title else []:
        column = list(one.block.names).index((one.site, one.index))
        sides = [draws[..., column].ravel() for draws in (one.block.a, one.block.b)]
        if not any(map(np.ptp, sides)):
            continue
        if one.scored:
            ratios.append(ratio_of_scores(np.concatenate(sides), margin))
        else:
            centred = np.concatenate([side - side.mean() for side in sides])
            ratios.append(ratio_of_squares(margin, float(np.mean(centred**4) / np.mean(centred**2) ** 2)))
    return {"ratio": max(ratios)} if ratios else {}


def _ratio(block: Block, worst: Judged) -> str:
    """Of a spread, the standard deviations' ratio, which a reader knows better than a difference of squares."""
    if worst.functional != "spread" or worst.scored or (worst.site, worst.index) not in block.names:
        return ""
    column = list(block.names).index((worst.site, worst.index))
    a, b = (float(np.std(draws[..., column])) for draws in (block.a, block.b))
    if not (a > 0 and b > 0):
        return ""
    larger, smaller, ratio = ("pyro", "numpyro", a / b) if a > b else ("numpyro", "pyro", b / a)
    return f"; the standard deviation is {ratio:.3g} times as large in {larger} as in {smaller}"


def _severity(one: Judged) -> tuple[int, float, float]:
    return ORDER[one.verdict], -one.p_value, one.upper if np.isfinite(one.upper) else np.inf


def in_words(site: str | None, index: tuple[int, ...]) -> str:
    """A scalar as it is written in a sentence: ``beta[0, 1]``, ``'tau'``."""
    if site is None:
        return "the model"
    return f"{site}[{', '.join(map(str, index))}]" if index else repr(site)
