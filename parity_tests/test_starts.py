"""Where chains start: the mode is one, its curvature is right, and small or hidden clusters are found."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ppl_parity import reference
from ppl_parity.data import load_data, simulate
from ppl_parity.spec import MixtureSpec
from ppl_parity.starts import kmeans_start, mode_start, unvisited
from ppl_parity.starts.information import observed_information
from ppl_parity.starts.laplace import Mode, point_at, polished
from ppl_parity.starts.masses import log_share_of_empty
from ppl_parity.starts.modes import _emptied, shared_out
from ppl_parity.starts.search import Point, _split_and_merge, em_step, one_pass, search

SPEC = MixtureSpec(3, 2, [2.0, 1.0, 3.0], 0.3, [[4.0, 1.0], [1.0, 3.0]], 0.9)
X = simulate(SPEC, 200, seed=1)["x"]


def a_point(seed: int = 0) -> Point:
    rng = np.random.default_rng(seed)
    return Point(rng.dirichlet([3.0, 3.0, 3.0]), rng.normal(size=(3, 2)))


def gradient(coordinates: np.ndarray) -> np.ndarray:
    """Of the reference's potential; beta, then y."""
    unconstrained = {"beta": coordinates[:6].reshape(3, 2), "theta": coordinates[6:]}
    slope = reference.potential_gradient(SPEC, unconstrained, X)
    return np.concatenate([slope["beta"].ravel(), slope["theta"]])


def coordinates(spec: MixtureSpec, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
    unconstrained = reference.unconstrain(spec, theta, beta)
    return np.concatenate([beta.ravel(), unconstrained["theta"]])


def test_the_pass_is_the_reference_s_potential_up_to_a_constant() -> None:
    heights = []
    for seed in (0, 1, 2):
        point = a_point(seed)
        u = reference.unconstrain(SPEC, point.theta, point.beta)
        heights.append(one_pass(SPEC, point, X).log_target + reference.potential(SPEC, u, X))
    np.testing.assert_allclose(heights, heights[0], rtol=1e-12)


def test_the_information_is_the_reference_s_hessian() -> None:
    point = a_point()
    at, step = coordinates(SPEC, point.theta, point.beta), 1e-5
    hessian = [(gradient(at + step * e) - gradient(at - step * e)) / (2 * step) for e in np.eye(8)]
    found = observed_information(SPEC, point, X, np.random.default_rng(0))
    np.testing.assert_allclose(found, hessian, atol=1e-6 * np.abs(hessian).max())


def test_em_never_goes_down() -> None:
    point = a_point()
    now = one_pass(SPEC, point, X)
    for _ in range(30):
        point = em_step(SPEC, point, now)
        then = one_pass(SPEC, point, X)
        assert then.log_target >= now.log_target - 1e-9
        now = then


def test_the_chains_start_around_a_mode() -> None:
    """Two posterior standard deviations away in every direction: 2 sqrt(P), on the information's own scale."""
    spec = MixtureSpec(3, 2, 1.0, 0.0, 9.0, 0.5)
    theta, beta = np.array([0.2, 0.3, 0.5]), np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    rng = np.random.default_rng(0)
    x = beta[rng.choice(3, 2000, p=theta)] + 0.5 * rng.normal(size=(2000, 2))
    start = mode_start(spec, x, 40, seed=1)
    assert start.trusted, start.note
    points = [coordinates(spec, t, b) for t, b in zip(*start.values.values(), strict=True)]
    away = np.linalg.solve(np.linalg.cholesky(start.inverse_mass), (points - np.mean(points, axis=0)).T)
    assert 1.6 < np.sqrt(np.mean(away**2)) < 2.4
    # The mean of 40 starts, 2 / sqrt(40) sd from the mode on average, is a point where the gradient is small.
    unconstrained = {"beta": np.mean(points, 0)[:6].reshape(3, 2), "theta": np.mean(points, 0)[6:]}
    slope = reference.potential_gradient(spec, unconstrained, x)
    whitened = np.linalg.cholesky(start.inverse_mass).T @ np.concatenate(
        [slope["beta"].ravel(), slope["theta"]]
    )
    assert np.abs(whitened).max() < 4 * 2 / np.sqrt(40)


def test_a_small_cluster_is_found_where_plain_kmeans_splits_a_large_one() -> None:
    spec = MixtureSpec(4, 4, 1.0, 0.0, 9.0, 1.0)
    sim = simulate(spec, 10_000, seed=0)
    point = search(spec, sim["x"], np.random.default_rng(0))
    truth = Point(sim["theta"][0] if sim["theta"].ndim == 2 else sim["theta"], sim["beta"].reshape(4, 4))
    assert truth.theta.min() < 0.002
    reached = one_pass(spec, point, sim["x"]).log_target
    assert reached > one_pass(spec, truth, sim["x"]).log_target


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_a_redundant_component_is_freed_wherever_it_stands(order: tuple[int, ...]) -> None:
    spec = MixtureSpec(3, 2, 1.0, 0.0, 100.0, 1.0)
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [12.0, 0.0], [0.0, 12.0]])
    rows = np.concatenate([centre + rng.normal(size=(100, 2)) for centre in centres])
    # A small one and a large one share the second cluster; nobody has the third.
    start = Point(np.array([0.33, 0.01, 0.66])[list(order)], centres[[0, 1, 1]][list(order)])
    height = one_pass(spec, start, rows).log_target
    found = _split_and_merge(spec, start, height, rows, 1.0, np.random.default_rng(0))
    gaps = np.linalg.norm(found.beta[:, None] - centres[None], axis=-1)
    assert sorted(gaps.argmin(axis=1)) == [0, 1, 2]


