"""The native kernel by itself: every variant of one pass over x, held to the float64 reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity_tests.native_cases import bound_of, close, needs_kernel, problem, run_python, truth
from ppl_parity import native
from ppl_parity.errors import InputError

pytestmark = needs_kernel

VARIANTS = native.variants() if native.available() else []
SHAPES = [  # N, D, K: odd, smaller and larger than every vector, block and tile
    (1, 1, 1),
    (7, 2, 3),
    (300, 2, 3),
    (1000, 3, 2),
    (777, 7, 17),
    (481, 8, 8),
    (1025, 17, 5),
    (5, 64, 32),
    (400, 64, 7),
    (211, 128, 3),
    (193, 5, 128),
    (97, 128, 128),
]
FEW = [
    (D, K) for D in (2, 4, 5, 8) for K in range(1, 10)
]  # sizes that have code of their own, and their neighbours


def test_close_can_fail() -> None:
    with pytest.raises(AssertionError):
        close([1.0], [1.0 + 1e-8], 1e-10)


# The kernel itself.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("N", "D", "K"), SHAPES)
def test_every_variant_at_odd_shapes(N: int, D: int, K: int, variant: str, dtype: Any) -> None:
    log_theta, beta, x, s = problem(N, D, K)
    x = x.astype(dtype)
    got = native.value_and_gradient(log_theta, beta, x, s, variant=variant)
    close(got, truth(log_theta, beta, x, s), *bound_of(x))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("variant", VARIANTS)
def test_sizes_that_have_code_of_their_own(variant: str, dtype: Any) -> None:
    for D, K in FEW:
        log_theta, beta, x, s = problem(1100, D, K)
        x = x.astype(dtype)
        got = native.value_and_gradient(log_theta, beta, x, s, variant=variant)
        close(got, truth(log_theta, beta, x, s), *bound_of(x))


@pytest.mark.parametrize("variant", VARIANTS)
def test_far_components_count_for_nothing(variant: str) -> None:
    """A component 2^-125 to 2^-130 as likely as the nearest: about the least that float32 can write."""
    noise_scale, log2 = 1.0, np.log(2.0)
    for power in np.arange(124.0, 131.0, 0.25):
        beta = np.array([[0.0], [np.sqrt(2 * log2 * power)]])
        x = np.zeros((700, 1), np.float32)
        _, n, slope = native.value_and_gradient(np.log([0.5, 0.5]), beta, x, noise_scale, variant=variant)
        assert n[0] == 700
        assert 0 <= n[1] < 1e-34
        assert abs(slope[1, 0]) < 1e-32


def test_the_caller_keeps_its_subnormal_numbers() -> None:
    """The kernel takes them for 0 while it runs, and leaves the thread as it found it."""
    tiny = np.full(3, 1e-40, np.float32)
    assert np.all(tiny * np.float32(0.5) > 0)
    for threads in (1, 2):
        native.value_and_gradient(*problem(50_000, 4, 3), threads=threads)
        assert np.all(tiny * np.float32(0.5) > 0)


def test_an_instruction_set_that_is_not_here_is_refused() -> None:
    missing = set(native.library.VARIANTS) - set(VARIANTS)
    if not missing:
        pytest.skip("this CPU has them all")
    with pytest.raises(InputError, match="instruction set"):
        native.value_and_gradient(*problem(7, 2, 3), variant=missing.pop())


def test_no_rows() -> None:
    value, n, slope = native.value_and_gradient(np.log([0.5, 0.5]), np.ones((2, 3)), np.empty((0, 3)), 1.0)
    assert value == 0
    assert not n.any()
    assert not slope.any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("variant", VARIANTS)
def test_vertices_outliers_and_extreme_logits(variant: str, dtype: Any) -> None:
    log_theta, beta, x, s = problem(500, 4, 5)
    tiny = float(np.log(np.finfo(np.float64).tiny))
    cases = {
        "vertex": (np.array([0.0, tiny, tiny, tiny, tiny]), beta, x),
        "edge": (np.array([np.log(0.5), np.log(0.5), -np.inf, tiny, tiny]), beta, x),
        "outlier": (log_theta, beta, np.concatenate([x, x[:1] + 1e3 * s])),
        "far apart": (log_theta, beta + 1e3 * np.arange(5)[:, None], x + 1e3 * np.arange(500)[:, None] % 5),
        "all far": (log_theta, beta + 300.0, x),
    }
    for name, (weights, means, rows) in cases.items():
        rows = rows.astype(dtype)
        got = native.value_and_gradient(weights, means, rows, s, variant=variant)
        assert all(np.all(np.isfinite(part)) for part in got), name
        spread = float(np.abs(rows[:, None] - means).max()) ** 2
        # One row's logit is as large as its squared distance: so much is rounded away of it in float32.
        lost = 1e-10 if dtype == np.float64 else 1e-6 * max(1.0, spread / 1e3)
        close(got, truth(weights, means, rows, s), lost, bound_of(rows)[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_give_nan(bad: float) -> None:
    log_theta, beta, x, s = problem(50, 3, 4)
    beta[2, 1] = bad
    for part in native.value_and_gradient(log_theta, beta, x, s):
        assert np.all(np.isnan(part))
    x[7, 0] = bad
    beta[2, 1] = 1.0
    assert np.isnan(native.value_and_gradient(log_theta, beta, x.astype(np.float32), s)[0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_do_not_depend_on_the_number_of_threads(dtype: Any) -> None:
    log_theta, beta, x, s = problem(50_001, 6, 5)
    x = x.astype(dtype)
    first = native.value_and_gradient(log_theta, beta, x, s, threads=1)
    for threads in (2, 3, 8):
        for _ in range(3):
            again = native.value_and_gradient(log_theta, beta, x, s, threads=threads)
            assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_many_callers_at_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    given = [problem(20_000, 4, 3, seed=seed) for seed in range(6)]
    alone = [native.value_and_gradient(*one, threads=1) for one in given]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(5):
            together = list(threads.map(lambda one: native.value_and_gradient(*one, threads=4), given))
            for a, b in zip(alone, together, strict=True):
                assert all(np.array_equal(left, right) for left, right in zip(a, b, strict=True))


def test_a_forked_child_has_threads_of_its_own() -> None:
    code = """
