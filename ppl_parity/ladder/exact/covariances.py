"""The covariance of a multivariate normal, or what stands in its place, from whichever form it was given in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ppl_parity.backend.contract import Arrays

COVARIANCES: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("covariance_matrix", lambda x: x),
    ("precision_matrix", np.linalg.inv),
    ("scale_tril", lambda x: x @ np.swapaxes(x, -1, -2)),
    ("scale_matrix", lambda x: x),
    ("rate_matrix", np.linalg.inv),
)


def covariance_of(params: Arrays) -> np.ndarray | None:
    """The matrix, or None where these parameters have none, or it has no inverse."""
    try:
        for key, covariance in COVARIANCES:
            if key in params:
                return covariance(params[key])
        if "cov_factor" in params and "cov_diag" in params:
            factor, diagonal = params["cov_factor"], params["cov_diag"]
            return factor @ np.swapaxes(factor, -1, -2) + diagonal[..., None] * np.eye(diagonal.shape[-1])
        if "scale_tril_row" in params and "scale_tril_column" in params:
            return _of_rows_and_columns(params["scale_tril_row"], params["scale_tril_column"])
        if "adj_matrix" in params and "conditional_precision" in params:
            return np.linalg.inv(_conditional(params))
    except np.linalg.LinAlgError:
        pass
    return None


def _of_rows_and_columns(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """R R' (x) C C' of the numbers of a matrix, row by row."""
    rows, columns = (x @ np.swapaxes(x, -1, -2) for x in (row, column))
    product = np.einsum("...ij,...kl->...ikjl", rows, columns)
    return product.reshape(*product.shape[:-4], *2 * (rows.shape[-1] * columns.shape[-1],))


def _conditional(params: Arrays) -> np.ndarray:
    """tau (D - rho W) of a conditional autoregression over neighbours W, which has D of them."""
    neighbours = np.asarray(params["adj_matrix"], dtype=float)
    number = np.sum(neighbours, axis=-1)[..., None] * np.eye(neighbours.shape[-1])
    share, precision = (
        np.asarray(params[key])[..., None, None] for key in ("correlation", "conditional_precision")
    )
    return precision * (number - share * neighbours)
