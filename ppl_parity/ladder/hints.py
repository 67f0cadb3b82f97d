"""Why two log probs probably differ: known patterns in the parameters and in the numbers themselves."""

from __future__ import annotations

import numpy as np

from ppl_parity.contract import Arrays, Site
from ppl_parity.errors import InputError
from ppl_parity.ladder.comparison import Comparison
from ppl_parity.ladder.context import SIDES, Context

FLOAT32 = 1e-6  # relative, of a sum of terms that are each rounded to seven digits

# What the libraries call one and the same parameter.
SAME_PARAMETER = {
    "concentration1": "concentration1",
    "concentration0": "concentration0",
    "dim": "dimension",
    "df": "df",
}


def explain_site(
    context: Context, name: str, values: dict[str, list[Arrays]], comparison: Comparison
) -> str | None:
    """A sentence on the probable cause, or None where no pattern fits."""
    if comparison.one_sided:
        finite = _finite_side(values, name, comparison.one_sided[0])
        if finite is not None:
            where = context.points[comparison.one_sided[0]].name
            return f"at {where} only {finite} gives it a density: supports differ"
    a, b = _sites_at(context, name, comparison.worst)
    if a is None or b is None:
        return None
    shapes = [values[side][comparison.worst][name].shape for side in SIDES]
    if shapes[0] != shapes[1]:
        left, right = shapes
        return f"its log prob has shape {left} in pyro and {right} in numpyro: a broadcast or a lost axis"
    if a.family != b.family:
        return f"the distribution is {a.family} in pyro and {b.family} in numpyro"
    if a.scale != b.scale:
        return f"it is scaled by {a.scale:g} in pyro and {b.scale:g} in numpyro"
    if a.masked != b.masked:
        return f"it is masked in {'pyro' if a.masked else 'numpyro'} only"
    return _explain_params(a, b) or _explain_numbers(values, name)


def _finite_side(values: dict[str, list[Arrays]], name: str, point: int) -> str | None:
    finite = [side for side in SIDES if np.all(np.isfinite(values[side][point].get(name, np.nan)))]
    return finite[0] if len(finite) == 1 else None


def _sites_at(context: Context, name: str, point: int) -> tuple[Site | None, Site | None]:
    """Both sides' descriptions of a site at a point; None where a model cannot be traced there."""
    found = []
    for side in SIDES:
        try:
            values = context.values(side, context.points[point], discrete=True)
            sites = context.programs[side].sites(values)
        except InputError:
            return None, None
        named = context.pair.from_side(side, {site.name: site for site in sites})
        found.append(named.get(name))
    return found[0], found[1]


def _explain_params(a: Site, b: Site) -> str | None:
    for key, left in a.params.items():
        right = b.params.get(SAME_PARAMETER.get(key, key), b.params.get(key))
        if right is None:
            continue
        try:
            left, right = (np.asarray(v) for v in np.broadcast_arrays(left.squeeze(), right.squeeze()))
        except ValueError:
            return f"its {key} has shape {left.shape} in pyro and {right.shape} in numpyro"
        if np.allclose(left, right, rtol=1e-9, atol=1e-12):
            continue
        return f"its {key} is {_show(left)} in pyro and {_show(right)} in numpyro{_relation(left, right)}"
    return None


def _relation(left: np.ndarray, right: np.ndarray) -> str:
    def near(x: np.ndarray, y: np.ndarray) -> bool:
        return bool(np.allclose(x, y, rtol=1e-6, atol=1e-12))

    with np.errstate(all="ignore"):
        if np.any(left <= 0) or np.any(right <= 0):
            patterns = []
        else:
            patterns = [
                (left**2, "numpyro's is pyro's squared: a variance for a scale?"),
                (np.sqrt(left), "numpyro's is the square root of pyro's: a scale for a variance?"),
                (1 / left, "numpyro's is one over pyro's: a rate for a scale?"),
                (np.log(left), "numpyro's is the log of pyro's"),
            ]
        patterns.append((np.exp(left), "numpyro's is exp of pyro's: another link"))
        for pattern, words in patterns:
            if near(pattern, right):
                return f" ({words})"
        if left.ndim >= 1 and left.shape[0] > 1:
            for shift in (-1, 1):
                if near(np.roll(left, shift, axis=0), right):
                    return " (shifted by one: an index that is off by one?)"
            if near(np.sort(left, axis=None), np.sort(right, axis=None)):
                return " (the same numbers in another order: a swapped index or a transpose?)"
        ratio = right / left
        if np.all(np.isfinite(ratio)) and np.ptp(ratio) < 1e-6 * abs(float(ratio.flat[0])) + 1e-12:
            return f" ({float(ratio.flat[0]):.4g} times pyro's)"
    return ""


def _explain_numbers(values: dict[str, list[Arrays]], name: str) -> str | None:
    sums = [np.array([float(np.sum(row[name])) for row in values[side]]) for side in SIDES]
    usable = np.isfinite(sums[0]) & np.isfinite(sums[1]) & (np.abs(sums[0]) > 1e-9)
    if usable.sum() >= 3:
        ratio = sums[1][usable] / sums[0][usable]
        if np.ptp(ratio) < 1e-6 * abs(ratio[0]) and abs(ratio[0] - 1) > 1e-6:
            words = "a sign" if abs(ratio[0] + 1) < 1e-6 else "a missing scale, or a plate too many"
            return f"numpyro's log prob is {ratio[0]:.6g} times pyro's at every point: {words}"
        if np.max(np.abs(ratio - 1)) < FLOAT32:
            return "no more than float32's rounding: something is made or cast in float32 on one side"
    return None


def _show(value: np.ndarray) -> str:
    flat = np.asarray(value).ravel()
    text = ", ".join(f"{v:.4g}" for v in flat[:3])
    return text if flat.size == 1 else f"[{text}{', ...' if flat.size > 3 else ''}]"