@pytest.mark.parametrize("name", ["old-faithful", "iris", "penguins"])
def test_every_search_finds_one_mode_of_the_bundled_data(name: str) -> None:
    data = load_data(name)
    spec = data.spec()
    heights = []
    for seed in range(5):
        point = search(spec, data.x, np.random.default_rng(seed))
        heights.append(one_pass(spec, point, data.x).log_target)
    assert np.ptp(heights) < 1.0, heights


def far_row(prior_var: float, distance: float = 6.0) -> tuple[MixtureSpec, np.ndarray]:
    """A cluster, and one row that a wide prior lets no component have to itself."""
    rows = np.random.default_rng(5).normal(size=(200, 3))
    return MixtureSpec(2, 3, prior_cov=prior_var), np.vstack([rows - rows.mean(axis=0), [distance, 0.0, 0.0]])


def log_marginal(rows: np.ndarray, prior_var: float) -> float:
    """Of rows that share a component, but for (2 pi)^(n D / 2)."""
    n, total = len(rows), rows.sum(axis=0)
    return (
        -0.5 * np.sum(rows**2)
        + 0.5 * np.sum(total**2) / (n + 1 / prior_var)
        - 0.5 * rows.shape[1] * np.log1p(n * prior_var)
    )


@pytest.mark.parametrize(("prior_var", "num_empty"), [(1e6, 1), (1000.0, 0)])
def test_the_mass_of_a_mode_decides_and_not_its_height(prior_var: float, num_empty: int) -> None:
    spec, x = far_row(prior_var)
    alone = log_marginal(x[:-1], prior_var) + log_marginal(x[-1:], prior_var) + math.lgamma(201)
    together = log_marginal(x, prior_var) + math.lgamma(202)
    assert bool(together > alone) is bool(num_empty)
    rng = np.random.default_rng(0)
    spike = polished(spec, x, Point(np.array([0.99, 0.01]), np.stack([x[:-1].mean(0), x[-1]])), rng)
    emptied = _emptied(spec, x, spike, rng)
    assert emptied is not None
    assert spike.log_target > emptied.log_target - 3  # by height there is nothing to choose
    # Laplace's error: the skewness of theta, and rows other than the far one that could be alone.
    np.testing.assert_allclose(emptied.log_mass - spike.log_mass, together - alone, atol=1.0)
    start = mode_start(spec, x, 4, seed=0)
    assert ("with 1 of 2 components empty" in start.note) is bool(num_empty)


def test_two_equal_modes_are_both_found_and_started_from() -> None:
    corners = np.array([[2, 2], [2, -2], [-2, 2], [-2, -2]])
    around = 0.3 * np.random.default_rng(1).normal(size=(10, 2))
    around = np.vstack([around, around[:, ::-1]])  # x and y exchanged: the same rows
    x = np.vstack([corner + around * corner / 2 for corner in corners])
    spec = MixtureSpec(2, 2, prior_cov=25.0)
    for seed in range(20):
        start = mode_start(spec, x, 4, seed)
        assert start.num_modes == 2
        assert (
            "2 modes hold 50%, 50% of the posterior by Laplace's method; chains that start there: 2, 2"
            in start.note
        )


def test_components_that_the_prior_does_not_tell_apart_are_one_mode_in_any_order() -> None:
    places = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    x = (places[:, None] + np.random.default_rng(0).normal(size=(3, 40, 2))).reshape(-1, 2)
    start = mode_start(MixtureSpec(3, 2, concentration=[1.0, 1.0, 2.0], prior_cov=50.0), x, 4, seed=0)
    assert start.num_modes == 3  # whichever cluster the third component has


def test_a_tiny_data_set_has_no_mode_twice() -> None:
    assert mode_start(MixtureSpec(2, 1), np.zeros((1, 1)), 4, seed=0).num_modes == 1


