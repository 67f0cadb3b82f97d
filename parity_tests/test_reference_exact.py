"""The exact posterior against quadrature, and the Gibbs sampler against it.

The statistical checks use fixed seeds, compare with the exact posterior within 4 Monte Carlo standard errors, and
are shown to fail for a wrong model.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp, roots_jacobi

from parity_tests.reference_points import ROUNDING, make
from ppl_parity import reference as ref
from ppl_parity.errors import InputError
from ppl_parity.reference import exact
from ppl_parity.spec import MixtureSpec

# ---- the exact posterior ----


@pytest.mark.parametrize("N", [2, 3])
@pytest.mark.parametrize("concentration", [(1.0, 1.0), (0.7, 1.3)])
def test_exact_posterior_matches_quadrature(N, concentration):
    """K = 2, D = 1: Gauss-Jacobi in theta, which is exact here, times the trapezoid rule in both means."""
    mu, variance, s = 0.3, 2.0, 0.8
    spec = MixtureSpec(2, 1, concentration=concentration, prior_mean=mu, prior_cov=variance, noise_scale=s)
    x = np.array([-0.9, 1.1, 0.4])[:N]
    a0, a1 = concentration
    nodes, weights = roots_jacobi(8, a1 - 1, a0 - 1)
    t = ((nodes + 1) / 2)[:, None, None]
    weights = weights[:, None, None] / weights.sum()
    grid = np.linspace(mu - 14, mu + 14, 281)
    prior = stats.norm.pdf(grid, mu, math.sqrt(variance)) * (grid[1] - grid[0])
    b0, b1 = grid[:, None], grid
    mass = weights * prior[:, None] * prior
    each = [t * stats.norm.pdf(v, b0, s) + (1 - t) * stats.norm.pdf(v, b1, s) for v in x]
    mass = mass * np.prod(each, axis=0)
    evidence = mass.sum()
    mass /= evidence

    def mean(value):
        return float((mass * value).sum())

    points = np.array([[-2.0], [0.1], [3.0]])
    found = ref.exact_posterior(spec, x[:, None], points)
    close = {"rel": 1e-10, "abs": 1e-12}
    assert found.log_evidence == pytest.approx(math.log(evidence), **close)
    assert found.theta_mean == pytest.approx([mean(t), mean(1 - t)], **close)
    sd = math.sqrt(mean(t**2) - mean(t) ** 2)
    assert found.theta_sd == pytest.approx([sd, sd], **close)
    assert found.beta_mean[:, 0] == pytest.approx([mean(b0), mean(b1)], **close)
    sds = [math.sqrt(mean(b**2) - mean(b) ** 2) for b in (b0, b1)]
    assert found.beta_sd[:, 0] == pytest.approx(sds, **close)
    assert found.sum_theta_squared == pytest.approx(mean(t**2 + (1 - t) ** 2), **close)
    assert found.mixture_mean[0] == pytest.approx(mean(t * b0 + (1 - t) * b1), **close)
    assert found.mixture_second_moment[0, 0] == pytest.approx(mean(t * b0**2 + (1 - t) * b1**2), **close)
    first = [t * stats.norm.pdf(v, b0, s) / p for v, p in zip(x, each, strict=True)]
    assert found.responsibilities[:, 0] == pytest.approx([mean(r) for r in first], **close)
    together = [[mean(r * q + (1 - r) * (1 - q)) for q in first] for r in first]
    for i, j in itertools.combinations(range(N), 2):
        assert found.co_clustering[i, j] == pytest.approx(together[i][j], **close)
    assert np.exp(found.log_predictive_at_data) == pytest.approx([mean(p) for p in each], **close)
    predictive = [
        mean(t * stats.norm.pdf(v, b0, s) + (1 - t) * stats.norm.pdf(v, b1, s)) for v in points[:, 0]
    ]
    assert np.exp(found.log_predictive) == pytest.approx(predictive, **close)


def test_exact_posterior_matches_one_joint_normal_per_assignment():
    """x | z is one normal of size N D, and beta comes by conditioning it.

    The prior covariance is full and D = 3: for D = 2 the matrix of eigenvectors may be its own transpose.
    """
    K, D, N = 3, 3, 4
    spec, _, _, _, x = make(K, D, N)
    log_weights, means, squares = [], [], []
    for z in itertools.product(range(K), repeat=N):
        member = np.eye(K)[list(z)]  # (N, K)
        cov = np.kron(member @ member.T, spec.prior_cov) + spec.noise_scale**2 * np.eye(N * D)
        cross = np.kron(member.T, spec.prior_cov)  # cov(beta, x), (K D, N D)
        centre = np.tile(spec.prior_mean, N)
        counts = member.sum(axis=0)
        rising = [
            math.prod(a + i for i in range(int(n))) for a, n in zip(spec.concentration, counts, strict=True)
        ]
        prior = math.prod(rising) / math.prod(spec.concentration.sum() + i for i in range(N))
        log_weights.append(math.log(prior) + stats.multivariate_normal(centre, cov).logpdf(x.ravel()))
        gain = np.linalg.solve(cov, cross.T).T
        means.append(np.tile(spec.prior_mean, K) + gain @ (x.ravel() - centre))
        variance = np.diag(np.kron(np.eye(K), spec.prior_cov) - gain @ cross.T)
        squares.append(variance + means[-1] ** 2)
    found = ref.exact_posterior(spec, x)
    weights = np.exp(np.array(log_weights) - logsumexp(log_weights))
    mean = weights @ np.array(means)
    assert found.log_evidence == pytest.approx(logsumexp(log_weights), rel=1e-11)
    np.testing.assert_allclose(found.beta_mean.ravel(), mean, rtol=1e-10)
    np.testing.assert_allclose(
        found.beta_sd.ravel(), np.sqrt(weights @ np.array(squares) - mean**2), rtol=1e-9
    )


def test_evidence_is_the_product_of_the_one_step_predictives():
    spec, _, _, _, x = make(K=3, D=2, N=7)
    steps = [ref.exact_posterior(spec, x[:n], x[n : n + 1]).log_predictive[0] for n in range(7)]
    assert ref.exact_posterior(spec, x).log_evidence == pytest.approx(sum(steps), rel=1e-11)


def test_theta_mean_is_the_prior_count_plus_the_responsibilities():
    spec, _, _, _, x = make(K=3, D=2, N=7)
    found = ref.exact_posterior(spec, x)
    expected = (spec.concentration + found.responsibilities.sum(axis=0)) / (spec.concentration.sum() + 7)
    np.testing.assert_allclose(found.theta_mean, expected, rtol=1e-11)
    np.testing.assert_allclose(found.co_clustering, found.co_clustering.T, rtol=1e-11)
    np.testing.assert_allclose(np.diag(found.co_clustering), 1, rtol=1e-11)


def test_predictive_density_has_the_moments_of_the_mixture():
    spec, _, _, _, x = make(K=3, D=1, N=5)
    grid = np.linspace(-30, 30, 3001)
    found = ref.exact_posterior(spec, x, grid[:, None])
    mass = np.exp(found.log_predictive) * (grid[1] - grid[0])
    assert mass.sum() == pytest.approx(1, rel=1e-10)
    assert mass @ grid == pytest.approx(found.mixture_mean[0], rel=1e-9)
    second = found.mixture_second_moment[0, 0] + spec.noise_scale**2
    assert mass @ grid**2 == pytest.approx(second, rel=1e-9)


def test_renumbering_components_moves_only_what_is_numbered():
    spec, _, _, _, x = make(K=3, D=2, N=5)
    order = [2, 0, 1]
    one = ref.exact_posterior(spec, x, x + 1)
    settings = spec.as_dict() | {"concentration": spec.concentration[order]}
    two = ref.exact_posterior(MixtureSpec(**settings), x, x + 1)
    for name in ("theta_mean", "theta_sd", "beta_mean", "beta_sd"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name)[order], rtol=1e-10)
    np.testing.assert_allclose(two.responsibilities, one.responsibilities[:, order], rtol=1e-10)
    for name in INVARIANT:
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-10)
    even = ref.exact_posterior(MixtureSpec(**(settings | {"concentration": 0.8})), x)
    np.testing.assert_allclose(even.theta_mean, 1 / 3, rtol=1e-11)
    np.testing.assert_allclose(even.responsibilities, 1 / 3, rtol=1e-11)
    np.testing.assert_allclose(even.beta_mean, even.beta_mean[[0, 0, 0]], rtol=1e-11)


INVARIANT = (
    "log_evidence",
    "co_clustering",
    "sum_theta_squared",
    "mixture_mean",
    "mixture_second_moment",
    "log_predictive_at_data",
    "log_predictive",
)


def test_reordering_the_data_reorders_the_posterior(monkeypatch):
    spec, _, _, _, x = make(K=3, D=2, N=5)
    order = [3, 1, 4, 0, 2]
    one = ref.exact_posterior(spec, x)
    monkeypatch.setattr(exact, "CHUNK_VALUES", 100)  # many chunks instead of one, in passing
    two = ref.exact_posterior(spec, x[order])
    assert two.log_evidence == pytest.approx(one.log_evidence, rel=1e-11)
    np.testing.assert_allclose(two.responsibilities, one.responsibilities[order], rtol=1e-10)
    np.testing.assert_allclose(two.co_clustering, one.co_clustering[np.ix_(order, order)], rtol=1e-10)
    np.testing.assert_allclose(two.beta_sd, one.beta_sd, rtol=1e-10)


def test_edges_of_the_exact_posterior():
    spec, _, _, _, x = make(K=3, D=2, N=5)
    prior = ref.exact_posterior(spec, x[:0])
    assert prior.log_evidence == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(prior.beta_sd, [np.sqrt(np.diag(spec.prior_cov))] * 3, rtol=1e-10)
    np.testing.assert_allclose(prior.mixture_mean, spec.prior_mean, rtol=1e-10)
    np.testing.assert_allclose(
        prior.mixture_second_moment,
        spec.prior_cov + np.outer(spec.prior_mean, spec.prior_mean),
        rtol=1e-10,
    )
    single, _, _, _, many = make(K=1, D=2, N=200)
    one = ref.exact_posterior(single, many)
    np.testing.assert_allclose(one.theta_mean, [1.0])
    np.testing.assert_allclose(one.theta_sd, [0.0], atol=1e-7)
    with pytest.raises(InputError, match="K = 3 and N = 14"):
        ref.exact_posterior(spec, np.zeros((14, 2)))


# ---- the Gibbs sampler ----


def gibbs_z_scores(spec, x, draws, truth):
    """(posterior mean by Gibbs - exact) / MCSE for every quantity; the chains are the independent batches."""
    theta, beta, z = draws["theta"], draws["beta"], draws["z"]
    chains, num_draws = theta.shape[:2]
    one_hot = (z[..., None] == np.arange(spec.num_components)).astype(float)
    scaled = (x[:, None, :] - beta[:, :, None]) / spec.noise_scale  # (C, S, N, K, D)
    normal = np.exp(-0.5 * (scaled**2).sum(axis=-1)) / (math.sqrt(2 * math.pi) * spec.noise_scale) ** spec.dim
    pairs = np.triu_indices(len(x), 1)
    moment = np.einsum("csk,cskd,cske->csde", theta, beta, beta)
    compared = {
        "theta": (theta, truth.theta_mean),
        "theta squared": (theta**2, truth.theta_sd**2 + truth.theta_mean**2),
        "beta": (beta, truth.beta_mean),
        "beta squared": (beta**2, truth.beta_sd**2 + truth.beta_mean**2),
        "responsibilities": (one_hot[..., :-1], truth.responsibilities[:, :-1]),
        "co-clustering": (
            np.einsum("csik,csjk->csij", one_hot, one_hot)[:, :, *pairs],
            truth.co_clustering[pairs],
        ),
        "sum theta squared": ((theta**2).sum(axis=-1), np.array(truth.sum_theta_squared)),
        "mixture mean": (np.einsum("csk,cskd->csd", theta, beta), truth.mixture_mean),
        "mixture second moment": (moment, truth.mixture_second_moment),
        "predictive": (np.einsum("csk,csnk->csn", theta, normal), np.exp(truth.log_predictive_at_data)),
    }
    scores = {}
    for name, (values, expected) in compared.items():
        by_chain = values.reshape(chains, num_draws, -1).mean(axis=1)
        error = by_chain.std(axis=0, ddof=1) / math.sqrt(chains)
        scores[name] = (by_chain.mean(axis=0) - expected.ravel()) / error
    return scores


def overlapping(seed):
    """Components that overlap so much that no event of z is rare, as a batch's standard error needs."""
    cov = [[1.0, 0.4, -0.2], [0.4, 0.6, 0.1], [-0.2, 0.1, 0.8]]
    spec, _, _, _, x = make(K=3, D=3, N=5, seed=seed, prior_cov=cov, noise_scale=1.5)
    return spec, x


