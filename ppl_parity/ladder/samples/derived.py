"""What is computed from posterior draws: the log density, and replicates of the data.

Each costs a call of a program, so it is computed for a thinned part of the draws, once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.samples.given import Given, given_to_data
from ppl_parity.ladder.samples.sampling import Chains
from ppl_parity.ladder.together import Refused, together
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.sides import SideError
from ppl_parity.statistics.selection import select

PER_ROUND = 1600  # draws of a side in a first round, about a millisecond each; later rounds keep the stride
# Fewer where a density takes longer than that: what a share of the time that is left pays for, or some seconds.
LEAST_DRAWS, SHARE, LEAST_SECONDS = 200, 0.25, 5.0
PREDICTIVE_SCALARS = 40
# Of the rows of what is observed, where the latent sites differ: each draw is a call, and each row a number of it.
# The draws are of a first round; later rounds keep the stride.
LIKELIHOOD_DRAWS, LIKELIHOOD_ROWS = 400, 5000


@dataclass
class Derived:
    """Series of derived quantities, side -> (C, S', Q), and how far the draws have been worked through.

    ``likelihood`` has a series of each site of its own: side -> site -> (C, S', rows).
    """

    log_density: dict[str, np.ndarray] = field(default_factory=dict)
    predictive: dict[str, np.ndarray] = field(default_factory=dict)
    likelihood: dict[str, Arrays] = field(default_factory=dict)
    predictive_names: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    stride: dict[str, int] = field(default_factory=dict)
    likelihood_stride: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    given: Given = "alike"

    def extend(self, context: Context, chains: Chains, seconds: float) -> None:
        """Work through the draws that are new, for which a part of these ``seconds`` may be used.

        The log density of both sides' draws is one side's, so that it is one function of the draws; where
        the latent sites differ there is no such function, and replicates of the data are compared instead.
        """
        new: dict[str, Arrays] = {}
        for side in SIDES:
            total = chains.num_draws(side)
            if side not in self.stride:
                num_chains = next(iter(chains.draws[side].values())).shape[0]
                most = PER_ROUND if context.reparameterised else affordable(context, chains, seconds)
                self.stride[side] = max(1, total * num_chains // most)
            rows = np.arange(self.seen.get(side, 0), total, self.stride[side])
            self.seen[side] = int(rows[-1]) + self.stride[side] if len(rows) else self.seen.get(side, 0)
            new[side] = {name: value[:, rows] for name, value in chains.draws[side].items()}
        if context.reparameterised:
            self.given = given_to_data(context, chains.draws)
            if self.given != "apart":
                self._replicate(context, new, chains.rounds)
                self._observe(context, new)
        else:
            self._evaluate(context, new)

    def _evaluate(self, context: Context, new: dict[str, Arrays]) -> None:
        for side in SIDES:
            given = context.pair.to_side(
                context.asked, {name: new[side][name] for name in _continuous(context)}
            )
            shape = next(iter(given.values())).shape[:2]
            values = np.empty((*shape, 1))
            for index in np.ndindex(*shape):
                try:
                    point = {name: value[index] for name, value in given.items()}
                    values[(*index, 0)] = context.programs[context.asked].log_density(point)
                except InputError:
                    values[(*index, 0)] = np.nan
                except SideError:  # a density that ends its process would end as many as there are draws
                    values[:] = np.nan
                    break
            self.log_density[side] = _joined(self.log_density.get(side), values)

    def _replicate(self, context: Context, new: dict[str, Arrays], round_: int) -> None:
        def work(side: str) -> Arrays:
            latent = [n for n, s in context.sites[side].items() if s.kind == "latent" and n in new[side]]
            flat = {name: _flat(new[side][name]) for name in latent}
            seed = context.settings.seed + 1000 * round_ + SIDES.index(side)
            draws = context.programs[side].predictive_samples(context.pair.to_side(side, flat), seed=seed)
            return context.pair.from_side(side, draws)

        try:
            drawn = together(work, context.sides.values())
        except Refused:
            return  # the quantities that both sides have are compared all the same
        common = {
            name: drawn["pyro"][name].shape[1:]
            for name in drawn["pyro"]
            if name in drawn["numpyro"] and drawn["numpyro"][name].shape[1:] == drawn["pyro"][name].shape[1:]
        }
        if not common:
            return
        selection = select(common, PREDICTIVE_SCALARS)
        self.predictive_names = selection.names()
        for side in SIDES:
            shape = next(iter(new[side].values())).shape[:2]
            values = selection.columns(drawn[side], 1).reshape(*shape, -1)
            self.predictive[side] = _joined(self.predictive.get(side), values)

    def _observe(self, context: Context, new: dict[str, Arrays]) -> None:
        """The log probs of what both sides observe, or have as a factor, at each side's own draws.

        Two libraries' densities of one family are one function; of a factor, or of two families, a constant may part
        them, so that only what moves is compared.
        """
        both = [context.sites[side] for side in SIDES]
        names = [n for n in both[0] if n in both[1] and {s[n].kind for s in both} <= {"observed", "factor"}]
        if not names or any(s.kind == "latent" and is_discrete(s) for sites in both for s in sites.values()):
            return

        def work(side: str) -> Arrays:
            latent = [n for n, s in context.sites[side].items() if s.kind == "latent" and n in new[side]]
            chains, length = next(iter(new[side].values())).shape[:2]
            step = self.likelihood_stride.setdefault(side, max(1, length * chains // LIKELIHOOD_DRAWS))
            rows = np.arange(0, length, step)
            found: dict[str, list[np.ndarray]] = {name: [] for name in names}
            for chain in range(chains):
                for row in rows:
                    at = context.pair.to_side(side, {n: new[side][n][chain, row] for n in latent})
                    told = context.pair.from_side(side, context.programs[side].site_log_probs(at))
                    for name in names:
                        found[name].append(np.ravel(told[name]))
            return {n: np.stack(v).reshape(chains, len(rows), -1) for n, v in found.items()}

        try:
            found = together(work, context.sides.values())
        except (Refused, KeyError):  # a frozen side was not asked, or a model cannot be traced there
            return
        for name in names:
            a, b = (found[side][name] for side in SIDES)
            if a.shape[2:] != b.shape[2:]:
                continue
            rows = np.unique(np.linspace(0, a.shape[-1] - 1, min(a.shape[-1], LIKELIHOOD_ROWS)).astype(int))
            alike = both[0][name].kind == both[1][name].kind == "observed"
            alike = alike and both[0][name].family == both[1][name].family
            for side, values in zip(SIDES, (a[..., rows], b[..., rows]), strict=True):
                centred = values if alike else values - values.mean(axis=(0, 1))
                own = self.likelihood.setdefault(side, {})
                own[name] = _joined(own.get(name), centred)


def affordable(context: Context, chains: Chains, seconds: float) -> int:
    """How many densities of a side's draws there is time for, by what one takes once it is compiled."""
    program, side = context.programs[context.asked], context.asked
    point = {name: chains.draws[side][name][0, 0] for name in _continuous(context)}
    took = 0.0
    try:
        for _ in range(2):
            began = time.monotonic()
            program.log_density(context.pair.to_side(side, point))
            took = time.monotonic() - began
    except (InputError, SideError):
        return PER_ROUND
    share = max(SHARE * seconds / len(SIDES), LEAST_SECONDS)
    return int(np.clip(share / max(took, 1e-6), LEAST_DRAWS, PER_ROUND))


def _continuous(context: Context) -> list[str]:
    found = context.sites[context.asked].items()
    return [name for name, site in found if site.kind == "latent" and not is_discrete(site)]


def _joined(old: np.ndarray | None, new: np.ndarray) -> np.ndarray:
    return new if old is None else np.concatenate([old, new], axis=1)


def _flat(value: np.ndarray) -> np.ndarray:
    return value.reshape(-1, *value.shape[2:])
