"""The density as NUTS sees it: unconstrained coordinates, their Jacobian, the potential and its gradient.

theta is written by stick-breaking as y in R^(K-1); beta is its own coordinate. With j = 0 .. K-2:

    v_j     = sigmoid(y_j - log(K-1-j))                        the share of the stick that is left
    theta_j = v_j prod_{i<j} (1 - v_i),   theta_{K-1} = prod_{i<K-1} (1 - v_i)

The offset log(K-1-j) sends y = 0 to the uniform theta. The log determinant of the map,
``sum_j [log v_j + log(1 - v_j) + sum_{i<j} log(1 - v_i)]``, counts log(1 - v_j) once for itself and once for
each later j, K-1-j times in all, exactly as ``sum_k log theta_k`` does; so the two are equal, and with
the prior and the likelihood the target depends on theta only through sum_k (alpha_k + n_k) log theta_k.
All is computed from log theta: an extreme y underflows theta, but neither the potential nor the gradient.

Source: the Stan Reference Manual, "Unit simplex"; the same map is StickBreakingTransform in
torch.distributions.transforms and in numpyro.distributions.transforms.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit

from ppl_parity.errors import InputError
from ppl_parity.reference.density import beta_log_prior, likelihood_pass, log_dirichlet_constant, safe_log
from ppl_parity.reference.inputs import as_data, as_means, as_simplex
from ppl_parity.spec import MixtureSpec

Unconstrained = Mapping[str, ArrayLike]


def constrain(spec: MixtureSpec, unconstrained: Unconstrained) -> dict[str, np.ndarray]:
    """Map unconstrained coordinates to parameters, by the stick-breaking formula of this module.

    Args:
        spec: the hyperparameters.
        unconstrained: ``theta`` (K-1,), real, infinities allowed; ``beta`` (K, D).

    Returns:
        ``theta`` (K,) on the simplex and ``beta`` (K, D).

    Raises:
        InputError: a key is missing, a shape is wrong or a value is NaN.
    """
    y, beta = _coordinates(spec, unconstrained)
    return {"theta": np.exp(_log_theta(y)), "beta": beta}


def unconstrain(spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike) -> dict[str, np.ndarray]:
    """Map parameters to unconstrained coordinates: the inverse of ``constrain``.

        y_j = log theta_j - log sum_{k>j} theta_k + log(K-1-j)

    A zero in theta gives an infinite coordinate. Where nothing of the stick is left, every y_j gives the
    same theta, and 0 is returned.

    Args:
        spec: the hyperparameters.
        theta: (K,), on the simplex.
        beta: (K, D).

    Returns:
        ``theta`` (K-1,) and ``beta`` (K, D).

    Raises:
        InputError: a shape is wrong, a value is not finite, or theta is not on the simplex.
    """
    theta, beta = as_simplex(spec, theta), as_means(spec, beta)
    left = np.cumsum(theta[::-1])[::-1]  # from the small end: 1 - cumsum(theta) would cancel
    empty = left[:-1] == 0
    with np.errstate(invalid="ignore"):
        y = safe_log(theta[:-1]) - safe_log(left[1:]) + _offset(spec.num_components - 1)
    return {"theta": np.where(empty, 0.0, y), "beta": beta}


def log_abs_det_jacobian(spec: MixtureSpec, unconstrained: Unconstrained) -> float:
    """Log absolute determinant of d(theta_0 .. theta_{K-2}, beta) / d(y, beta), ``sum_k log theta_k``.

    Zero for K = 1, where there is no coordinate. Args, Raises: as for ``constrain``.
    """
    y, _ = _coordinates(spec, unconstrained)
    return float(np.sum(_log_theta(y)))


def potential(spec: MixtureSpec, unconstrained: Unconstrained, x: ArrayLike) -> float:
    """The function U that NUTS explores, every constant included.

        U(y, beta) = - log_density(theta(y), beta, x) - log |det J(y)|

    Args:
        spec, unconstrained: as for ``constrain``.
        x: (N, D).

    Returns:
        A float; +inf where the density is zero.

    Raises:
        InputError: as for ``constrain``, or x has the wrong shape or is not finite.
    """
    y, beta = _coordinates(spec, unconstrained)
    log_theta = _log_theta(y)
    likelihood, _, _ = likelihood_pass(spec, log_theta, beta, as_data(spec, x))
    # alpha, not alpha - 1: the Jacobian's sum of log theta is in it.
    theta_terms = log_dirichlet_constant(spec) + float(spec.concentration @ log_theta)
    return -(theta_terms + float(beta_log_prior(spec, beta).sum()) + likelihood)


def potential_gradient(
    spec: MixtureSpec, unconstrained: Unconstrained, x: ArrayLike
) -> dict[str, np.ndarray]:
    """Gradient of ``potential``, in closed form.

        w_k = alpha_k + n_k                                n_k = sum_i r_ik
        dU/dy_j     = v_j sum_{k>j} w_k - (1 - v_j) w_j
        dU/dbeta_k  = Sigma^-1 (beta_k - mu) - sum_i r_ik (x_i - beta_k) / s^2

    Args, Raises: as for ``potential``.

    Returns:
        ``theta`` (K-1,) and ``beta`` (K, D).
    """
    y, beta = _coordinates(spec, unconstrained)
    _, counts, slope = likelihood_pass(spec, _log_theta(y), beta, as_data(spec, x))
    weights = spec.concentration + counts
    later = np.cumsum(weights[::-1])[::-1][1:]
    stick = y - _offset(len(y))
    return {
        "theta": expit(stick) * later - expit(-stick) * weights[:-1],
        "beta": np.linalg.solve(spec.prior_cov, (beta - spec.prior_mean).T).T - slope,
    }


def gradient(spec: MixtureSpec, theta: ArrayLike, beta: ArrayLike, x: ArrayLike) -> dict[str, np.ndarray]:
    """Gradient of ``log_density + log |det J|`` in the coordinates (y, beta), at parameters (theta, beta).

    It is minus ``potential_gradient`` at ``unconstrain(theta, beta)``, and stays finite on the boundary.

    Args:
        spec, theta, beta: as for ``unconstrain``.
        x: (N, D).

    Returns:
        ``theta`` (K-1,), with respect to y, and ``beta`` (K, D).

    Raises:
        InputError: as for ``unconstrain``, or x has the wrong shape or is not finite.
    """
    slope = potential_gradient(spec, unconstrain(spec, theta, beta), x)
    return {name: -value for name, value in slope.items()}


def _offset(length: int) -> np.ndarray:
    return np.log(np.arange(length, 0, -1, dtype=np.float64))


def _log_theta(y: np.ndarray) -> np.ndarray:
    stick = y - _offset(len(y))
    log_left = np.concatenate([[0.0], np.cumsum(log_expit(-stick))])
    return np.concatenate([log_expit(stick), [0.0]]) + log_left


def _coordinates(spec: MixtureSpec, unconstrained: Unconstrained) -> tuple[np.ndarray, np.ndarray]:
    if set(unconstrained) != {"theta", "beta"}:
        raise InputError(f"unconstrained must have the keys theta and beta; got {sorted(unconstrained)}.")
    y = np.asarray(unconstrained["theta"], dtype=np.float64)
    if y.shape != (spec.num_components - 1,):
        raise InputError(
            f"The unconstrained theta must have shape (K-1,) = ({spec.num_components - 1},); got {y.shape}."
        )
    if np.any(np.isnan(y)):
        raise InputError("The unconstrained theta must be a number; it holds NaN.")
    return y, as_means(spec, unconstrained["beta"])
