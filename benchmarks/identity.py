"""Whether two things are the same density, before their times are compared: the ladder's comparison."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Arrays
from ppl_parity.ladder.exact.comparison import compare
from ppl_parity.tolerances import TOLERANCES, allowed


@dataclass(frozen=True)
class Identity:
    """What the comparison with the float64 reference found.

    Attributes:
        same: whether value and gradient agree at every point, up to a constant in the value.
        points: how many there were.
        dtype: whose tolerance was applied.
        value_error: the largest relative difference of values, the constant taken out.
        gradient_error: the largest difference of gradients, by the largest component; None if none was asked.
        constant: by which all values differ.
        why: a sentence, empty if they are the same.
    """

    same: bool
    points: int
    dtype: str
    value_error: float
    gradient_error: float | None
    constant: float
    why: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def same_values(expected: np.ndarray, got: np.ndarray, dtype: str) -> Identity:
    """Compare log densities or potentials (P,) with the reference's, by the ladder's density rung."""
    extra = 0.0
    if dtype != "float64":
        extra = float(np.max(allowed("timed log density", expected, got, dtype)))
    found = compare("log density", list(expected), list(got), extra=extra)
    largest = max(float(np.max(np.abs(expected))), 1e-300)
    error = float(found.size / largest) if np.isfinite(found.size) else float("inf")
    same = found.relation in ("equal", "constant")
    p = found.worst
    why = "" if same else f"the density is {got[p]:.9g} where the reference has {expected[p]:.9g}"
    constant = found.offset if found.relation == "constant" else 0.0
    return Identity(same, len(expected), dtype, error, None, constant, why)


def same_gradients(
    expected: tuple[np.ndarray, Arrays], got: tuple[np.ndarray, Arrays], dtype: str, score: float
) -> Identity:
    """Compare potentials (P,) and gradients, site -> (P, ...), with the reference's.

    In float64 component by component, as in the ladder's gradient rung, but for the absolute part, which is in
    units of ``score``; in float32 against a point's largest component, or ``score`` near a mode, where a sum loses
    in proportion to its terms and those cancel.

    Args:
        expected, got: values and gradients.
        dtype: whose tolerance applies.
        score: a standard deviation of the gradient at the truth, sqrt(N / K) in units of the noise.
    """
    values = same_values(expected[0], got[0], dtype)
    worst, site, same = 0.0, "", True
    for p in range(len(expected[0])):
        largest = max(float(np.max(np.abs(slope[p]), initial=0.0)) for slope in expected[1].values())
        for name, slope in expected[1].items():
            a, b = slope[p], np.asarray(got[1][name][p], dtype=np.float64)
            tolerance = TOLERANCES["timed gradient", dtype]
            if dtype == "float64":
                size = np.maximum(np.abs(a), np.abs(b))
                limit = tolerance.absolute * max(1.0, score) + tolerance.relative * size
            else:
                unit = max(largest, score)
                limit = np.full(np.shape(a), tolerance.absolute + tolerance.relative * unit)
            gap = np.abs(a - b)
            same = same and bool(np.all(gap <= limit))
            error = float(np.max(gap, initial=0.0)) / max(largest, 1e-300)
            if not error <= worst:
                worst, site = error, name
    why = values.why
    if values.same and not same:
        why = f"the gradient in {site} differs from the reference's by {worst:.2g} of its largest component"
    return Identity(
        values.same and same, values.points, dtype, values.value_error, worst, values.constant, why
    )
