"""Does a density finding say which rows differ, and not the largest alone?"""

from __future__ import annotations

import numpy as np
import pytest

from ppl_parity.ladder.exact.extent import extent


def mask(shape: tuple[int, ...], *places) -> np.ndarray:
    found = np.zeros(shape, dtype=bool)
    for place in places:
        found[place] = True
    return found


@pytest.mark.parametrize(
    ("differing", "told"),
    [
        (mask((), ()), ""),
        (mask((1,), 0), ""),
        (mask((4,)), ""),
        (mask((4,), slice(None)), "in all 4 rows"),
        (mask((40,), slice(37, 40)), "in rows 37 to 39 of 40"),
        (mask((40,), 0), "in row 0 alone, of 40"),
        (mask((40,), slice(3, None, 2)), "in 19 of 40 rows, the first 3"),
        (mask((3, 4), ...), "in all 12 elements"),
        (mask((3, 4), (slice(None), 0)), "in [:, 0] of (3, 4)"),
        (mask((3, 4), (slice(1, None), slice(0, 2))), "in [1:, :2] of (3, 4)"),
        (mask((3, 4), (0, 1), (2, 3)), "in 2 of 12 elements, the first [0, 1]"),
    ],
)
def test_the_differing_elements_are_named(differing: np.ndarray, told: str) -> None:
    assert extent(differing) == told
