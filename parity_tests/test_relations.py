"""Is one array told from another as what it is made of, and nothing told that does not hold at every point?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr, ndtri, softmax

from ppl_parity.statistics.relations import Pairs, relation

POINTS = 12
RNG = np.random.default_rng(5)
REAL = RNG.normal(size=(POINTS, 7))
POSITIVE = np.exp(RNG.normal(size=(POINTS, 7)))
CHANCE = RNG.uniform(0.05, 0.95, size=(POINTS, 7))
SIMPLEX = RNG.dirichlet(np.ones(4), size=(POINTS, 3))
FACTOR = np.tril(RNG.normal(size=(POINTS, 3, 3))) + 2 * np.eye(3)
COVARIANCE = FACTOR @ np.swapaxes(FACTOR, -1, -2)
GROUP = np.array([0, 1, 2, 3, 3, 2, 1, 0, 2])
EFFECT = RNG.normal(size=(POINTS, 4))
SLOPE, INTERCEPT = RNG.normal(size=(2, POINTS))
X = np.linspace(-1.0, 2.0, 7)
SCALE, SCALES = np.exp(RNG.normal(size=POINTS)), np.exp(RNG.normal(size=(POINTS, 3)))
SITES = {"effect": EFFECT, "slope": SLOPE, "intercept": INTERCEPT}
LINE = INTERCEPT[:, None] + SLOPE[:, None] * X


def told(left: np.ndarray, right: np.ndarray) -> str:
    return relation(Pairs(left, right, SITES)) or ""


@pytest.mark.parametrize(
    ("left", "function", "said"),
    [
        (REAL, lambda x: -x, "minus pyro's"),
        (CHANCE, lambda x: 1 - x, "one minus pyro's"),
        (POSITIVE, np.square, "pyro's squared: a variance for a scale"),
        (POSITIVE, np.sqrt, "square root of pyro's"),
        (POSITIVE, lambda x: 1 / x, "one over pyro's: a rate"),
        (POSITIVE, lambda x: 1 / x**2, "one over pyro's squared"),
        (POSITIVE, lambda x: x**-0.5, "one over the square root"),
        (REAL, np.exp, "exp of pyro's"),
        (POSITIVE, np.log, "log of pyro's"),
        (POSITIVE, np.log1p, "softplus for exp"),
        (CHANCE, expit, "logistic function of pyro's"),
        (CHANCE, logit, "logit of pyro's"),
        (CHANCE, lambda p: ndtr(logit(p)), "a probit link"),
        (CHANCE, lambda p: expit(ndtri(p)), "where pyro's has a probit one"),
        (SIMPLEX, lambda p: softmax(p, axis=-1), "softmax of pyro's"),
        (softmax(SIMPLEX, axis=-1), lambda _: SIMPLEX, "pyro's is softmax of numpyro's"),
        (SIMPLEX, lambda p: np.flip(p, -1), "reversed"),
        (COVARIANCE + FACTOR, lambda x: np.swapaxes(x, -1, -2), "pyro's transposed"),
        (
            FACTOR,
            lambda x: 2 * np.swapaxes(x, -1, -2) + np.eye(3),
            "pyro's is lower triangular and numpyro's upper",
        ),
        (COVARIANCE, lambda x: 1.5 * x * np.eye(3), "numpyro's is diagonal and the other side's is not"),
        (COVARIANCE, np.linalg.inv, "the inverse of pyro's"),
        (COVARIANCE, np.linalg.cholesky, "the Cholesky factor of pyro's"),
        (
            REAL,
            lambda x: np.broadcast_to(x.sum(-1, keepdims=True), x.shape),
            "the sum of pyro's, in every element",
        ),
        (COVARIANCE, lambda x: x + 1e-5 * np.eye(3), "pyro's plus 1e-05, on the diagonal alone"),
        (
            COVARIANCE,
            lambda x: x + (CHANCE[:, 0] ** 3)[:, None, None] * np.eye(3),
            "on the diagonal alone: a noise",
        ),
        (REAL, lambda x: np.roll(x, 1, axis=1), "shifted by one"),
        (REAL, lambda x: x[:, [3, 1, 2, 0, 6, 5, 4]], "in another order"),
        (REAL, lambda x: x[:, [0, 0, 2, 3, 3, 5, 6]], "some of pyro's, at other places"),
        (REAL, lambda x: 2.5 * x, "2.5 times pyro's"),
        (REAL, lambda x: x * np.arange(2, 9), "a number of each element's own"),
        (REAL, lambda x: x + 0.25, "pyro's plus 0.25"),
        (REAL, lambda x: x * (1 + 1e-6 * np.sin(1e3 * x)), "1e-06 of it at most: an approximation"),
        (POSITIVE, lambda x: x * (1 + 1e-7), "1e-07 of it at most: an approximation"),
        (np.full((POINTS, 1), 5.0), np.square, "squared: a variance for a scale? (or 5 times it)"),
        (
            np.exp(LINE),
            lambda x: np.exp(np.log(x) + SLOPE[:, None]),
            "on the log scale, numpyro's has 'slope' added",
        ),
        (
            expit(LINE),
            lambda _: expit(LINE - 2 * SLOPE[:, None] * X),
            "on the logit scale, apart by a term in 'slope'",
        ),
        (LINE, lambda x: x + 0.3 * (SLOPE * INTERCEPT)[:, None], "a term in 'slope' times 'intercept' alone"),
        (LINE, lambda x: x + 1.0 + EFFECT[:, [0]] - SLOPE[:, None], "terms in 'effect' and 'slope'"),
    ],
)
def test_a_function_of_the_other_side_is_named(left: np.ndarray, function: Callable, said: str) -> None:
    assert said in told(left, function(left))


@pytest.mark.parametrize(
    ("left", "function", "said"),
    [
        (REAL, lambda x: x * SCALE[:, None], "numpyro's is pyro's times 'scale'"),
        (REAL, lambda x: x / SCALE[:, None] ** 2, "pyro's is numpyro's times 'scale' squared"),
        (FACTOR, lambda x: x * np.sqrt(SCALES)[:, :, None], "pyro's times the square root of 'scales'"),
    ],
)
def test_a_scale_that_one_side_lost_is_named(left: np.ndarray, function: Callable, said: str) -> None:
    assert said in (relation(Pairs(left, function(left), {"scale": SCALE, "scales": SCALES})) or "")


@pytest.mark.parametrize("scale", ["exposure", "width"])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_softplus_for_an_exp_is_named_under_a_factor(scale: str, swapped: bool) -> None:
    factor = np.linspace(0.2, 9.0, 7) if scale == "exposure" else SCALE[:, None]
    exp, softplus = factor * np.exp(LINE), factor * np.log1p(np.exp(LINE))
    over = [factor / np.exp(LINE), factor / np.log1p(np.exp(LINE))]
    sites = SITES | {"width": SCALE}
    both = [(exp, softplus)] + [tuple(over)] * (scale == "width")
    for left, right in (pair[::-1] if swapped else pair for pair in both):
        said = relation(Pairs(left, right, sites)) or ""
        assert f"{'numpyro' if not swapped else 'pyro'} has softplus" in said
        assert ("'width'" if scale == "width" else "of each element's own") in said


@pytest.mark.parametrize("how", ["scaled", "shifted"])
def test_a_vector_along_the_other_axis_is_named(how: str) -> None:
    left, right = (
        FACTOR * v if how == "scaled" else FACTOR + v for v in (SCALES[:, :, None], SCALES[:, None])
    )
    said = relation(Pairs(left, right, SITES | {"scales": SCALES})) or ""
    assert f"numpyro's is {how} by 'scales' along its columns where pyro's is along its rows" in said
    said = relation(Pairs(right, left, SITES | {"scales": SCALES})) or ""
    assert f"numpyro's is {how} by 'scales' along its rows" in said


def test_a_step_back_that_was_wrapped_is_no_step_of_two() -> None:
    rows = np.array([0, 0, 0, 0])
    said = relation(Pairs(SCALES[:, rows], SCALES[:, rows - 1], {"scales": SCALES})) or ""
    assert "numpyro takes scales[i - 1] where pyro takes scales[i], wrapped at the end" in said


def test_only_what_differs_has_to_follow() -> None:
    right = REAL.copy()
    right[:, 2] *= -1
    assert "minus pyro's" in told(REAL, right)


def test_an_index_is_named_with_its_site_and_what_becomes_of_the_end() -> None:
    left = EFFECT[:, GROUP]
    clamped = EFFECT[:, np.clip(GROUP + 1, 0, 3)]
    assert told(left, clamped) == (
        "numpyro takes effect[i + 1] where pyro takes effect[i], clamped at the end as JAX does"
    )
    wrapped = EFFECT[:, GROUP - 1]
    assert told(left, wrapped) == (
        "numpyro takes effect[i - 1] where pyro takes effect[i], wrapped at the end as JAX does"
    )
    assert "other elements of 'effect'" in told(left, EFFECT[:, np.array([2, 2, 1, 0, 0, 1, 3, 3, 0])])


def test_an_index_of_a_matrix_is_named_with_its_axis() -> None:
    matrix = RNG.normal(size=(POINTS, 3, 3))
    row = np.array([0, 1, 1])
    for right, said in (
        (matrix[:, row + 1], "numpyro takes m[i + 1, :] where pyro takes m[i, :]"),
        (np.swapaxes(matrix, 1, 2)[:, row], "numpyro takes m[j, i] where pyro takes m[i, j]: a transpose"),
    ):
        assert relation(Pairs(matrix[:, row], right, {"m": matrix})) == said


def test_elements_at_places_that_move_are_an_index() -> None:
    state = RNG.integers(0, 4, size=(POINTS, 9))
    left, right = (np.take_along_axis(EFFECT, at, axis=1) for at in (state, (state + 1) % 4))
    assert told(left, right) == "both take elements of 'effect', numpyro others than pyro: another index"


def test_odd_numbers_are_no_accident() -> None:
    odd = np.array([0.0, 1.0, -1.0, 1e-320, 1e300, np.inf, -np.inf, np.nan])
    rng = np.random.default_rng(3)
    for shape in ((), (1,), (2,), (3, 3), (2, 1, 4)):
        for points in (1, 2, 12):
            left, right = (rng.choice(odd, size=(points, *shape)) for _ in range(2))
            sites = {"s": rng.choice(odd, size=points), "v": rng.choice(odd, size=(points, 4))}
            pairs = Pairs(left, right, sites)
            if np.any(pairs.apart):
                assert relation(pairs) is None or isinstance(relation(pairs), str)


def test_a_carry_that_lags_or_stays_is_told() -> None:
    late = np.concatenate([np.zeros((POINTS, 1)), REAL[:, :-1]], axis=1)
    assert (
        told(REAL, late)
        == "numpyro's element i is pyro's i - 1: an index, or a carry that is updated too late"
    )
    early = np.concatenate([REAL[:, 1:], np.zeros((POINTS, 1))], axis=1)
    assert "pyro's i + 1" in told(REAL, early)
    assert "one number for all elements: a carry" in told(REAL, np.repeat(REAL[:, :1], 7, axis=1))
    first = REAL.copy()
    first[:, 0] = 0.0
    assert told(REAL, first).startswith("numpyro's is zero there: an initial value")


def test_numbers_of_very_different_sizes_are_told_apart() -> None:
    left = np.stack([1e6 * REAL[:, 0], 1e-5 * REAL[:, 1]], axis=1)
    assert told(left, left * [1.0, 3.0]) == "3 times pyro's"


def test_a_site_of_no_elements_is_no_accident() -> None:
    pairs = Pairs(REAL, np.tanh(REAL), {"none": np.zeros((POINTS, 0)), **SITES})
    assert relation(pairs) is None


def test_large_arrays_are_looked_at_in_part() -> None:
    rows = np.linspace(-1.0, 2.0, 200_000)
    sites = {f"b{i}": RNG.normal(size=16) for i in range(12)}
    left = sites["b0"][:, None] + sites["b1"][:, None] * rows
    assert "a term in 'b1' alone" in (
        relation(Pairs(left, left - 2 * sites["b1"][:, None] * rows, sites)) or ""
    )
    assert relation(Pairs(left, np.tanh(left), sites)) is None


def test_a_lost_term_is_named() -> None:
    assert told(LINE, SLOPE[:, None] * X).startswith("pyro's has 'intercept' added")
    assert told(SLOPE[:, None] * X, LINE).startswith("numpyro's has 'intercept' added")
    assert told(LINE, INTERCEPT[:, None] - SLOPE[:, None] * X).startswith("apart by a term in 'slope' alone")


def test_another_site_is_named() -> None:
    left, right = (np.broadcast_to(site[:, None], LINE.shape) for site in (INTERCEPT, SLOPE))
    assert told(left, right) == "pyro's is the value of 'intercept', numpyro's of 'slope'"


def test_what_holds_at_one_point_by_chance_is_not_told() -> None:
    # At the first point alone the one is the other's square, its double, and the same numbers in another order.
    left, right = REAL[:, :2].copy(), RNG.normal(size=(POINTS, 2))
    left[0], right[0] = [2.0, 2.0], [4.0, 4.0]
    assert told(left, right) == ""
    left[0], right[0] = [1.0, 3.0], [3.0, 1.0]
    assert told(left, right) == ""


def test_symmetric_numbers_are_a_sign_and_no_permutation() -> None:
    symmetric = np.concatenate([REAL[:, :3], -REAL[:, :3]], axis=1)
    assert told(symmetric, -symmetric) == "numpyro's is minus pyro's: a sign"


def test_unrelated_numbers_are_not_told_of() -> None:
    silent = sum(
        told(np.exp(rng.normal(size=(POINTS, n))), np.exp(rng.normal(size=(POINTS, n)))) == ""
        for n in (1, 2, 9)
        for rng in map(np.random.default_rng, range(100))
    )
    assert silent == 300


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_softmax_along_another_axis_is_named(axis: int) -> None:
    logits = RNG.normal(size=(POINTS, 6, 3))
    left, right = softmax(logits, axis=-1), softmax(logits, axis=-2)
    if axis == -1:  # as a library has it that divides each row by its sum
        right = right / right.sum(axis=-1, keepdims=True)
    assert "a softmax along another axis" in told(left, right)
    assert told(left, softmax(logits + RNG.normal(size=logits.shape), axis=-1)) == ""
    same = np.broadcast_to(
        left[:, :1], left.shape
    )  # of equal rows any two are apart by numbers of rows and columns
    assert "softmax along" not in told(same, np.broadcast_to(right[:, :1], right.shape))


def test_the_log_of_a_probability_that_rounds_to_one_is_named() -> None:
    chance = -np.exp(RNG.uniform(0.0, 3.5, size=(POINTS, 3)))  # log survival, down to -33
    rounded = np.log(1 - (-np.expm1(chance)))
    for left, right in ((chance, rounded), (chance.sum(axis=1), rounded.sum(axis=1))):
        assert "the log of one minus a probability" in told(left, right)
    assert "minus a probability" not in told(chance, chance * (1 + 1e-6))


def test_the_sum_of_constants_is_a_multiple_of_them() -> None:
    assert told(np.full((POINTS, 3), 1 / 3), np.ones((POINTS, 3))) == "3 times pyro's"


def test_a_first_element_that_differs_alone_is_no_carry_that_stays() -> None:
    chain = np.repeat(POSITIVE[:, :1], 7, axis=1)
    first = chain.copy()
    first[:, 0] = POSITIVE[:, 1]
    assert told(first, chain) == "in the first element alone: what a chain begins with?"
    assert "one number for all elements: a carry" in told(POSITIVE, chain)


def test_what_is_taken_off_is_not_added() -> None:
    assert told(REAL, REAL - 1.5) == "numpyro's is pyro's less 1.5"
