"""Families that are one distribution under several names and parameters: in the parameters that they share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, softmax

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.families import parts
from ppl_parity.ladder.exact.covariances import covariance_of

Parameters = Callable[[Arrays], dict[str, np.ndarray]]


def _negative_binomial(params: Arrays) -> dict[str, np.ndarray]:
    chance = params["probs"] if "probs" in params else expit(params["logits"])
    count = np.asarray(params["total_count"], dtype=float)
    return {"mean": count * chance / (1 - chance), "concentration": count}


def _gamma_poisson(params: Arrays) -> dict[str, np.ndarray]:
    shape = np.asarray(params["concentration"], dtype=float)
    return {"mean": params["mean"] if "mean" in params else shape / params["rate"], "concentration": shape}


def _beta(params: Arrays) -> dict[str, np.ndarray]:
    total = params["concentration1"] + params["concentration0"]
    return {"mean": params["concentration1"] / total, "concentration": total}


def _beta_proportion(params: Arrays) -> dict[str, np.ndarray]:
    return {"mean": params["mean"], "concentration": params["concentration"]}


def _ordered_logistic(params: Arrays) -> dict[str, np.ndarray]:
    """p(k) = logistic(c_k - x) - logistic(c_{k-1} - x), between cutpoints c."""
    below = expit(params["cutpoints"] - np.asarray(params["predictor"])[..., None])
    ends = np.zeros((*below.shape[:-1], 1))
    return {"probs": np.diff(np.concatenate([ends, below, ends + 1], axis=-1), axis=-1)}


def _categorical(params: Arrays) -> dict[str, np.ndarray]:
    return {"probs": params["probs"] if "probs" in params else softmax(params["logits"], axis=-1)}


def _normal(params: Arrays) -> dict[str, np.ndarray]:
    """Of many dimensions, its covariance in whichever form."""
    covariance = covariance_of(params)
    if covariance is None:
        return {}
    loc = np.asarray(params["loc"])
    if loc.size == np.prod(covariance.shape[:-1]):  # of a matrix, too, whose numbers are taken row by row
        loc = loc.reshape(covariance.shape[:-1])
    loc = np.broadcast_to(loc, covariance.shape[:-1])
    return {"loc": loc, "covariance_matrix": covariance, "precision_matrix": np.linalg.inv(covariance)}


def _wishart(params: Arrays) -> dict[str, np.ndarray]:
    covariance = covariance_of(params)
    freedom = params["df"] if "df" in params else params["concentration"]
    return {"df": freedom} if covariance is None else {"df": freedom, "scale matrix": covariance}


def _located(params: Arrays) -> dict[str, np.ndarray]:
    """Of a family with a location and a scale, given as such or as what a standard one is moved by."""
    loc, scale = (np.asarray(params.get(name, other)) for name, other in (("loc", 0.0), ("scale", 1.0)))
    for i in range(MOST_TRANSFORMS):
        if f"transform {i} scale" in params:
            by = params[f"transform {i} scale"]
            loc, scale = params[f"transform {i} loc"] + by * loc, np.abs(by) * scale
    return {"loc": loc, "scale": scale}


def _logistic(params: Arrays) -> dict[str, np.ndarray]:
    """The logit of what is uniform between zero and one, moved."""
    standard = np.all(params["low"] == 0) and np.all(params["high"] == 1)
    return (
        _located({key: value for key, value in params.items() if key.startswith("transform")})
        if standard
        else {}
    )


MOST_TRANSFORMS = 4

ONE_DISTRIBUTION: tuple[dict[str, Parameters], ...] = (
    {
        "NegativeBinomial": _negative_binomial,
        "NegativeBinomial2": _gamma_poisson,
        "GammaPoisson": _gamma_poisson,
    },
    {"Beta": _beta, "BetaProportion": _beta_proportion},
    {"OrderedLogistic": _ordered_logistic, "Categorical": _categorical},
    {
        "MultivariateNormal": _normal,
        "NanMaskedMultivariateNormal": _normal,
        "LowRankMultivariateNormal": _normal,
        "CAR": _normal,
        "MatrixNormal": _normal,
    },
    {"Normal": _located, "NanMaskedNormal": _located, "Normal under Affine": _located},
    {"LogNormal": _located, "Normal under Affine, Exp": _located, "Normal under Exp": _located},
    {"Cauchy": _located, "Cauchy under Affine": _located},
    {"Laplace": _located, "Laplace under Affine": _located},
    {"Logistic": _located, "Uniform under Inverse of Sigmoid, Affine": _logistic},
    {"Wishart": _wishart},
)


def same_family(one: str, other: str) -> bool:
    """Whether two names are of one distribution, or are made of such in the same way."""
    if one == other:
        return False
    return any(
        left in table and right in table and one.removesuffix(left) == other.removesuffix(right)
        for table in ONE_DISTRIBUTION
        for left, right in [(parts(one)[-1], parts(other)[-1])]
    )


def other_parameters(one: str, other: str) -> bool:
    """Whether the two libraries call the parameters of this family otherwise."""
    return one == other == "Wishart"


def common(site: Site) -> dict[str, np.ndarray]:
    """The parameters that all names of its distribution have in common; none where some are not known."""
    name = parts(site.family)[-1]
    prefix = "component " if any(key.startswith("component ") for key in site.params) else ""
    # What a family is made of is no other thing for that: a base's parameters are its own.
    own = {
        key.removeprefix(prefix).removeprefix("base "): value
        for key, value in site.params.items()
        if key.startswith(prefix)
    }
    function = next((table[name] for table in ONE_DISTRIBUTION if name in table), None)
    if function is None:
        return {}
    try:
        with np.errstate(all="ignore"):
            return {prefix + key: np.asarray(value) for key, value in function(own).items()}
    except (KeyError, ValueError, np.linalg.LinAlgError):
        return {}  # a parameter that a side does not give, or of a shape that does not fit
