"""What is fixed before anything runs: the mixture's hyperparameters and the sampler's settings.

Both classes are frozen and validated at construction, here and nowhere else: code that receives one
need not check it again.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ppl_parity.errors import InputError, one_of
from ppl_parity.orbits import ORBITS

FORMULATIONS = ("enumerated", "marginal", "fused")
INIT_STRATEGIES = ("mode", "kmeans", "prior", "uniform")
PRECISIONS = ("float32", "float64")
MAX_TREE_DEPTH = 20  # a million leapfrog steps: beyond it a draw takes longer than anyone waits
CHAIN_METHODS = ("auto", "parallel", "vectorized", "sequential")


@dataclass(frozen=True, eq=False)
class MixtureSpec:
    """Hyperparameters of the Bayesian mixture of Gaussians with known covariance ``noise_scale**2 * I``.

        theta  ~ Dirichlet(concentration)                          (K,)
        beta_k ~ MultivariateNormal(prior_mean, prior_cov)         (K, D)
        z_i    ~ Categorical(theta)                                (N,)
        x_i    ~ MultivariateNormal(beta_{z_i}, noise_scale^2 I)   (N, D)

    Args:
        num_components: K, at least 1.
        dim: D, at least 1.
        concentration: alpha of the Dirichlet, a positive scalar or a (K,) vector; stored as (K,).
        prior_mean: mu, a scalar or a (D,) vector, in the unit of the data; stored as (D,).
        prior_cov: Sigma, a positive scalar v for v I, a positive (D,) diagonal, or a symmetric positive
            definite (D, D) matrix, in the squared unit of the data (a variance, not a standard
            deviation); stored as (D, D).
        noise_scale: s, the standard deviation of an observation around its component's mean.

    Raises:
        InputError: a value breaks one of these rules; the message names the rule and the value.
    """

    num_components: int
    dim: int
    concentration: np.ndarray = 1.0  # type: ignore[assignment]
    prior_mean: np.ndarray = 0.0  # type: ignore[assignment]
    prior_cov: np.ndarray = 1.0  # type: ignore[assignment]
    noise_scale: float = 1.0

    if TYPE_CHECKING:  # what may be passed is wider than what is stored

        def __init__(
            self,
            num_components: int,
            dim: int,
            concentration: ArrayLike = 1.0,
            prior_mean: ArrayLike = 0.0,
            prior_cov: ArrayLike = 1.0,
            noise_scale: float = 1.0,
        ) -> None: ...

    def __post_init__(self) -> None:
        num_components = _positive_int("num_components (K)", self.num_components)
        dim = _positive_int("dim (D)", self.dim)
        concentration = _vector("concentration", self.concentration, num_components, "K")
        if not np.all(concentration > 0):
            raise InputError(f"Every entry of concentration must be positive; got {self.concentration}.")
        noise_scale = _finite_float("noise_scale", self.noise_scale)
        if noise_scale <= 0:
            raise InputError(f"noise_scale must be positive; got {self.noise_scale}.")
        frozen = {
            "num_components": num_components,
            "dim": dim,
            "concentration": concentration,
            "prior_mean": _vector("prior_mean", self.prior_mean, dim, "D"),
            "prior_cov": _covariance(self.prior_cov, dim),
            "noise_scale": noise_scale,
        }
        for name, value in frozen.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MixtureSpec) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(repr(self.as_dict()))

    def as_dict(self) -> dict[str, Any]:
        """Plain Python numbers and lists, for JSON; ``MixtureSpec(**spec.as_dict())`` gives it back."""
        return {
            field.name: value.tolist()
            if isinstance(value := getattr(self, field.name), np.ndarray)
            else value
            for field in dataclasses.fields(self)
        }


@dataclass(frozen=True)
class SamplerSettings:
    """How NUTS is run, in words that mean the same for both frameworks.

    Args:
        num_draws: kept draws per chain, at least 1.
        num_warmup: adaptation iterations per chain before the first kept draw, at least 0; with none, the
            step size is what a search from the starting point finds.
        num_chains: independent chains, at least 1.
        seed: a non-negative integer; the same seed gives the same draws, bit for bit, on the same machine.
        target_accept: the mean acceptance probability that step-size adaptation aims at, in (0, 1).
        max_tree_depth: a trajectory has at most ``2**max_tree_depth - 1`` leapfrog steps.
        dense_mass: adapt a full mass matrix instead of a diagonal one.
        adapt_mass: estimate the mass matrix in warmup; if not, it stays what it was at the start.
        orbit: ``any``, ``half`` or ``three quarters``, that a trajectory should be where the mass matrix makes the
            posterior round: a step size that warmup leaves where it is more, is changed (``ppl_parity.orbits``).
        init: ``mode`` or ``kmeans`` (the mixture only), ``prior`` or ``uniform``; explicit values are given
            to ``fit``.
        precision: ``float64`` or ``float32``, for parameters, data and arithmetic alike; with the fused mixture,
            for the data and the arithmetic on its rows, while parameters and sums over rows stay in float64.
        device: ``cpu`` or ``gpu``, with an optional index such as ``gpu:1``.
        chain_method: ``parallel`` (cores), ``vectorized`` (one batched program), ``sequential``, or
            ``auto``, which takes the first of these that works here; the result says which it was.
        num_shards: devices that the rows of the data are spread over; more than 1 is NumPyro's alone.

    Raises:
        InputError: a value breaks one of these rules.
    """

    num_draws: int = 1000
    num_warmup: int = 1000
    num_chains: int = 4
    seed: int = 0
    target_accept: float = 0.8
    max_tree_depth: int = 10
    dense_mass: bool = False
    adapt_mass: bool = True
    orbit: str = "any"
    init: str = "uniform"
    precision: str = "float64"
    device: str = "cpu"
    chain_method: str = "auto"
    num_shards: int = 1

    def __post_init__(self) -> None:
        for name, least in {
            "num_draws": 1,
            "num_warmup": 0,
            "num_chains": 1,
            "max_tree_depth": 1,
            "num_shards": 1,
        }.items():
            object.__setattr__(self, name, int_at_least(name, getattr(self, name), least))
        object.__setattr__(self, "seed", check_seed(self.seed))
        if self.max_tree_depth > MAX_TREE_DEPTH:
            raise InputError(f"max_tree_depth must be at most {MAX_TREE_DEPTH}; got {self.max_tree_depth}.")
        for name in ("dense_mass", "adapt_mass"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be True or False; got {getattr(self, name)!r}.")
        target_accept = _finite_float("target_accept", self.target_accept)
        if not 0 < target_accept < 1:
            raise InputError(f"target_accept must lie strictly between 0 and 1; got {self.target_accept}.")
        object.__setattr__(self, "target_accept", target_accept)
        one_of("orbit", self.orbit, tuple(ORBITS))
        one_of("init", self.init, INIT_STRATEGIES)
        one_of("precision", self.precision, PRECISIONS)
        one_of("chain_method", self.chain_method, CHAIN_METHODS)
        check_device(self.device)

    def as_dict(self) -> dict[str, Any]:
        """Plain Python values; ``SamplerSettings(**settings.as_dict())`` gives it back."""
        return dataclasses.asdict(self)


def check_device(device: Any) -> str:
    """Return ``device`` if it is a name like ``cpu``, ``gpu`` or ``gpu:1``; whether it is here is not asked."""
    kind, separator, index = str(device).partition(":")
    one_of("device", kind, ("cpu", "gpu"))
    if separator and not index.isdecimal():
        raise InputError(f"device must be cpu, gpu, or gpu:1 and so on; got {device!r}.")
    return str(device)


def check_seed(seed: Any) -> int:
    """Return ``seed`` as an int in [0, 2**32), the range that NumPy, torch and JAX all accept."""
    value = int_at_least("seed", seed, 0)
    if value >= 2**32:
        raise InputError(f"seed must be below 2**32; got {seed}.")
    return value


def int_at_least(name: str, value: Any, least: int) -> int:
    """Return ``value`` as an int if it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} must be an integer; got {value!r}.")
    if value < least:
        raise InputError(f"{name} must be at least {least}; got {value}.")
    return int(value)


