"""What a file of samples says of the mixture that it was drawn from: its hyperparameters, and the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppl_parity.data.checks import check_columns, chosen_columns
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec


@dataclass(frozen=True, eq=False)
class Drawn:
    """Arguments for MixtureSpec, and theta (K,) and beta (K, D); both empty for a file that is no such samples."""

    hints: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, np.ndarray] = field(default_factory=dict)


def read_drawn(path: Path, wanted: Sequence[str] | None, *, standardized: bool) -> Drawn:
    """What ``ppl-parity sample`` keeps beside its draws.

    Some of the columns of such a mixture are a mixture of the same kind: the prior has their part of the mean and
    of the covariance. Of standardised columns only K is known, for their noise is no longer of one scale.

    Args:
        path: a data file that was read without fault.
        wanted: the columns that were taken of it; None is all of them.
        standardized: they were brought to mean 0 and standard deviation 1 afterwards.
    """
    read = _read(path)
    if read is None:
        return Drawn()
    spec, truth = read
    if standardized:
        return Drawn({"num_components": spec.num_components})
    names = check_columns(None, spec.dim, path.name)
    taken = list(range(spec.dim)) if wanted is None else chosen_columns(wanted, names, path.name)
    alpha = spec.concentration
    hints = {
        "num_components": spec.num_components,
        # Equal ones are a number, which serves any other K that is asked for.
        "concentration": float(alpha[0]) if np.all(alpha == alpha[0]) else alpha,
        "prior_mean": spec.prior_mean[taken],
        "prior_cov": spec.prior_cov[np.ix_(taken, taken)],
        "noise_scale": spec.noise_scale,
    }
    return Drawn(hints, {"theta": truth["theta"], "beta": truth["beta"][:, taken]})


def _read(path: Path) -> tuple[MixtureSpec, dict[str, np.ndarray]] | None:
    """None for a file that ``sample`` did not write; several draws are no data, and never come here."""
    if path.suffix.lower() != ".npz":
        return None
    with np.load(path, allow_pickle=False) as file:
        if not {"spec", "theta", "beta", "z", "x"} <= set(file.keys()):
            return None
        try:
            spec = MixtureSpec(**json.loads(str(file["spec"])))
            truth = {name: np.asarray(file[name], dtype=np.float64) for name in ("theta", "beta")}
        except (InputError, TypeError, ValueError):  # somebody else's entries of these names
            return None
    K, D = spec.num_components, spec.dim
    return (spec, truth) if truth["theta"].shape == (K,) and truth["beta"].shape == (K, D) else None
