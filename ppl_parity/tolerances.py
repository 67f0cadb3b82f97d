"""Every tolerance of the deterministic comparisons, by quantity and precision, each with its reason.

Two numbers agree if ``|a - b| <= absolute + relative * max(|a|, |b|)``, scaled where the caller sums n terms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.families import parts


@dataclass(frozen=True)
class Tolerance:
    """How far two numbers may part, and why."""

    relative: float
    absolute: float
    reason: str


TOLERANCES: dict[tuple[str, str], Tolerance] = {
    ("log prob", "float64"): Tolerance(
        1e-10,
        1e-9,
        "both libraries' families agree to 1e-13 a term; parameters computed by a model lose digits",
    ),
    ("log density", "float64"): Tolerance(
        1e-10, 1e-8, "a sum over sites and, enumerated, over states, in an order of each library's own"
    ),
    ("marginal", "float64"): Tolerance(0.0, 1e-8, "a probability; the derivative of an enumerated sum"),
    ("gradient", "float64"): Tolerance(
        1e-7,
        1e-7,
        "sums of the size of the data that cancel near a mode; transforms lose digits in the tails",
    ),
    ("numerical derivative", "float64"): Tolerance(
        1e-4, 1e-4, "a central difference of a potential whose own rounding the step divides by 1e-5"
    ),
    ("unconstrained", "float64"): Tolerance(
        1e-7, 1e-7, "stick breaking and tanh maps lose digits near the edge of their support"
    ),
    ("observed", "float64"): Tolerance(1e-12, 0.0, "the same data were sent to both"),
    ("deterministic", "float64"): Tolerance(
        1e-7,
        1e-9,
        "whatever a model computes: solves and decompositions of its own lose half the digits and more",
    ),
    ("self", "float64"): Tolerance(1e-12, 1e-12, "the same call twice in one process"),
    # Beside the judgement in float64: what a side that stores data or constants in float32 may lose.
    ("log prob", "float32"): Tolerance(1e-5, 1e-4, "seven digits of each number, and sums of them"),
    ("log density", "float32"): Tolerance(1e-5, 1e-4, "seven digits of each number, and sums of them"),
    ("marginal", "float32"): Tolerance(0.0, 1e-4, "the derivative of such a sum"),
    ("gradient", "float32"): Tolerance(1e-4, 1e-4, "sums that cancel near a mode, of seven digits"),
    ("deterministic", "float32"): Tolerance(1e-3, 1e-4, "the same, of seven digits"),
    ("traced", "float64"): Tolerance(
        1e-12, 1e-12, "a recording makes the same calls, so on a CPU every bit is equal; a GPU reorders sums"
    ),
    ("traced", "float32"): Tolerance(1e-5, 1e-5, "the same, with the seven digits of single precision"),
    ("timed log density", "float32"): Tolerance(
        1e-5, 1e-3, "a sum over N rows in float32; the framework's own are good to 2e-7 at N = 100,000"
    ),
    ("timed gradient", "float64"): Tolerance(
        1e-7,
        1e-7,
        "as a gradient's, the absolute part of the score's standard deviation: a component near zero is a sum of N "
        "terms that cancel, and that much of it moves the energy by 1e-7 over a posterior standard deviation",
    ),
    ("timed gradient", "float32"): Tolerance(
        1e-2,
        0.0,
        "of the score's standard deviation, or of a point's largest component: over a leapfrog step of some 0.3 "
        "posterior sd that moves the energy by less than the 0.01 that NUTS can bear",
    ),
}

# Torch clamps a probability at 2e-16 (log -36), NumPyro at 1e-308 or not at all: below, neither is the model's.
CLAMP = -36.0
# A projected normal far from its direction is one plus what is all but minus one; torch maps a Kumaraswamy's value to a
# uniform's, which has no density at one, where it rounds to.
CLAMPED_FAMILIES = (
    "Bernoulli",
    "Binomial",
    "Categorical",
    "Geometric",
    "Kumaraswamy",
    "Multinomial",
    "OrderedLogistic",
    "ProjectedNormal",
)

# Limits of the libraries themselves, absolute, for each element: a known error is not an alarm.
LIBRARY_LIMITS: dict[str, tuple[float, str]] = {
    "BetaBinomial": (2e-6, "NumPyro's beta-function families agree with SciPy to 1e-6 only"),
    "GammaPoisson": (2e-6, "NumPyro's beta-function families agree with SciPy to 1e-6 only"),
    "NegativeBinomial": (2e-6, "NumPyro's beta-function families agree with SciPy to 1e-6 only"),
    "NegativeBinomial2": (2e-6, "NumPyro's beta-function families agree with SciPy to 1e-6 only"),
    "VonMises": (4e-7, "torch's Bessel function is a polynomial, good to 3e-7"),
    "SineSkewed": (
        4e-7,
        "torch's Bessel function is a polynomial, good to 3e-7, as of the VonMises that is skewed",
    ),
    "StudentT": (1e-7, "at very large degrees of freedom, differences of log-gamma"),
    "Weibull": (1e-10, "torch's transformed distribution loses a digit"),
}


@dataclass(frozen=True)
class SamplerLimit:
    """A sampler that does not follow its own density; draws that differ there are none of the port's doing.

    Attributes:
        side, family: whose it is.
        reason: what is wrong.
        holds: whether such draws, (num_draws, ...) of either side, are among those.
    """

    side: str
    family: str
    reason: str
    holds: Callable[[np.ndarray], bool]


LARGE_COUNT = 1e7
OF_COUNTS = (
    "JAX draws counts from rates in float32: beyond 1e7 they scatter by up to 1.4 of what they should, and beyond 1e19 "
    "half of them are 0"
)


def _large(draws: np.ndarray) -> bool:
    return bool(np.nanmax(np.abs(draws), initial=0.0) > LARGE_COUNT)


SAMPLER_LIMITS: tuple[SamplerLimit, ...] = (
    SamplerLimit(
        "pyro",
        "LKJCholesky",
        "torch's sampler of it does not follow its density from dimension 3 on (of dimension 3 and concentration 2 it "
        "draws E[L_33] = 0.737, where the integral is 0.800)",
        lambda draws: draws.shape[-1] >= 3,
    ),
    *(
        SamplerLimit("numpyro", family, OF_COUNTS, _large)
        for family in ("Poisson", "GammaPoisson", "NegativeBinomial")
    ),
)


def library_limit(site: Site | None) -> float:
    """How far a site's summed log prob may be off by its library's own limit; 0 for most families."""
    told = None if site is None else known_limit(site)
    return 0.0 if site is None or told is None else told[0] * max(1, int(np.prod(site.batch_shape)))


def known_limit(site: Site) -> tuple[float, str] | None:
    """The widest limit among a site's family and those that it is made of, and its reason; None for most."""
    return max((LIBRARY_LIMITS[name] for name in parts(site.family) if name in LIBRARY_LIMITS), default=None)


def allowed(
    quantity: str, a: np.ndarray | float, b: np.ndarray | float, dtype: str = "float64"
) -> np.ndarray:
    """How far ``a`` and ``b`` may part, elementwise."""
    tolerance = TOLERANCES[quantity, dtype]
    size = np.maximum(np.abs(a), np.abs(b))
    return tolerance.absolute + tolerance.relative * np.where(np.isfinite(size), size, 0.0)


def agree(
    quantity: str,
    a: np.ndarray | float,
    b: np.ndarray | float,
    *,
    extra: float = 0.0,
    dtype: str = "float64",
) -> bool:
    """Whether all of ``a`` and ``b`` agree; equal infinities do, and NaN does not agree with anything."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= allowed(quantity, a, b, dtype) + extra
    return bool(np.all(near | (a == b)))