@pytest.mark.parametrize(("concentration", "empty"), [([1.0, 1.0, 1.0], [1, 2]), ([1.0, 2.0, 5.0], [0])])
def test_the_share_of_empty_components_is_that_of_the_labellings(concentration: list, empty: list) -> None:
    """Of all z that leave them empty, over all z of the others, and once for each order of what is alike."""
    spec, n = MixtureSpec(3, 1, concentration=concentration), 4
    kept = [k for k in range(3) if k not in empty]

    def log_prob(z: tuple[int, ...], of: list[int]) -> float:
        alpha = spec.concentration[of]
        counts = np.array([z.count(k) for k in of])
        head = math.lgamma(alpha.sum()) - math.lgamma(alpha.sum() + n)
        return head + sum(math.lgamma(a + c) - math.lgamma(a) for a, c in zip(alpha, counts, strict=True))

    whole, part = (
        sum(math.exp(log_prob(z, of)) for z in itertools.product(kept, repeat=n)) for of in ([0, 1, 2], kept)
    )
    orders = math.factorial(len(empty)) if len(set(concentration)) == 1 else 1
    np.testing.assert_allclose(log_share_of_empty(spec, empty, n), math.log(whole / part / orders))


def test_chains_are_shared_out_by_mass() -> None:
    modes = [Mode(np.zeros(1), np.eye(1), 0.0, np.log(mass)) for mass in (0.7, 0.25, 0.05)]
    assert [modes.index(one) for one in shared_out(modes, 10)] == [0] * 7 + [1] * 3
    assert [modes.index(one) for one in shared_out(modes, 4)] == [0, 0, 0, 1]
    assert [modes.index(one) for one in shared_out(modes, 2)] == [0, 1]


def test_a_mode_that_no_draw_is_in_is_told_by_its_share() -> None:
    x = np.concatenate([np.full((7, 1), -6.0), np.full((1, 1), 6.0)]) + np.linspace(-0.5, 0.5, 8)[:, None]
    spec = MixtureSpec(2, 1, concentration=[3.0, 0.5], prior_cov=36.0)
    start = mode_start(spec, x, 4, seed=0)
    assert len(start.modes) == 2  # the small component has the one row, or the seven
    assert start.num_modes == 1  # of four chains a few hundredths are none
    draws = [point_at(spec, mode.coordinates) for mode in start.modes]
    theta, beta = (np.stack([getattr(point, name) for point in draws]) for name in ("theta", "beta"))
    lost = unvisited(spec, start.modes, theta[:1], beta[:1])
    assert 0.005 < lost < 0.1
    assert unvisited(spec, start.modes, theta, beta) == 0
    np.testing.assert_allclose(unvisited(spec, start.modes, theta[1:], beta[1:]), 1 - lost)


def test_more_components_than_rows_is_said_and_not_trusted() -> None:
    spec = MixtureSpec(4, 1, 1.0, 0.0, 4.0, 1.0)
    start = mode_start(spec, np.array([[0.1], [2.0]]), 2, seed=0)
    assert "too few distinct rows" in start.note
    assert all(np.all(np.isfinite(value)) for value in start.values.values())
    assert np.all(np.linalg.eigvalsh(start.inverse_mass) > 0)


def test_one_component_and_one_row() -> None:
    spec = MixtureSpec(1, 1, 1.0, 0.0, 4.0, 1.0)
    start = mode_start(spec, np.array([[0.7]]), 2, seed=0)
    np.testing.assert_allclose(start.inverse_mass, [[1 / (1 / 4 + 1)]])
    assert start.trusted


def test_many_numbers_give_a_diagonal_mass() -> None:
    spec = MixtureSpec(16, 20, 1.0, 0.0, 9.0, 1.0)
    start = mode_start(spec, simulate(spec, 2000, seed=2)["x"], 1, seed=0)
    assert start.inverse_mass.shape == (16 * 21 - 1,)


def test_the_same_seed_gives_the_same_start() -> None:
    first, second = (mode_start(SPEC, X, 2, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.values["beta"], second.values["beta"])
    values, _ = kmeans_start(SPEC, X, 2, seed=3)
    again, _ = kmeans_start(SPEC, X, 2, seed=3)
    np.testing.assert_array_equal(values["beta"], again["beta"])


def test_float32_sums_over_many_rows_are_warned_of() -> None:
    from ppl_parity.fitting.rounding import rounding_warning
    from ppl_parity.spec import SamplerSettings

    spec, narrow = MixtureSpec(8, 8), SamplerSettings(precision="float32")
    assert rounding_warning(spec, 300, narrow, "marginal") is None
    assert rounding_warning(spec, 100_000, narrow, "fused") is None
    assert rounding_warning(spec, 100_000, SamplerSettings(), "marginal") is None
    warning = rounding_warning(spec, 100_000, narrow, "marginal")
    assert warning is not None
    assert "float32" in warning
    assert "--formulation fused" in warning
