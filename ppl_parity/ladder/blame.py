"""Whose sampler is wrong? Hold a site's own draws against its own log prob, on each side by itself.

Given its parents, a scalar site's density is known on a grid from its log prob alone; the place of its draw
under that density (the probability integral transform) is uniform if the sampler is right.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from ppl_parity.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import SIDES, Context, is_discrete

GRID = 65
FINE_GRID = 513  # where one grid serves all draws
ZOOMS = 3  # each narrows the grid to where the density is not negligible
NEGLIGIBLE = 30.0  # nats below the largest value of a grid
DRAWS = 24  # with parents, each needs grids of its own
MOST = 4000
WRONG = 1e-3  # no verdict, which has been given, but a pointer to a side


def blame(context: Context, site: str | None, draws: dict[str, Arrays]) -> str:
    """Say which side's draws of ``site`` do not follow its own log prob.

    Args:
        site: under Pyro's name.
        draws: side -> site -> (num_draws, ...), joint prior draws under Pyro's names.

    Returns:
        A clause for a sentence.
    """
    if site is None or any(site not in context.sites[side] for side in SIDES):
        return "whose it is cannot be told for several sites at once"
    described = context.sites["pyro"][site]
    if described.kind != "latent" or described.event_shape or is_discrete(described):
        return "whose it is can be told for continuous scalar latent sites only"
    wrong = {}
    for side in SIDES:
        try:
            u = _places(context, side, site, draws[side])
        except InputError as error:
            return f"whose it is cannot be told ({error})"
        wrong[side] = float(stats.kstest(u, "uniform").pvalue) if len(u) else 1.0  # type: ignore[attr-defined]
    guilty = [side for side in SIDES if wrong[side] < WRONG]
    numbers = ", ".join(f"{side} p = {wrong[side]:.1e}" for side in SIDES)
    if not guilty:
        return f"neither side's draws are plainly at odds with it ({numbers})"
    return f"it is {' and '.join(guilty)}'s own ({numbers})"


def _places(context: Context, side: str, site: str, draws: Arrays) -> np.ndarray:
    """The probability integral transform of a site's own draws."""
    program, num_draws = context.programs[side], len(draws[site])
    latent = [n for n, described in context.sites[side].items() if described.kind == "latent"]
    rows = np.linspace(0, num_draws - 1, DRAWS).astype(int)
    at = [context.pair.to_side(side, {n: draws[n][i] for n in latent if n in draws}) for i in rows]
    name = next(iter(context.pair.to_side(side, {site: None})))
    scale = _scale(draws[site])
    fixed = draws[site][0]
    alone = [np.asarray(program.site_log_probs({**values, name: fixed})[name]) for values in (at[0], at[-1])]
    if np.array_equal(alone[0], alone[1]):
        grid, cdf = _cdf(program, at[0], name, fixed.shape, scale, FINE_GRID)
        own = draws[site].reshape(num_draws, -1)
        places = [np.interp(own[:, q], grid[:, q], cdf[:, q]) for q in range(own.shape[1])]
        return _finite(np.concatenate(places))
    places = []
    for i, values in zip(rows, at, strict=True):
        grid, cdf = _cdf(program, values, name, fixed.shape, scale, GRID)
        own = draws[site][i].ravel()
        places.append([np.interp(own[q], grid[:, q], cdf[:, q]) for q in range(own.size)])
    return _finite(np.concatenate(places))


def _finite(places: np.ndarray) -> np.ndarray:
    return places[np.isfinite(places)][:MOST]


def _scale(draws: np.ndarray) -> tuple[float, float, float]:
    """The middle, the unit and the reach of a grid that is even near the middle and logarithmic in the tails."""
    low, middle, high = np.nanquantile(draws, (0.25, 0.5, 0.75))
    unit = float(max(high - low, 1e-9 * max(1.0, abs(middle))))
    reach = np.arcsinh(np.nanmax(np.abs(draws - middle)) / unit) + 1.0
    return float(middle), unit, float(reach)


def _cdf(
    program: Program,
    values: Arrays,
    name: str,
    shape: tuple[int, ...],
    scale: tuple[float, float, float],
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """A grid (count, Q) for each element, and the distribution function on it.

    Raises:
        InputError: the log prob is finite nowhere on the grid.
    """
    middle, unit, reach = scale
    size = int(np.prod(shape))
    low, high, q = np.full(size, -reach), np.full(size, reach), np.arange(size)
    for zoom in range(ZOOMS):
        points = count if zoom == ZOOMS - 1 else GRID
        at = np.linspace(low, high, points)
        grid = middle + unit * np.sinh(at)
        log_prob = np.stack([_log_prob(program, values, name, g.reshape(shape)).ravel() for g in grid])
        log_prob = np.where(np.isfinite(log_prob), log_prob, -np.inf)
        seen = log_prob > np.maximum(log_prob.max(axis=0) - NEGLIGIBLE, -np.inf)
        if not np.all(seen.any(axis=0)):
            raise InputError(f"the log prob of {name!r} is finite nowhere near its draws")
        if zoom < ZOOMS - 1:
            first, last = seen.argmax(axis=0), points - 1 - seen[::-1].argmax(axis=0)
            low, high = at[np.maximum(first - 1, 0), q], at[np.minimum(last + 1, points - 1), q]
    density = np.exp(log_prob - log_prob.max(axis=0))
    steps = (density[1:] + density[:-1]) / 2 * np.diff(grid, axis=0)
    cdf = np.concatenate([np.zeros((1, size)), np.cumsum(steps, axis=0)])
    return grid, cdf / cdf[-1]


def _log_prob(program: Program, values: Arrays, name: str, value: np.ndarray) -> np.ndarray:
    try:
        found = program.site_log_probs({**values, name: value})[name]
    except InputError:  # outside the support one side answers with an error, the other with -inf
        return np.full(value.shape, -np.inf)
    return np.broadcast_to(found, value.shape)
