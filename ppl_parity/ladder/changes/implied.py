"""What distribution a computed site has, where its map keeps the family of what it is made of.

u = a + b z of a location-scale family, u = b z of a scale family, exp(a + b z) of a normal, a + B z of normal rows
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.ladder.changes.jacobians import Jacobian

MULTIVARIATE = "MultivariateNormal"
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


@dataclass(frozen=True)
class Place:
    """What is drawn, what is computed of it, and the derivative there."""

    drawn: np.ndarray
    computed: np.ndarray
    derivative: Jacobian

    @property
    def slope(self) -> np.ndarray:
        """du/dz, in the shape of u, where each number is computed of one."""
        return self.derivative.blocks.reshape(np.shape(self.computed))


def implied(site: Site, drawn: Site, family: str, here: Place, there: Place) -> Site | None:
    """The computed site, described as a distribution; None where its family is not known.

    Args:
        site: as the program describes it.
        drawn: the site that it is computed of.
        family: that the other side gives it. Many normals that mix are one normal, and may be written in other ways.
        here, there: two places between which nothing else changes.
    """
    if here.derivative.blocks.shape != there.derivative.blocks.shape:
        return None
    if here.derivative.blocks.shape[-1] > 1:
        found = _of_rows(drawn, here, there) if family == MULTIVARIATE else None
    else:
        found = _of_numbers(drawn, here, there)
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
    return {"loc": value + slope * (loc - here.drawn), "scale": np.abs(slope) * scale}


def _of_rows(drawn: Site, here: Place, there: Place) -> tuple[str, Arrays] | None:
    blocks = here.derivative.blocks
    straight = np.allclose(
        blocks, there.derivative.blocks, rtol=STRAIGHT, atol=STRAIGHT * np.max(np.abs(blocks))
    )
    if not straight or drawn.family != "Normal" or not {"loc", "scale"} <= set(drawn.params):
        return None
    rows, D, shape = here.derivative.rows, blocks.shape[-1], np.shape(here.computed)
    loc, scale = (np.broadcast_to(np.asarray(drawn.params[k], dtype=float), shape) for k in ("loc", "scale"))
    moved = blocks @ (loc - here.drawn).reshape(*rows, D, 1)
    factor = blocks * scale.reshape(*rows, 1, D)
    covariance = factor @ np.swapaxes(factor, -1, -2)
    return MULTIVARIATE, {
        "loc": here.computed + moved.reshape(shape),
        "covariance_matrix": covariance,
    }


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(a, b, rtol=STRAIGHT, atol=0.0))
