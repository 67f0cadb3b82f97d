"""The modes that hold some of the mixture's posterior, and how chains are shared out among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppl_parity.spec import MixtureSpec
from ppl_parity.starts.laplace import Mode, apart, coordinates_of, point_at, polished, relabelled, scale_at
from ppl_parity.starts.masses import log_share_of_empty, without
from ppl_parity.starts.search import MAX_ROWS, Point, one_pass, quick_search, search

FAR_BELOW = 5.0  # nats: a mode that holds less than e^-5 of the best one's mass
LITTLE_WORK = 100_000  # rows x columns x components up to which data are searched some more
MORE_SEARCHES = 16  # of these: seeds and EM alone, some milliseconds each
WORTH_A_CLIMB = 20.0  # nats below the best height, up to which volume may make up for what is lacking
FEW = 10, 5  # rows of a component, and more for each column, up to which it may hold more mass without any
EMPTY, SHUNNED = 0.5, 0.1  # rows of a component that has none, and the share of those that its weight is due
SAME = 0.3  # posterior sd between two ends of one climb
LOOKED_AT = 400  # draws, for the modes that they are in
PRIOR_DRAWS = 20  # of where a component is tried that shall have no rows


def find_modes(
    spec: MixtureSpec,
    x: np.ndarray,
    rngs: list[np.random.Generator],
    more: np.random.Generator,
    shared: np.random.Generator,
) -> tuple[list[Mode], int]:
    """The modes that hold some mass, the heaviest first; and how many searches ended at none of them.

    Args:
        rngs: of a search each. more: of further, quick ones. shared: of the climbs.
    """
    modes = _searched(spec, x, rngs, shared)
    known = _distinct(modes)
    known += _others(spec, x, known, more)
    empty = _emptied(spec, x, max(known, key=lambda mode: mode.log_mass), shared)
    known += [] if empty is None else [empty]
    known.sort(key=lambda mode: -mode.log_mass)
    kept = [mode for mode in known if mode.log_mass >= known[0].log_mass - FAR_BELOW]
    return kept, sum(mode not in kept for mode in modes)


def _searched(
    spec: MixtureSpec, x: np.ndarray, rngs: list[np.random.Generator], shared: np.random.Generator
) -> list[Mode]:
    """Of each search the mode that it is on its way to."""
    modes: list[Mode] = []
    reach = _reach(spec, x)
    first: Point | None = None
    for rng in rngs:
        point = search(spec, x, rng)
        if first is None:
            first = point
        else:
            point = relabelled(spec, point, first)
        near = [mode for mode in modes if apart(spec, mode, point) < reach]
        modes.append(near[0] if near else polished(spec, x, point, shared))
    # Two searches that ended a little apart may have climbed to one mode.
    for i, mode in enumerate(modes):
        end = point_at(spec, mode.coordinates)
        same = [other for other in modes[:i] if apart(spec, other, end) < SAME]
        modes[i] = same[0] if same else mode
    return modes


def _reach(spec: MixtureSpec, x: np.ndarray) -> float:
    """Posterior sd of the mode within which a search that has ended is on its way there.

    The search saw a sample of the rows, whose mode is as many times farther off as the sample is smaller.
    """
    return float(2 * np.sqrt(spec.num_components * (spec.dim + 1) * max(1.0, len(x) / MAX_ROWS)))


def _distinct(modes: Sequence[Mode]) -> list[Mode]:
    return [mode for i, mode in enumerate(modes) if mode not in modes[:i]]


def _others(spec: MixtureSpec, x: np.ndarray, known: list[Mode], rng: np.random.Generator) -> list[Mode]:
    """Modes that a few chains' searches may all have missed, as the second of two equal ones."""
    if x.size * spec.num_components > LITTLE_WORK or spec.num_components == 1:
        return []
    found: list[Mode] = []
    highest = max(mode.log_target for mode in known)
    pivot = point_at(spec, known[0].coordinates)
    for _ in range(MORE_SEARCHES):
        point, height = quick_search(spec, x, rng)
        if height < highest - WORTH_A_CLIMB:
            continue
        if any(apart(spec, mode, point) < _reach(spec, x) for mode in (*known, *found)):
            continue
        mode = polished(spec, x, relabelled(spec, point, pivot), rng)
        end = point_at(spec, mode.coordinates)
        if all(apart(spec, other, end) >= SAME for other in (*known, *found)):
            found.append(mode)
    return found