import os, sys, numpy as np
from parity_tests.native_cases import native, problem
given = problem(60_000, 4, 3)
before = native.value_and_gradient(*given, threads=3)
child = os.fork()
if child == 0:
    after = native.value_and_gradient(*given, threads=3)
    os._exit(0 if all(np.array_equal(a, b) for a, b in zip(before, after)) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    run_python(code)


def test_several_points_at_once_are_the_same_as_one_by_one() -> None:
    log_theta, beta, x, s = problem(3_000, 5, 6)
    many = [(log_theta + 0.1 * c, beta + 0.1 * c) for c in range(3)]
    together = native.value_and_gradient(
        np.stack([a for a, _ in many]), np.stack([b for _, b in many]), x.astype(np.float32), s
    )
    for c, point in enumerate(many):
        alone = native.value_and_gradient(*point, x.astype(np.float32), s)
        assert all(np.array_equal(a[c], b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_point_that_is_not_finite_leaves_the_others(bad: float) -> None:
    log_theta, beta, x, s = problem(3_000, 5, 6)
    weights, means = np.stack([log_theta] * 3), np.stack([beta, beta + bad, beta + 0.1])
    together = native.value_and_gradient(weights, means, x, s)
    assert all(np.all(np.isnan(part[1])) for part in together)
    for c in (0, 2):
        alone = native.value_and_gradient(weights[c], means[c], x, s)
        assert all(np.array_equal(a[c], b) for a, b in zip(together, alone, strict=True))


def test_rows_that_are_read_only_or_not_side_by_side() -> None:
    log_theta, beta, x, s = problem(900, 4, 3)
    expected = native.value_and_gradient(log_theta, beta, x, s)
    columns = np.asfortranarray(x)
    strided = np.repeat(x, 2, axis=0)[::2]
    locked = x.copy()
    locked.setflags(write=False)
    for rows in (columns, strided, locked):
        got = native.value_and_gradient(log_theta, beta, rows, s)
        assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    log_theta, beta, x, s = problem(9, 4, 3)
    with pytest.raises(InputError, match=r"got \(3,\), \(3, 4\) and \(9, 3\)"):
        native.value_and_gradient(log_theta, beta, x[:, :3], s)
    with pytest.raises(InputError, match="float16"):
        native.value_and_gradient(log_theta, beta, x.astype(np.float16), s)
    with pytest.raises(InputError, match="at least one component"):
        native.value_and_gradient(log_theta[:0], beta[:0], x, s)


def test_energy_differences_hold_at_a_million_rows() -> None:
    """NUTS needs them to about 0.01, where the value itself is some ten million."""
    N = 1_000_000
    log_theta, beta, x, s = problem(N, 8, 8)
    x = x.astype(np.float32)
    rng = np.random.default_rng(1)
    differences = []
    for rows in (x, x.astype(np.float64)):
        start = native.value_and_gradient(log_theta, beta, rows, s)[0]
        rng = np.random.default_rng(1)
        steps = [rng.standard_normal((2, *beta.shape)) / np.sqrt(N / 8) * size for size in (0.1, 1.0, 3.0)]
        differences.append(
            [
                native.value_and_gradient(log_theta + step[1, :, 0], beta + step[0], rows, s)[0] - start
                for step in steps
            ]
        )
    assert np.ptp(differences[1]) > 1
    np.testing.assert_allclose(differences[0], differences[1], rtol=0, atol=0.005)
