"""Whose sampler is wrong? Hold a site's own draws against its own log prob, on each side by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ppl_parity.backend.contract import Arrays, Program, Site
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.samples.refit import with_data
from ppl_parity.pair.pairs import SIDES
from ppl_parity.statistics.balance import imbalance
from ppl_parity.statistics.moves import anywhere, move_within

DRAWS, STEPS = 800, 3  # in a row from each draw: of many of these the ones that saw most, for their cost
DATA_SETS = 100  # of an observed site: each needs programs of its own,
NUMBERS = 20_000_000  # which a side keeps, with their data
SECONDS = 20.0  # for a site on a side
MOST_SITES = 10  # where no site is named
# No verdict, which has been given, but a pointer to a side: of a named site one side's draws are surely wrong.
WRONG, WRONG_OF_NAMED = 1e-3, 5e-3


def blame(context: Context, site: str | None, draws: dict[str, Arrays]) -> str:
    """Say which side's draws, of ``site`` or else of which site, do not follow its own log prob.

    Args:
        site: under Pyro's name; None asks every site.
        draws: side -> site -> (num_draws, ...), joint prior draws under Pyro's names.

    Returns:
        A clause for a sentence.
    """
    drawn = [
        n for n in context.sites["pyro"] if all(n in draws[s] and _is_drawn(context, s, n) for s in SIDES)
    ]
    asked = drawn[:MOST_SITES] if site is None else [name for name in drawn if name == site]
    if not asked:
        return "whose it is cannot be told of a site that only one side has"
    found: dict[str, dict[str, float | str]] = {}
    for name in asked:
        context.progress(f"forward: whose draws of {name} do not follow their own log prob")
        found[name] = context.both(
            lambda side, _, name=name: _p_value_or_why(context, side, name, draws[side])
        )
    told = {(name, side): p for name in asked for side, p in found[name].items() if isinstance(p, float)}
    if not told:
        side, why = next(iter(found[asked[0]].items()))
        return f"whose it is cannot be told ({side}: {why})"
    least = WRONG / len(asked) if site is None else WRONG_OF_NAMED
    guilty = {key: p for key, p in told.items() if p < least}
    if site is None:
        at = [f"{side}'s own at {name!r} (p = {p:.1e})" for (name, side), p in guilty.items()]
        return (
            f"it is {' and '.join(at)}" if at else "at no site are draws plainly at odds with it (p > 1e-3)"
        )
    numbers = ", ".join(f"{side} {_in_words(p)}" for side, p in found[site].items())
    if guilty:
        return f"it is {' and '.join(side for _, side in guilty)}'s own ({numbers})"
    whose = (
        "neither side's draws are" if len(told) == len(SIDES) else f"{next(iter(told))[1]}'s draws are not"
    )
    return f"{whose} plainly at odds with it ({numbers})"


def _p_value_or_why(context: Context, side: str, name: str, draws: Arrays) -> float | str:
    """The p-value; of a side that cannot be asked (a frozen one, a masked site), why not."""
    try:
        return float(_p_value(context, side, name, draws))
    except InputError as error:
        return str(error).removeprefix(f"{side}: ").rstrip(".")


def _in_words(p: float | str) -> str:
    return f"p = {p:.1e}" if isinstance(p, float) else f"not asked: {p}"


def _is_drawn(context: Context, side: str, name: str) -> bool:
    described = context.sites[side].get(name)
    return described is not None and described.kind in ("latent", "observed")


def _p_value(context: Context, side: str, name: str, draws: Arrays) -> float:
    """The probability of moves as one-sided as these, if the draws follow the site's log prob.

    Raises:
        InputError: they cannot be held against it.
    """
    site, drawn = context.sites[side][name], np.asarray(draws[name])
    if site.masked:
        raise InputError(f"{name!r} is masked, so its log prob is not that of its draws")
    usable = np.flatnonzero(np.isfinite(drawn.reshape(len(drawn), -1)).all(axis=1))
    most, steps = DRAWS, STEPS
    if site.kind == "observed":
        steps = 1
        most = min(DATA_SETS, max(2, NUMBERS // (2 * max(1, drawn[0].size))))
    rows = usable[np.linspace(0, len(usable) - 1, min(most, len(usable))).astype(int)]
    if len(rows) < 2 or not np.ptp(drawn[rows]):
        return 1.0
    at, seed = _At(context, side, name, site, draws, rows), context.settings.seed
    positions = at.positions()
    moves = move_within(site.support, positions)
    if moves is not None:
        return imbalance(positions, at.log_prob, moves, seed=seed, steps=steps, seconds=SECONDS)
    if site.kind == "observed" or is_discrete(site):
        raise InputError(f"no moves within the support {site.support!r} are known")
    # In unconstrained coordinates, which are the site's as a whole, any support is the real line's.
    positions = np.stack([np.reshape(at.unconstrained(i)[at.own_name], (1, -1)) for i in range(len(rows))])
    return imbalance(
        positions,
        at.log_prob_unconstrained,
        anywhere(positions),
        seed=seed,
        steps=steps,
        seen_as=at.constrained,
        seconds=SECONDS,
    )


@dataclass(frozen=True)
class _At:
    """The log prob of one site on one side, at other values of it and at what a joint draw gave its parents."""

    context: Context
    side: str
    name: str
    site: Site
    draws: Arrays
    rows: np.ndarray
    known: dict[tuple[int, bytes], np.ndarray] = field(default_factory=dict)
    own: dict[int, Arrays] = field(default_factory=dict)

    @property
    def own_name(self) -> str:
        return next(iter(self.context.pair.to_side(self.side, {self.name: None})))

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.draws[self.name])[1:]

    @property
    def batch(self) -> tuple[int, ...]:
        return self.shape[: len(self.shape) - len(self.site.event_shape)]

    def positions(self) -> np.ndarray:
        """The draws, as (num_draws, B, E)."""
        return np.reshape(self.draws[self.name][self.rows], (len(self.rows), int(np.prod(self.batch)), -1))

    def log_prob(self, number: int, position: np.ndarray) -> np.ndarray:
        """Of each batch element: (B,)."""
        value, values = position.reshape(self.shape), self.latent(number)
        program = self.context.programs[self.side]
        if self.site.kind == "observed":
            program = self.observing(number, value)
        else:
            values[self.own_name] = value
        found = np.asarray(program.site_log_probs(values)[self.own_name])
        if found.shape != self.batch:
            raise InputError(f"the log prob of {self.name!r} has another shape than its draws")
        return found.ravel() / self.site.scale

    def latent(self, number: int, *, discrete: bool = True) -> Arrays:
        """What a joint draw gave the latent sites, under the side's own names."""
        chosen = {
            n: np.asarray(self.draws[n][self.rows[number]])
            for n, site in self.context.sites[self.side].items()
            if site.kind == "latent" and n in self.draws and (discrete or not is_discrete(site))
        }
        return self.context.pair.to_side(self.side, chosen)

    def observing(self, number: int, value: np.ndarray) -> Program:
        """The model on simulated data, with ``value`` for this site's."""
        context, side = self.context, self.side
        observed = (n for n, site in context.sites[side].items() if site.kind == "observed")
        simulated = {n: np.asarray(self.draws[n][self.rows[number]]) for n in observed} | {self.name: value}
        data = with_data(context, side, simulated)
        return context.sides[side].program(
            context.pair.models[side], data, max_plate_nesting=context.pair.max_plate_nesting
        )

    def unconstrained(self, number: int) -> Arrays:
        """The draw in unconstrained coordinates; of one draw after the other."""
        if number not in self.own:
            self.own.clear()
            self.own[number] = self.context.programs[self.side].unconstrain(
                self.latent(number, discrete=False)
            )
        return dict(self.own[number])

    def constrained(self, number: int, position: np.ndarray) -> np.ndarray:
        """The site's value (1, numbers) at unconstrained coordinates; asked for the same ones again and again."""
        key = (number, position.tobytes())
        if key not in self.known:
            u = self.unconstrained(number)
            u[self.own_name] = position.reshape(np.shape(u[self.own_name]))
            value = self.context.programs[self.side].constrain(u)[self.own_name]
            while len(self.known) >= 2:
                del self.known[next(iter(self.known))]
            self.known[key] = np.reshape(value, (1, -1))
        return self.known[key]

    def log_prob_unconstrained(self, number: int, position: np.ndarray) -> np.ndarray:
        """Of the site as a whole, in its unconstrained coordinates: (1,)."""
        program, u = self.context.programs[self.side], self.unconstrained(number)
        u[self.own_name] = position.reshape(np.shape(u[self.own_name]))
        value = self.constrained(number, position).reshape(self.shape)
        jacobian = np.asarray(program.log_abs_det_jacobian(u)[self.own_name])
        return np.reshape(np.sum(self.log_prob(number, value)) + jacobian, 1)