def _emptied(spec: MixtureSpec, x: np.ndarray, mode: Mode, rng: np.random.Generator) -> Mode | None:
    """The mode without its smallest components' rows, if that holds more mass, or nearly as much."""
    if mode.scale.ndim == 1:  # whose volume is another one's than that of fewer numbers, which are dense
        return None
    theta, beta = (part := point_at(spec, mode.coordinates)).theta, part.beta
    counts = one_pass(spec, part, x).counts
    empty: list[int] = []
    held, found = mode.log_mass - FAR_BELOW, None
    for k in map(int, np.argsort(counts)):
        if counts[k] > FEW[0] + FEW[1] * spec.dim or len(empty) == spec.num_components - 1:
            break
        if counts[k] < EMPTY:
            continue
        tried = [*empty, k]
        kept = [j for j in range(spec.num_components) if j not in tried]
        less = without(spec, tried)
        rest = polished(less, x, Point(theta[kept] / theta[kept].sum(), beta[kept]), rng)
        mass = rest.log_mass + log_share_of_empty(spec, tried, len(x))
        if mass <= held:
            continue
        if (whole := _with_empty(spec, x, rest, tried, mass, rng)) is not None:
            empty, held, found = tried, max(mass, held), whole
    return found


def _with_empty(
    spec: MixtureSpec, x: np.ndarray, rest: Mode, empty: list[int], mass: float, rng: np.random.Generator
) -> Mode | None:
    """A mode of the other components with those that are empty, each of which has its prior.

    None where the prior is no wider than the data: there a component takes rows from most places, and is not empty.
    """
    kept = [k for k in range(spec.num_components) if k not in empty]
    others = point_at(without(spec, empty), rest.coordinates)
    total = spec.concentration.sum() + len(x)
    theta = spec.concentration / total
    theta[kept] = others.theta * (1 - theta[empty].sum())
    beta = np.tile(spec.prior_mean, (spec.num_components, 1))
    beta[kept] = others.beta
    away = beta.copy()
    for k in empty:
        drawn = rng.multivariate_normal(spec.prior_mean, spec.prior_cov, size=PRIOR_DRAWS)
        counts = [one_pass(spec, _moved(theta, away, k, at), x).counts[k] for at in drawn]
        if np.median(counts) > min(EMPTY, SHUNNED * len(x) * theta[k]):
            return None
        away[k] = drawn[np.argmin(counts)]
    now = one_pass(spec, Point(theta, away), x)
    scale = scale_at(spec, Point(theta, away), x, rng)
    return Mode(coordinates_of(spec, Point(theta, beta)), scale, now.log_target, mass, len(empty))


def _moved(theta: np.ndarray, beta: np.ndarray, k: int, at: np.ndarray) -> Point:
    moved = beta.copy()
    moved[k] = at
    return Point(theta, moved)


def shared_out(kept: Sequence[Mode], num_chains: int) -> list[Mode]:
    """A mode for each chain, by mass: one that holds 3 % would be a quarter of what four chains say."""
    wanted = shares(kept) * num_chains
    counts = np.floor(wanted).astype(int)
    for _ in range(num_chains - counts.sum()):
        counts[np.argmax(wanted - counts)] += 1
    return [mode for mode, count in zip(kept, counts, strict=True) for _ in range(count)]


def unvisited(spec: MixtureSpec, modes: Sequence[Mode], theta: np.ndarray, beta: np.ndarray) -> float:
    """The share of the modes' mass that lies in those to which no draw is nearest.

    Args:
        theta, beta: (S, K) and (S, K, D) draws, of which some hundreds are looked at.
    """
    chosen = np.linspace(0, len(theta) - 1, min(len(theta), LOOKED_AT)).round().astype(int)
    points = [Point(theta[i], beta[i]) for i in chosen]
    visited = {int(np.argmin([apart(spec, mode, point) for mode in modes])) for point in points}
    return float(sum(share for i, share in enumerate(shares(modes)) if i not in visited))


def shares(modes: Sequence[Mode]) -> np.ndarray:
    """Of the mass of these, the heaviest first."""
    masses = np.exp([mode.log_mass - modes[0].log_mass for mode in modes])
    return masses / masses.sum()
