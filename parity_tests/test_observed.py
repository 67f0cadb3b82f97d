"""Are observed values compared within rounding, missing ones among them too?"""

from __future__ import annotations

import numpy as np
import pytest

from parity_tests import fakes
from ppl_parity.backend.contract import Site
from ppl_parity.ladder.exact.observed import observed

LEFT = np.array([np.nan, -2.73706, 0.5, 3.0])


def compared(right: np.ndarray, dtype: str = "float64") -> list[str]:
    left, other = (Site("y", "observed", "Normal", (4,), (), "real", dtype, value=v) for v in (LEFT, right))
    context = fakes.context()
    return [finding.verdict for finding in observed(context, "y", left, other)]


@pytest.mark.parametrize(("by", "dtype"), [(0.0, "float64"), (2e-16, "float64"), (1e-7, "float32")])
def test_rounding_beside_a_missing_value_is_no_difference(by: float, dtype: str) -> None:
    assert compared(LEFT * (1 + by), dtype) == []


def test_what_differs_beside_a_missing_value_does() -> None:
    assert compared(LEFT * (1 + 1e-6)) == ["different"]
    assert compared(np.nan_to_num(LEFT)) == ["different"]
