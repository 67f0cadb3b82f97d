"""One look at posterior draws: which may be judged, and what is judged of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.samples import exchangeable
from ppl_parity.ladder.samples.convergence import STUCK_RHAT, Convergence, converged, pooled_r_hat, stuck
from ppl_parity.ladder.samples.dependence import dependence, dependence_blocks
from ppl_parity.ladder.samples.derived import Derived
from ppl_parity.ladder.samples.elsewhere import Names, elsewhere
from ppl_parity.ladder.samples.judging import Block, Family, Name, Open, judge
from ppl_parity.ladder.samples.rest import rest_block
from ppl_parity.ladder.samples.sampling import Chains
from ppl_parity.ladder.samples.settling import settled
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.rounding import without_rounding
from ppl_parity.statistics.selection import Selection, project, select
from ppl_parity.statistics.splitting import share_of_look
from ppl_parity.statistics.two_sample import energy_test

MOST_SCALARS = 160  # diagnostics cost some 10 ms a scalar
LIKELIHOOD_SCALARS = 40
# Divergent trajectories leave part of the posterior out, differently on each side, and standard errors do not
# know it. A difference of less than this many posterior sd is then not held against the model.
DIVERGING = 0.005
DIVERGENCE_BIAS = 1.0
FEW_DIVERGING, FEW_BIAS = (
    0.001,
    0.3,
)  # the same of fewer: where some trajectories end, the steepest part is seen less

OTHERWISE_GIVEN = Open(
    "each side has latent sites that the other does not record, and not as many numbers in them, so that data may be "
    "given different things on each side",
    "record, as deterministic, what one side samples and the other computes; or compare both with a model that "
    "samples as one of them does",
)


@dataclass
class Look:
    """What one look at the draws came to."""

    family: Family
    convergence: dict[str, Convergence]  # of what is compared scalar by scalar,
    names: Names  # which these are,
    elsewhere: dict[str, tuple[Convergence, Names]]  # and of what is not
    joint: tuple[float, float, float, int] | None
    dependence: Finding | None
    pooled: float
    number: int

    def told(self, side: str) -> tuple[Convergence, Names]:
        """The diagnostics that matter: of what is compared, and of what kept it from being judged."""
        others, names = self.elsewhere[side]
        matters = others.r_hat > STUCK_RHAT
        if "unresolved" in self.family.verdicts():
            matters = matters | ~others.usable
        kept = [name for name, one in zip(names, matters, strict=True) if one]
        return self.convergence[side].joined(others.where(matters)), [*self.names, *kept]

    def decided(self) -> bool:
        """Whether more draws could change nothing, or need not."""
        verdicts = self.family.verdicts()
        apart = self.joint is not None and self.joint[0] < self.joint[2]
        return apart or "different" in verdicts or not self.family.open()


def renamed(chains: Chains, components: exchangeable.Components | None) -> dict[str, Arrays]:
    """side -> draws, with interchangeable components named by one pivot for both sides."""
    if components is None:
        return chains.draws
    return exchangeable.renamed(components, chains.draws, chains.stats["pyro"].get("lp"))


def examine(
    context: Context,
    chains: Chains,
    components: exchangeable.Components | None,
    derived: Derived,
    number: int,
    share: float,
) -> Look:
    """Ask first what has converged, then compare that.

    Args:
        context: of the climb.
        chains: all draws so far.
        components: that are interchangeable, or None.
        derived: what was computed from the draws.
        number: of this look.
        share: the rung's false-alarm probability, over all looks.
    """
    draws = renamed(chains, components)
    shapes = {
        name: value.shape[2:]
        for name, value in draws["pyro"].items()
        if name in draws["numpyro"]
        and draws["numpyro"][name].shape[2:] == value.shape[2:]
        and value.dtype.kind in "fiub"
        and 0 not in value.shape
    }
    alpha = share_of_look(share, number) / 2
    margin = context.settings.margin
    selection = select(shapes, MOST_SCALARS)
    names = selection.names()
    a, b = (selection.columns(draws[side], 2) for side in SIDES)
    a, b = settled(context, selection, a, b)
    convergence = {
        side: converged(x, chains.stats[side].get("lp")) for side, x in zip(SIDES, (a, b), strict=True)
    }
    others = {side: elsewhere(context.sites[side], draws[side], selection) for side in SIDES}
    believed = not any(stuck(c) for c in (*convergence.values(), *(c for c, _ in others.values())))
    usable = convergence["pyro"].usable & convergence["numpyro"].usable & believed
    sites = np.array([site for site, _ in names])
    blocks = [
        Block(
            "posterior",
            [n for n in names if n[0] == site],
            a[..., sites == site],
            b[..., sites == site],
            usable[sites == site],
            total=selection.total(site),
        )
        for site in shapes
    ]
    blocks += _rest(draws, selection, believed)
    if components is not None:
        blocks += _invariant_blocks(components, chains)
    everywhere = believed and all(np.all(c.usable) for c, _ in others.values())
    blocks += _derived_blocks(derived, chains, bool(everywhere and np.all(usable)))
    joint, pairs = None, []
    moving = usable & (np.ptp(a, axis=(0, 1)) > 0) & (np.ptp(b, axis=(0, 1)) > 0)
    if np.count_nonzero(moving) > 1:
        a, b = a[..., moving], b[..., moving]
        left, right = project(a, b, context.settings.seed)
        fine = _fine(left, right)
        numbered: list[Name] = [(None, (i,)) for i in range(len(fine))]
        title = "random projections of all scalars"
        blocks.append(Block("posterior", numbered, left, right, fine, title=title))
        pairs = dependence_blocks(
            "posterior", [n for n, m in zip(names, moving, strict=True) if m], a, b, _fine
        )
        blocks += pairs
        rows = [_independent(x, c.ess[moving]) for x, c in zip((a, b), convergence.values(), strict=True)]
        p, distance = energy_test(*rows, alpha=alpha, seed=context.settings.seed)
        joint = (p, distance, alpha, min(len(r) for r in rows))
    pooled = pooled_r_hat(a, b) if a.shape[-1] else np.ones(1)
    family = judge(blocks, alpha=alpha, margin=margin, look=number)
    _forgive_divergences(family, chains, context.results.get("verdicts", {}).get("density") == "same")
    together = dependence("posterior", pairs, family)
    worst = float(np.nanmax(pooled, initial=1.0))
    return Look(family, convergence, names, others, joint, together, worst, number)


def _fine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return converged(a).usable & converged(b).usable


def _rest(draws: Mapping[str, Arrays], selection: Selection, believed: bool) -> list[Block]:
    """What stands out among the scalars that were not selected."""

    def usable(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return _fine(a, b) & believed

    blocks = [rest_block("posterior", site, draws, selection, usable) for site in selection.shapes]
    return [block for block in blocks if block is not None]


def _invariant_blocks(components: exchangeable.Components, chains: Chains) -> list[Block]:
    # Chains that are apart in the names of their components only are together in these.
    sums = {side: exchangeable.invariants(components, chains.draws[side]) for side in SIDES}
    blocks = []
    for name, value in sums["pyro"].items():
        a, b = (sums[side][name].reshape(*sums[side][name].shape[:2], -1) for side in SIDES)
        a, b = without_rounding(a, b)
        usable = converged(a).usable & converged(b).usable
        names = [(name.split()[-1], tuple(map(int, i))) for i in np.ndindex(*value.shape[2:])]
        blocks.append(Block("posterior", names, a, b, usable, title=f"the {name}"))
    return blocks


def _derived_blocks(derived: Derived, chains: Chains, usable: bool) -> list[Block]:
    blocks = []
    if derived.log_density:
        # The sampler's own series is long enough for diagnostics; the compared one is thinned.
        series = [chains.stats[side]["lp"] for side in SIDES]
        own = [converged(lp[..., None], lp).usable for lp in series]
        a, b = (derived.log_density[side] for side in SIDES)
        finite = np.all(np.isfinite(a)) & np.all(np.isfinite(b))
        blocks.append(
            Block("posterior", [(None, ())], a, b, own[0] & own[1] & finite, title="the log density")
        )
    if derived.predictive:
        a, b = (derived.predictive[side] for side in SIDES)
        finite = np.all(np.isfinite(a), axis=(0, 1)) & np.all(np.isfinite(b), axis=(0, 1))
        names = derived.predictive_names
        for site in dict.fromkeys(site for site, _ in names):
            where = np.array([name[0] == site for name in names])
            own_names = [name for name in names if name[0] == site]
            blocks.append(
                Block("posterior predictive", own_names, a[..., where], b[..., where], finite[where] & usable)
            )
    if derived.likelihood:
        blocks += _likelihood_blocks(derived, usable)
    if derived.given == "unclear":
        for block in blocks:
            block.doubt = OTHERWISE_GIVEN
    return blocks


def _likelihood_blocks(derived: Derived, usable: bool) -> list[Block]:
    """Of what is observed, row by row: where the latent sites differ no rung compares the log probs themselves."""
    shapes = {site: value.shape[2:] for site, value in derived.likelihood["pyro"].items()}
    selection = select(shapes, LIKELIHOOD_SCALARS)

    def believed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.all(np.isfinite(a), axis=(0, 1)) & np.all(np.isfinite(b), axis=(0, 1)) & usable

    blocks = []
    for site in shapes:
        own = Selection({site: selection.flat[site]}, {site: shapes[site]})
        a, b = (own.columns(derived.likelihood[side], 2) for side in SIDES)
        blocks.append(Block("posterior log prob", own.names(), a, b, believed(a, b), total=own.total(site)))
        rest = rest_block("posterior log prob", site, derived.likelihood, own, believed)
        blocks += [] if rest is None else [rest]
    return blocks


def _independent(draws: np.ndarray, ess: np.ndarray) -> np.ndarray:
    """Draws thinned until the slowest scalar's are nearly independent: (rows, Q)."""
    flat = draws.reshape(-1, draws.shape[-1])
    least = float(np.nanmin(ess, initial=len(flat)))
    stride = max(1, int(np.ceil(2 * len(flat) / least)))
    return flat[::stride]


def _forgive_divergences(family: Family, chains: Chains, one_density: bool) -> None:
    diverging = max(chains.diverging(side) for side in SIDES)
    few = FEW_BIAS if one_density and diverging > FEW_DIVERGING else 0.0
    bias = DIVERGENCE_BIAS if diverging > DIVERGING else few
    for one in family.judged:
        if one.verdict == "different" and abs(one.difference) < bias:
            one.verdict = "unresolved"
            family.forgiven = True
