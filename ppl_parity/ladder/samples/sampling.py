"""NUTS on both sides at once, in rounds: every later round goes on where the chains stand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.cores import usable
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context
from ppl_parity.ladder.exact.scales import BAD_RATIO, Scale
from ppl_parity.ladder.samples.starting import latent_sites, shared_starts
from ppl_parity.ladder.together import together
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.references import MixtureReference, Reference
from ppl_parity.spec import SamplerSettings
from ppl_parity.tolerances import agree

NUM_CHAINS = 4
NUM_WARMUP = 300
NUM_REWARMUP = 150  # of a later round: the chains are where they belong, only the step size is lost
# Of the first round. NumPyro's compiled sampler gives its draws away, and the standard error of a difference
# is made by the smaller of the two samples.
FIRST_DRAWS = {"pyro": 400, "numpyro": 1200}
LEAPFROGS = 12  # of an iteration, before anything is known
OVERHEAD = 0.002  # seconds of a call from afar that are not the gradient's
STARTUP = 10.0  # seconds: processes and compilation
SHARE_OF_FIRST = 0.6  # of the time that a first round may take
SCALES = (0.3, 0.6, 1.0)  # of a first round: few, so that compiled samplers are found again; with less than
# the least, nothing could converge
# Seconds beyond the budget before a sampler that does not end is ended: what a first round may take to begin, which is
# planned for half of the budget. Of a small budget no more than that again, but for what compilation takes.
GRACE, LEAST_GRACE = 60.0, 20.0


@dataclass
class Chains:
    """All draws so far.

    Attributes:
        draws: side -> site (Pyro's names) -> (C, S, ...), deterministic sites included.
        diverging: side -> the share of draws that diverged.
        per_iteration: side -> seconds of one iteration of all chains, at the last round.
        rounds: how many.
        masses: side -> the inverse mass that its NUTS was given, of a badly scaled posterior.
        scale: of that.
    """

    draws: dict[str, Arrays] = field(default_factory=dict)
    stats: dict[str, Arrays] = field(default_factory=dict)
    per_iteration: dict[str, float] = field(default_factory=dict)
    rounds: int = 0
    masses: dict[str, np.ndarray] = field(default_factory=dict)
    scale: Scale | None = None

    def num_draws(self, side: str) -> int:
        """Draws per chain so far."""
        return next(iter(self.draws[side].values())).shape[1]

    def diverging(self, side: str) -> float:
        """The share of draws that diverged."""
        return float(np.mean(self.stats[side]["diverging"]))


def first_round(context: Context, seconds: float) -> Chains:
    """Begin: four chains a side, from the same points on both sides where the latent sites are the same.

    Args:
        context: of the climb.
        seconds: that all rounds may take; a model whose gradient is slow gets a shorter first one.

    Raises:
        Refused: a side cannot sample this model.
    """
    chains = Chains()
    starts = shared_starts(context, NUM_CHAINS)
    scale = _scale(context, seconds) if starts is not None else 1.0
    draws = {side: int(FIRST_DRAWS[side] * scale) for side in SIDES}
    if starts is not None:
        chains.masses, chains.scale = starts.masses, starts.scale
    _run(context, chains, draws, int(NUM_WARMUP * scale), None if starts is None else starts.values)
    return chains


def next_round(
    context: Context, chains: Chains, draws: dict[str, int], num_warmup: int = NUM_REWARMUP
) -> None:
    """Draw more, from where each chain stands, after a short warmup whose draws are dropped.

    Raises:
        Refused: a side cannot.
    """
    starts = {}
    for side in SIDES:
        latent = latent_sites(context, side)
        starts[side] = {name: chains.draws[side][name][:, -1] for name in latent}
    _run(context, chains, draws, num_warmup, starts)


def patience(context: Context) -> float:
    """Seconds after which a sampler that is started now is ended."""
    budget = context.settings.seconds(context.rungs)
    return max(0.0, context.seconds_left()) + float(np.clip(budget, LEAST_GRACE, GRACE))


def affordable(chains: Chains, draws: dict[str, int], num_warmup: int, seconds: float) -> dict[str, int]:
    """The draws that can be had in ``seconds``: both sides' shrunk alike, to the slower one's measure."""
    share = 1.0
    for side in SIDES:
        cost = chains.per_iteration[side]
        room = seconds / cost - num_warmup if cost > 0 else np.inf
        share = min(share, room / draws[side])
    return {side: int(draws[side] * max(share, 0.0)) for side in SIDES}


def _run(
    context: Context,
    chains: Chains,
    draws: dict[str, int],
    num_warmup: int,
    starts: dict[str, Arrays] | None,
) -> None:
    chains.rounds += 1
    seeds = np.random.SeedSequence([context.settings.seed, 7, chains.rounds]).generate_state(2)

    def work(side: str):
        began, own = time.monotonic(), (starts or {}).get(side)
        settings = SamplerSettings(
            num_draws=draws[side],
            num_warmup=num_warmup,
            num_chains=NUM_CHAINS,
            seed=int(seeds[SIDES.index(side)]),
            init="uniform",
            adapt_mass=side not in chains.masses,
        )
        groups, _ = context.sides[side].sample_posterior(
            sampled_model(context, side),
            context.pair.data[side],
            settings,
            initial_values=None if own is None else context.pair.to_side(side, own),
            inverse_mass=chains.masses.get(side),
            max_plate_nesting=context.pair.max_plate_nesting,
            timeout=patience(context),
        )
        return groups, time.monotonic() - began

    for side, (groups, seconds) in together(work, context.sides.values()).items():
        posterior = context.pair.from_side(side, groups["posterior"])
        chains.draws[side] = _appended(chains.draws.get(side), posterior)
        chains.stats[side] = _appended(chains.stats.get(side), groups["sample_stats"])
        chains.per_iteration[side] = seconds / (num_warmup + draws[side])


def _scale(context: Context, seconds: float) -> float:
    """The share of a full first round that should fit, from the time that a gradient takes."""
    cost = {}
    for side in SIDES:
        model, program = sampled_model(context, side), context.programs[side]
        if model is not context.pair.models[side]:  # its gradient is what a draw will cost
            program = context.sides[side].program(model, context.pair.data[side])
        try:
            point = {n: v[0] for n, v in program.initial("uniform", num_chains=1, seed=0).items()}
            program.potential_and_gradient(point)  # compiles
            began = time.monotonic()
            program.potential_and_gradient(point)
        except InputError:
            return 1.0
        gradient = max(0.0, time.monotonic() - began - OVERHEAD)
        iterations = (NUM_WARMUP + FIRST_DRAWS[side]) * NUM_CHAINS / min(NUM_CHAINS, usable())
        cost[side] = iterations * LEAPFROGS * gradient
    room = SHARE_OF_FIRST * seconds - STARTUP
    share = room / max(*cost.values(), 1e-9)
    return max((scale for scale in SCALES if scale <= share), default=SCALES[0])


def _appended(old: Arrays | None, new: Arrays) -> Arrays:
    new = {name: np.asarray(value) for name, value in new.items()}
    return new if old is None else {name: np.concatenate([old[name], new[name]], axis=1) for name in new}


def sampled_model(context: Context, side: str) -> Reference:
    """The model that NUTS runs on: the shipped mixture's fused formulation where its density is the same.

    Pyro runs the textbook program, enumeration and all, for each gradient; the fused one is several times
    faster. It stands in only where both densities agree at every shared point.
    """
    model = context.pair.models[side]
    if side == context.frozen or not isinstance(model, MixtureReference) or not context.points:
        return model
    if model.formulation == "fused":
        return model
    known = context.results.setdefault("sampled models", {})
    if side not in known:
        fused = replace(model, formulation="fused")
        program = context.sides[side].program(fused, context.pair.data[side])
        same = True
        for point in context.points:
            values = context.values(side, point, discrete=False)
            densities = context.programs[side].log_density(values), program.log_density(values)
            same = same and agree("log density", *densities)
        known[side] = fused if same else model
    return known[side]


def stand_ins(context: Context) -> Iterator[Finding]:
    """What is to be known where NUTS did not run on the checked model itself."""
    sides = [side for side in SIDES if sampled_model(context, side) is not context.pair.models[side]]
    if sides:
        yield Finding(
            "same",
            "formulation",
            f"In {' and '.join(sides)} NUTS ran on the mixture's fused formulation, whose density is that of "
            f"the checked one at all {len(context.points)} shared points.",
            notable=True,
        )


def of_scale(chains: Chains) -> Iterator[Finding]:
    """What is to be known of a badly scaled posterior: a user's own NUTS is not helped as the check's was."""
    scale, sides = chains.scale, [side for side in SIDES if side in chains.masses]
    if scale is None or not sides:
        return
    wide = scale.ratio() > BAD_RATIO
    long = f"in directions that no coordinate has, it is some {scale.condition**0.5:,.0f} times as long as it is wide"
    told = (
        f"its numbers reach from {scale.widths.min():.1g} ({scale.narrowest()!r}) to {scale.widths.max():.1g} in "
        "unconstrained coordinates"
        if wide
        else long
    )
    yield Finding(
        "same",
        "scale",
        f"The posterior is badly scaled: {told}. So NUTS was given the curvature at the mode as its mass, in "
        f"{' and '.join(sides)}; NUTS as either library runs it would need data that are "
        f"{'standardised' if wide else 'centred'}.",
        notable=True,
        numbers={"widest_to_narrowest": scale.ratio(), "condition": scale.condition},
    )
