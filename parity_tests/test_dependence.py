"""Two scalars that hang together otherwise, each of them right by itself.

Measured over 200 seeds each, at alpha = 0.01, no false alarm: 40 independent normals, 30 of one factor and of one
scale, 20 Cauchy of one sign, 40 coins. Of 40 and of 100 scalars one pair whose correlation is 0.3 in place of 0 was
found in 10 of 10, 0.2 in 8 and 9 of 10 (1,500 draws against 6,000).
"""

from __future__ import annotations

import numpy as np
import pytest

from ppl_parity.ladder.samples.dependence import dependence, dependence_blocks
from ppl_parity.ladder.samples.judging import judge
from ppl_parity.statistics.dependence import even, number_of_pairs, pairs_most_apart, rank_scores

NAMES = [("b", (i,)) for i in range(30)]


def _any(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.ones(a.shape[-1], dtype=bool)


def _judged(a: np.ndarray, b: np.ndarray):
    blocks = dependence_blocks("prior", NAMES[: a.shape[-1]], a[None], b[None], _any, independent=True)
    return blocks, judge(blocks, alpha=0.01, margin=0.15, look=1)


def _draws(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1500, 30)), rng.normal(size=(6000, 30))


def test_one_correlation_among_many_scalars_is_found_and_named() -> None:
    a, b = _draws(0)
    a[:, 17] = 0.5 * a[:, 4] + np.sqrt(0.75) * a[:, 17]
    blocks, family = _judged(a, b)
    (found,) = [one for one in family.judged if one.verdict == "different"]
    assert found.block.title == "the product of the ranks of b[4] and b[17]"
    assert found.site == "b"
    assert dependence("prior", blocks, family) is None


def test_a_common_scale_that_no_correlation_shows_is_found() -> None:
    rng = np.random.default_rng(1)
    a, b = _draws(1)
    scale = np.exp(rng.normal(size=(1500, 1)))
    a[:, [3, 9]] *= scale
    b[:, [3, 9]] *= np.exp(rng.normal(size=(6000, 2)))  # each by itself has the same distribution
    found = {one.block.title for one in _judged(a, b)[1].judged if one.verdict == "different"}
    assert found == {"the product of the ranks of the distance from its median of b[3] and the distance from its "
                     "median of b[9]"}  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_found_where_all_is_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (x + rng.normal(size=(len(x), 1)) for x in _draws(seed))  # of one factor
    blocks, family = _judged(a, b)
    assert not family.judged
    told = dependence("prior", blocks, family)
    assert told is not None
    assert 0.1 < told.numbers["correlation"] < 0.2
    assert told.numbers["pairs"] == number_of_pairs(30) == 4 * 435


def test_products_of_rare_events_are_left_to_other_tests() -> None:
    rng = np.random.default_rng(2)
    a, b = ((rng.uniform(size=(n, 3)) < [0.5, 0.3, 0.02]).astype(float)[None] for n in (1500, 6000))
    scores = rank_scores(a, b)
    np.testing.assert_array_equal(even(*scores), [True, True, False])
    assert all(0 <= pair.first < pair.second < 3 for pair in pairs_most_apart(*scores, 3))