def _positive_int(name: str, value: Any) -> int:
    return int_at_least(name, value, 1)


def _finite_float(name: str, value: Any) -> float:
    if isinstance(value, bool | str | np.bool_):
        raise InputError(f"{name} must be a number; got {value!r}.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number; got {value!r}.") from None
    if not math.isfinite(number):
        raise InputError(f"{name} must be finite; got {value}.")
    return number


def _finite_array(name: str, value: ArrayLike) -> np.ndarray:
    try:
        given = np.asarray(value)
    except ValueError:  # rows of different lengths
        raise InputError(f"{name} must hold numbers only; got {value!r}.") from None
    if given.dtype.kind not in "fiu":
        raise InputError(f"{name} must hold numbers only; got {value!r}.")
    array = np.array(given, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise InputError(f"{name} must be finite; got {value}.")
    return array


def _vector(name: str, value: ArrayLike, length: int, letter: str) -> np.ndarray:
    array = _finite_array(name, value)
    if array.ndim == 0:
        return np.full(length, float(array))
    if array.shape != (length,):
        raise InputError(
            f"{name} must be a scalar or have shape ({letter},) = ({length},); got shape {array.shape}."
        )
    return array


def _covariance(value: ArrayLike, dim: int) -> np.ndarray:
    array = _finite_array("prior_cov", value)
    if array.ndim == 0:
        array = np.full(dim, float(array))
    if array.shape == (dim,):
        array = np.diag(array)
    if array.shape != (dim, dim):
        raise InputError(
            f"prior_cov must be a scalar or of shape (D,) or (D, D) with D = {dim}; got shape {array.shape}."
        )
    if not np.allclose(array, array.T, rtol=1e-10, atol=0):
        raise InputError("prior_cov must be symmetric; got a matrix that differs from its transpose.")
    try:
        np.linalg.cholesky(array)
    except np.linalg.LinAlgError:
        smallest = np.linalg.eigvalsh(array)[0]
        raise InputError(
            f"prior_cov must be positive definite; its smallest eigenvalue is {smallest:.3g}."
        ) from None
    return array
