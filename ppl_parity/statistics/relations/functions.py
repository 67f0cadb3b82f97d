"""Known functions that the one side may have applied and the other not: a square, a link, a transpose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri, softmax

from ppl_parity.statistics.relations.pairs import NEAR, Pairs, near

Function = Callable[[np.ndarray], np.ndarray]

OF_ELEMENTS: tuple[tuple[Function, str], ...] = (
    (np.negative, "minus {}: a sign"),
    (lambda x: 1 - x, "one minus {}: the probability of the other outcome?"),
    (np.square, "{} squared: a variance for a scale?"),
    (np.sqrt, "the square root of {}: a scale for a variance?"),
    (lambda x: 1 / x, "one over {}: a rate for a scale, or a precision for a variance?"),
    (lambda x: 1 / np.square(x), "one over {} squared: a precision for a scale?"),
    (lambda x: 1 / np.sqrt(x), "one over the square root of {}: a scale for a precision?"),
    (np.exp, "exp of {}: another link"),
    (np.log, "the log of {}: another link"),
    (np.log1p, "log(1 + {}): softplus for exp, or log1p for log?"),
    (np.expm1, "exp({}) - 1: exp for softplus?"),
    (lambda x: np.log1p(np.exp(x)), "softplus of {}: another link"),
    (expit, "the logistic function of {}: a probability that is taken for a logit?"),
    (logit, "the logit of {}: a logit that is taken for a probability?"),
    (lambda x: ndtr(logit(x)), "what a probit link makes where {} has a logistic one"),
    (lambda x: expit(ndtri(x)), "what a logistic link makes where {} has a probit one"),
    (lambda x: -np.expm1(-np.exp(logit(x))), "what a cloglog link makes where {} has a logistic one"),
)
# Of the last axis as a whole.
OF_VECTORS: tuple[tuple[Function, str], ...] = (
    (lambda x: np.flip(x, axis=-1), "{} reversed"),
    (lambda x: softmax(x, axis=-1), "softmax of {}: probabilities that are taken for logits?"),
    (lambda x: x / np.sum(x, axis=-1, keepdims=True), "{} divided by its sum"),
    (lambda x: np.cumsum(x, axis=-1), "the cumulative sums of {}"),
    (
        lambda x: _everywhere(np.sum, x),
        "the sum of {}, in every element: added up before a plate does so again?",
    ),
    (lambda x: _everywhere(np.mean, x), "the mean of {}, in every element"),
)
# Of the last two axes as a matrix.
OF_MATRICES: tuple[tuple[Function, str], ...] = (
    (lambda x: np.swapaxes(x, -1, -2), "{} transposed"),
    (np.linalg.inv, "the inverse of {}: a precision for a covariance, or the reverse?"),
    (np.linalg.cholesky, "the Cholesky factor of {}: a factor that is taken for a covariance?"),
    (lambda x: x @ np.swapaxes(x, -1, -2), "{} times its transpose: a covariance for a factor?"),
)


def _everywhere(of: Function, x: np.ndarray) -> np.ndarray:
    """What a last axis comes to, in all of its elements."""
    return np.broadcast_to(np.asarray(of(x, axis=-1, keepdims=True)), x.shape)  # type: ignore[call-arg]


def of_elements(pairs: Pairs) -> str | None:
    """A function of each element that differs; of one constant a plain multiple is named beside it."""
    left, right = pairs.differing
    fixed = not np.ptp(left) and not np.ptp(right)  # two hyperparameters, which many functions lead to
    if fixed and not left.any():  # as exp and the logistic function lead from 0 to 1 and to 1/2
        return None
    for function, words in OF_ELEMENTS:
        if (
            fixed
            and words.startswith("one minus")
            and pairs.key
            and pairs.key.split()[-1] not in ("probs", "gate")
        ):
            continue
        if near(function(left), right):
            told = "numpyro's is " + words.format("pyro's")
            times = right.flat[0] / left.flat[0]
            whole = any(n > 1.5 and abs(n - np.round(n)) < NEAR for n in (times, 1 / times))
            return f"{told} (or {times:.4g} times it)" if whole and not np.ptp(left) else told
    return None


def of_axes(pairs: Pairs) -> str | None:
    """Functions of the last axis or the last two, which an element alone does not show."""
    shape = pairs.left.shape[1:]
    candidates = list(OF_VECTORS) if shape and shape[-1] > 1 else []
    if len(shape) > 1 and shape[-1] == shape[-2] > 1:
        candidates += OF_MATRICES
        if told := _zeros(pairs):
            return told
    even = (
        not (np.any(np.ptp(pairs.left, axis=-1)) and np.any(np.ptp(pairs.right, axis=-1))) if shape else True
    )
    constant = not np.ptp(pairs.left) or not np.ptp(
        pairs.right
    )  # a hyperparameter, of which a sum is a multiple
    for function, words in candidates:
        if constant and words.startswith("the sum of"):
            continue
        if even and words.startswith(("softmax", "{} divided")):
            continue  # of equal numbers any sum to one is as many times less
        for one, other, whose, whom in (
            (pairs.left, pairs.right, "numpyro's", "pyro's"),
            (pairs.right, pairs.left, "pyro's", "numpyro's"),
        ):
            try:
                if near(function(one), other):
                    return f"{whose} is {words.format(whom)}"
            except np.linalg.LinAlgError:
                continue
    return None


def _zeros(pairs: Pairs) -> str | None:
    """What only one side's matrices have: numbers beside the diagonal, or above it."""
    sides = {"pyro's": pairs.left, "numpyro's": pairs.right}
    lower, upper = ({whose for whose, x in sides.items() if not np.any(part(x))} for part in (_below, _above))
    diagonal = lower & upper
    if len(diagonal) == 1:
        return f"{diagonal.pop()} is diagonal and the other side's is not: correlations that one side lost?"
    if len(lower) == len(upper) == 1 and lower != upper:
        return f"{upper.pop()} is lower triangular and {lower.pop()} upper: a factor that is transposed?"
    return None


def _below(matrices: np.ndarray) -> np.ndarray:
    return np.tril(matrices, -1)


def _above(matrices: np.ndarray) -> np.ndarray:
    return np.triu(matrices, 1)


def of_simplices(pairs: Pairs) -> str | None:
    """What differs among vectors that sum to one: two states' probabilities are not one minus each other."""
    shape = pairs.left.shape
    if len(shape) < 2 or shape[-1] < 2 or not near(np.sum(pairs.left, axis=-1), np.ones(shape[:-1])):
        return None
    return of_axes(pairs)


def multiple(pairs: Pairs) -> str | None:
    """One factor everywhere, or one for each element, that is the same at every point."""
    left, right = pairs.differing
    for side, whose in ((left, "pyro's"), (right, "numpyro's")):
        if not np.any(side):
            return f"{whose} is zero there: an initial value, or something that one side leaves out?"
    ratio = right / left
    if not np.all(np.isfinite(ratio)):
        return None
    if np.ptp(ratio) < NEAR * abs(float(ratio.flat[0])) + 1e-12:
        factor = f"{float(ratio.flat[0]):.4g}"
        return None if factor == "1" else f"{factor} times pyro's"
    moving = len(ratio) > 2 and bool(np.all(np.ptp(left, axis=0) > NEAR * np.abs(left).max(axis=0)))
    if moving and np.all(np.ptp(ratio, axis=0) < NEAR * np.abs(ratio).max(axis=0)):
        return "pyro's times a number of each element's own, the same at every point: a weight?"
    return None
