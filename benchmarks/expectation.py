"""One EM iteration of scikit-learn's spherical mixture: the same work as a value and gradient, by others.

Its E step computes the log likelihood and the responsibilities r, its M step sum_i r_ik x_i: from these

    n_k = sum_i r_ik,    d/d log theta_k = n_k,    d/d beta_k = (sum_i r_ik x_i - n_k beta_k) / s^2

so it is held to the same potential and gradient as the rest, the prior and the transform added outside
the timed part. The steps are private methods there; there is no public way to time one iteration alone.
"""

from __future__ import annotations

from importlib import metadata

import numpy as np
from scipy.special import expit
from sklearn.mixture import GaussianMixture

from benchmarks.problems import rows_of
from ppl_parity import reference
from ppl_parity.backend.contract import Arrays, Values
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec


def versions() -> dict[str, str]:
    """Distribution name -> version."""
    return {name: metadata.version(name) for name in ("scikit-learn", "numpy", "scipy")}


def devices() -> list[str]:
    """It runs on the CPU."""
    return ["cpu"]


def prepare(
    spec: MixtureSpec,
    formulation: str,
    x: np.ndarray,
    *,
    precision: str = "float64",
    device: str = "cpu",
    num_chains: int = 1,
) -> Expectation:
    """See ``ppl_parity.backend.timed``."""
    if formulation != "em" or num_chains != 1:
        raise InputError(
            f"scikit-learn takes the formulation em and one chain; got {formulation!r}, {num_chains}."
        )
    return Expectation(spec, np.ascontiguousarray(x, dtype=precision))


class Expectation:
    """See ``ppl_parity.backend.timed.Timed``."""

    compiled_loop = False
    potential = "one EM iteration"

    def __init__(self, spec: MixtureSpec, x: np.ndarray):
        self._spec, self._x = spec, x
        self._mixture = GaussianMixture(spec.num_components, covariance_type="spherical")
        self._start: tuple[np.ndarray, np.ndarray] = (np.ones(0), np.ones(0))

    def evaluate(self, points: Values) -> tuple[np.ndarray, Arrays]:
        """See ``Timed``."""
        values, slopes = [], []
        for u in rows_of(dict(points)):
            at = reference.constrain(self._spec, u)
            self._start = (at["theta"].astype(self._x.dtype), at["beta"].astype(self._x.dtype))
            mean, log_resp = self._iterate(*self._start)
            r = np.exp(log_resp)
            n = r.sum(axis=0, dtype=np.float64)
            # means_ is r^T x / n as the M step left it, with its own small number added to n.
            sums = self._mixture.means_ * (n + 10 * np.finfo(r.dtype).eps)[:, None]
            slope_beta = (sums - n[:, None] * at["beta"]) / self._spec.noise_scale**2
            values.append(self._potential(u, len(self._x) * float(mean)))
            slopes.append(self._slope(u, n, slope_beta))
        return np.array(values), {name: np.stack([s[name] for s in slopes]) for name in points}

    def once(self) -> None:
        """See ``Timed``."""
        self._iterate(*self._start)

    def many(self, count: int) -> None:
        """See ``Timed``."""
        for _ in range(count):
            self._iterate(*self._start)

    def _iterate(self, theta: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fit = self._mixture
        fit.weights_, fit.means_ = theta, beta
        fit.covariances_ = np.full(len(theta), self._spec.noise_scale**2, self._x.dtype)
        fit.precisions_cholesky_ = np.full(len(theta), 1 / self._spec.noise_scale, self._x.dtype)
        mean, log_resp = fit._e_step(self._x)
        fit._m_step(self._x, log_resp)
        return mean, log_resp

    def _potential(self, u: Values, log_likelihood: float) -> float:
        return reference.potential(self._spec, u, np.empty((0, self._spec.dim))) - log_likelihood

    def _slope(self, u: Values, n: np.ndarray, slope_beta: np.ndarray) -> Arrays:
        prior = reference.potential_gradient(self._spec, u, np.empty((0, self._spec.dim)))
        stick = u["theta"] - np.log(np.arange(len(n) - 1, 0, -1))
        later = np.cumsum(n[::-1])[::-1][1:]
        theta = expit(stick) * later - expit(-stick) * n[:-1]
        return {"theta": prior["theta"] + theta, "beta": prior["beta"] - slope_beta}
