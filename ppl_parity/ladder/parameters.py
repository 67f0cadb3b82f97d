"""The parameters of a site that two libraries name, derive and shape differently, in one form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, softmax

from ppl_parity.contract import Arrays, Site

# What NumPyro calls Pyro's parameter.
OTHER_NAME = {"dim": "dimension"}
VECTORS = ("Categorical", "OneHotCategorical", "Multinomial", "DirichletMultinomial")
COVARIANCES: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("covariance_matrix", lambda x: x),
    ("precision_matrix", np.linalg.inv),
    ("scale_tril", lambda x: x @ np.swapaxes(x, -1, -2)),
)


def paired(a: Site, b: Site) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """name -> (pyro's, numpyro's), of every parameter that both have in some form."""
    found = {}
    for key, left in a.params.items():
        right = b.params.get(OTHER_NAME.get(key, key), b.params.get(key))
        if right is not None:
            found[key] = left, right
    for name, of in (("probs", _probs), ("covariance_matrix", _covariance)):
        left, right = of(a.family, a.params), of(b.family, b.params)
        if left is not None and right is not None and not _is_told(name, found):
            found[name] = left, right
    return found


def _is_told(name: str, found: dict[str, tuple[np.ndarray, np.ndarray]]) -> bool:
    forms = ("probs", "logits") if name == "probs" else tuple(key for key, _ in COVARIANCES)
    return any(form in found for form in forms)


def _probs(family: str, params: Arrays) -> np.ndarray | None:
    if "probs" in params:
        return params["probs"]
    if "logits" not in params:
        return None
    return softmax(params["logits"], axis=-1) if family in VECTORS else expit(params["logits"])


def _covariance(family: str, params: Arrays) -> np.ndarray | None:
    for key, covariance in COVARIANCES:
        if key in params:
            try:
                return covariance(params[key])
            except np.linalg.LinAlgError:
                return None
    return None
