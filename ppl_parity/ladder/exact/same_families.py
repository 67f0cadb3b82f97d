"""Families that are one distribution under several names and parameters: in the parameters that they share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, softmax

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.families import parts

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


ONE_DISTRIBUTION: tuple[dict[str, Parameters], ...] = (
    {
        "NegativeBinomial": _negative_binomial,
        "NegativeBinomial2": _gamma_poisson,
        "GammaPoisson": _gamma_poisson,
    },
    {"Beta": _beta, "BetaProportion": _beta_proportion},
    {"OrderedLogistic": _ordered_logistic, "Categorical": _categorical},
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


def common(site: Site) -> dict[str, np.ndarray]:
    """The parameters that all names of its distribution have in common; none where some are not known."""
    name = parts(site.family)[-1]
    prefix = next((p for p in ("base ", "component ") if any(key.startswith(p) for key in site.params)), "")
    own = {key.removeprefix(prefix): value for key, value in site.params.items() if key.startswith(prefix)}
    function = next((table[name] for table in ONE_DISTRIBUTION if name in table), None)
    if function is None:
        return {}
    try:
        with np.errstate(all="ignore"):
            return {prefix + key: np.asarray(value) for key, value in function(own).items()}
    except (KeyError, ValueError):  # a parameter that a side does not give, or of a shape that does not fit
        return {}
