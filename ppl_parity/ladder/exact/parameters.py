"""The parameters of a site that two libraries name, derive and shape differently, in one form."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.ladder.exact.covariances import covariance_of
from ppl_parity.ladder.exact.same_families import common, other_parameters, same_family

# What NumPyro calls Pyro's parameter.
OTHER_NAME = {"dim": "dimension"}
VECTORS = ("Categorical", "OneHotCategorical", "Multinomial", "DirichletMultinomial")


def paired(a: Site, b: Site) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """name -> (pyro's, numpyro's), of every parameter that both have in some form."""
    found = {}
    for key, left in a.params.items():
        right = b.params.get(OTHER_NAME.get(key, key), b.params.get(key))
        if right is not None:
            found[key] = left, right
    if "logits" in found and a.family == b.family in VECTORS:
        # Torch normalises them, and NumPyro leaves them as they are.
        left, right = found["logits"]
        found["logits"] = _centred(left), _centred(right)
    left, right = (_probs(site.family, site.params) for site in (a, b))
    if left is not None and right is not None and not {"probs", "logits"} & set(found):
        found["probs"] = left, right
    left, right = (_gate(site.params) for site in (a, b))
    if left is not None and right is not None and not {"gate", "gate_logits"} & set(found):
        found["gate"] = left, right
    left, right = (_weights(site.params) for site in (a, b))
    if left is not None and right is not None and not {"mixing probs", "mixing logits"} & set(found):
        found["mixing probs"] = left, right
    left, right = (covariance_of(site.params) for site in (a, b))
    if left is not None and right is not None:
        found["covariance_matrix"] = left, right
    if same_family(a.family, b.family) or other_parameters(a.family, b.family):
        left, right = (common(site) for site in (a, b))
        found |= {key: (left[key], right[key]) for key in left if key in right}
    return found


def _probs(family: str, params: Arrays) -> np.ndarray | None:
    if "probs" in params:
        return params["probs"]
    if "logits" not in params:
        return None
    return softmax(params["logits"], axis=-1) if family in VECTORS else expit(params["logits"])


def _centred(logits: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # of an impossible one
        return logits - np.mean(logits, axis=-1, keepdims=True)


def _gate(params: Arrays) -> np.ndarray | None:
    """Of a zero-inflated family."""
    if "gate" in params:
        return params["gate"]
    return expit(params["gate_logits"]) if "gate_logits" in params else None


def _weights(params: Arrays) -> np.ndarray | None:
    """Of a mixture's components."""
    if "mixing probs" in params:
        return params["mixing probs"]
    return softmax(params["mixing logits"], axis=-1) if "mixing logits" in params else None


def misplaced(a: Site, b: Site) -> str | None:
    """One side's matrix that is the other's under another name, as a factor that is given for a covariance."""
    for one, other, whose, whom in ((b, a, "numpyro's", "pyro's"), (a, b, "pyro's", "numpyro's")):
        key, covariance = _given(one), covariance_of(other.params)
        if key is None or covariance is None:
            continue
        value = one.params[key]
        try:
            forms = {
                "covariance_matrix": covariance,
                "precision_matrix": np.linalg.inv(covariance),
                "scale_tril": np.linalg.cholesky(covariance),
            }
        except np.linalg.LinAlgError:
            continue
        for form, matrix in forms.items():
            if form != key and matrix.shape == value.shape and np.allclose(matrix, value, rtol=1e-6):
                return f"{whose} {key} is {whom} {form}: another argument was meant"
    return None


def turned_factor(a: Site, b: Site) -> str | None:
    """A covariance L' L where L L' is meant: numbers times a factor that was not transposed, or the wrong way round."""
    left, right = (covariance_of(site.params) for site in (a, b))
    if left is None or right is None or left.shape[-2:] != right.shape[-2:] or left.shape[-1] < 2:
        return None
    if _close(left, right):
        return None
    for one, other, whose, whom in (
        (left, right, "numpyro's", "pyro's"),
        (right, left, "pyro's", "numpyro's"),
    ):
        try:
            factor = np.linalg.cholesky(one)
        except np.linalg.LinAlgError:
            continue
        if _close(np.swapaxes(factor, -1, -2) @ factor, other):
            return f"{whose} covariance is L' L, and {whom} L L', of one factor L: it is transposed"
    return None


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    try:
        return bool(np.allclose(a, b, rtol=1e-6))
    except ValueError:  # of other batches
        return False


def _given(site: Site) -> str | None:
    """What a normal was made from; NumPyro keeps that beside the factor that it makes of it."""
    return next(
        (k for k in ("precision_matrix", "covariance_matrix", "scale_tril") if k in site.params), None
    )
