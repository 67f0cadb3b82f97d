"""What distribution a computed site has, where its map keeps the family of what it is made of.

u = a + b z of a location-scale family, u = b z of a scale family, exp(a + b z) of a normal, a + B z of normal rows
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.ladder.changes.jacobians import Computed, Jacobian

MULTIVARIATE = "MultivariateNormal"
# Given as the covariance of all numbers.
JOINT = (MULTIVARIATE, "LowRankMultivariateNormal", "CAR", "MatrixNormal")
LOCATION_SCALE = ("Normal", "StudentT", "Cauchy", "Laplace", "Logistic", "Gumbel")
# Of b z, with the power of b that each parameter takes.
SCALED: dict[str, dict[str, int]] = {
    "HalfNormal": {"scale": 1},
    "HalfCauchy": {"scale": 1},
    "Weibull": {"scale": 1},
    "Uniform": {"low": 1, "high": 1},
    "InverseGamma": {"rate": 1},
    "Gamma": {"rate": -1},
    "Exponential": {"rate": -1},
}
STRAIGHT = 1e-9  # relative: of two derivatives, or of what a line leaves
ROUNDING = 1e-9  # relative, of a derivative through a factor that is all but singular


@dataclass(frozen=True)
class Place:
    """What is drawn, what is computed of it, and the derivative there."""

    drawn: np.ndarray
    computed: np.ndarray
    derivative: Jacobian

    @property
    def slope(self) -> np.ndarray:
        """du/dz, in the shape of u, where each number is computed of one, given those before."""
        return self.derivative.slopes


def implied(site: Site, drawn: Site, group: Computed, here: Place, there: Place) -> Site | None:
    """The computed site, described as a distribution; None where its family is not known.

    Args:
        site: as the program describes it.
        drawn: the site that it is computed of.
        group: the two, with the family that the other side gives the first. Many normals that mix are one normal, and
            may be written in other ways.
        here, there: two places between which nothing else changes.
    """
    if here.derivative.blocks.shape != there.derivative.blocks.shape:
        return None
    if here.derivative.rows == np.shape(here.computed) and group.family not in JOINT:
        found = _of_numbers(drawn, here, there)
    else:
        found = _of_normals(drawn, group, here, there)
    if found is None:
        return None
    family, params = found
    return replace(
        site,
        kind=drawn.kind,
        family=family,
        params=params,
        scale=drawn.scale,
        masked=drawn.masked,
        value=None,
    )


def _of_numbers(drawn: Site, here: Place, there: Place) -> tuple[str, Arrays] | None:
    straight = _same(here.slope, there.slope)
    if straight and drawn.family in LOCATION_SCALE and {"loc", "scale"} <= set(drawn.params):
        return drawn.family, drawn.params | _moved(drawn, here, here.computed, here.slope)
    if straight and drawn.family in SCALED and _same(here.computed, here.slope * here.drawn):
        powers = SCALED[drawn.family]
        if set(powers) <= set(drawn.params) and np.all(here.slope > 0):
            return drawn.family, drawn.params | {
                k: drawn.params[k] * here.slope**p for k, p in powers.items()
            }
    if drawn.family == "Normal" and np.all(here.computed > 0) and np.all(there.computed > 0):
        slope = here.slope / here.computed
        if _same(slope, there.slope / there.computed):
            return "LogNormal", _moved(drawn, here, np.log(here.computed), slope)
    return None


def _moved(drawn: Site, here: Place, value: np.ndarray, slope: np.ndarray) -> Arrays:
    """loc and scale of a line with this slope through this value."""
    loc, scale = drawn.params["loc"], drawn.params["scale"]
    return {"loc": _rounded(value + slope * (loc - here.drawn), value), "scale": np.abs(slope) * scale}


def _of_normals(drawn: Site, group: Computed, here: Place, there: Place) -> tuple[str, Arrays] | None:
    """Of normals that mix, in whatever layout: u is normal with covariance B diag(scale^2) B'."""
    blocks = here.derivative.blocks
    straight = np.allclose(
        blocks, there.derivative.blocks, rtol=STRAIGHT, atol=STRAIGHT * np.max(np.abs(blocks))
    )
    if not straight or drawn.family != "Normal" or not {"loc", "scale"} <= set(drawn.params):
        return None
    rows, D, shape = blocks.shape[:-2], blocks.shape[-1], np.shape(here.computed)
    loc, scale = (
        np.broadcast_to(np.asarray(drawn.params[key], dtype=float), here.drawn.shape)
        for key in ("loc", "scale")
    )
    away = (loc - here.drawn).reshape(*rows, D, 1)
    size = np.abs(here.computed) + (np.abs(blocks) @ np.abs(away)).reshape(shape)
    where = _rounded(here.computed + (blocks @ away).reshape(shape), size)
    factor = blocks * scale.reshape(*rows, 1, D)
    covariance = factor @ np.swapaxes(factor, -1, -2)
    if group.family == "Normal":
        apart = _diagonal(covariance, 1)
        return None if apart is None else ("Normal", {"loc": where, "scale": np.sqrt(apart).reshape(shape)})
    if group.family not in JOINT:
        return None
    if rows != group.batch:
        d = int(np.prod(shape[len(group.batch) :]))
        found = _diagonal(covariance, d) if rows == () else None
        if found is None:
            return None
        covariance = found.reshape(*group.batch, d, d)
    return MULTIVARIATE, {"loc": where, "covariance_matrix": covariance}


def _diagonal(covariance: np.ndarray, d: int) -> np.ndarray | None:
    """The blocks (..., d, d) on its diagonal; None where there is more."""
    size = covariance.shape[-1]
    parts = covariance.reshape(-1, size // d, d, size // d, d)
    index = np.arange(size // d)
    found = parts[:, index, :, index, :]
    beside = parts.copy()
    beside[:, index, :, index, :] = 0.0
    return found if np.max(np.abs(beside), initial=0.0) <= STRAIGHT * np.max(np.abs(covariance)) else None


def _rounded(loc: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Zero where what is left of a value is its rounding."""
    return np.where(np.abs(loc) <= ROUNDING * np.abs(value), 0.0, loc)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(a, b, rtol=STRAIGHT, atol=0.0))