def sample(spec, x, seed):
    return ref.gibbs(spec, x, num_draws=120, num_warmup=60, seed=seed, num_chains=200)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_gibbs_agrees_with_the_exact_posterior(seed):
    """62 quantities at once; over the seeds 1 to 300, two had any of them past 4 standard errors."""
    spec, x = overlapping(seed)
    scores = gibbs_z_scores(spec, x, sample(spec, x, seed), ref.exact_posterior(spec, x))
    assert max(np.abs(value).max() for value in scores.values()) < 4, scores


@pytest.mark.parametrize(
    ("name", "factor"),
    [("concentration", 1.3), ("prior_mean", 0.5), ("noise_scale", 1.1), ("prior_cov", 1.3)],
)
def test_gibbs_comparison_notices_another_model(name, factor):
    spec, x = overlapping(1)
    other = MixtureSpec(**(spec.as_dict() | {name: factor * np.asarray(getattr(spec, name))}))
    scores = gibbs_z_scores(spec, x, sample(spec, x, 1), ref.exact_posterior(other, x))
    assert max(np.abs(value).max() for value in scores.values()) > 5


def test_gibbs_finds_well_separated_components_in_more_data():
    rng = np.random.default_rng(7)
    spec = MixtureSpec(3, 2, prior_cov=100.0)
    centres = np.array([[-10.0, 0], [0, 10], [10, 0]])
    z = rng.integers(3, size=600)
    draws = ref.gibbs(spec, centres[z] + rng.normal(size=(600, 2)), 50, 20, seed=3)
    assert {name: value.shape for name, value in draws.items()} == {
        "theta": (50, 3),
        "beta": (50, 3, 2),
        "z": (50, 600),
    }
    order = np.argsort(draws["beta"][:, :, 0].mean(axis=0))
    np.testing.assert_array_equal(np.argsort(order)[draws["z"]], np.tile(z, (50, 1)))
    np.testing.assert_allclose(draws["beta"].mean(axis=0)[order], centres, atol=0.3)
    np.testing.assert_allclose(draws["theta"].mean(axis=0)[order], np.bincount(z) / 600, atol=0.02)


@pytest.mark.parametrize(("K", "D", "N"), [(1, 1, 1), (20, 3, 4), (3, 2, 0), (2, 1, 5)])
def test_gibbs_edges_and_repeatability(K, D, N):
    spec, _, _, _, x = make(K, D, N, concentration=1e-3)
    x = np.zeros_like(x) if N == 5 else x  # five equal rows: k-means++ finds no second centre
    one, two = (ref.gibbs(spec, x, 20, 2, seed=5, num_chains=2) for _ in range(2))
    for name, value in one.items():
        assert np.all(np.isfinite(value))
        np.testing.assert_array_equal(value, two[name])
    np.testing.assert_allclose(one["theta"].sum(axis=-1), 1, rtol=ROUNDING)
    started = ref.gibbs(spec, x, 1, 0, seed=5, init_z=np.zeros(N, dtype=int))
    assert started["z"].shape == (1, N)
