"""Data that are standardised or simulated: shapes, moments, and what is refused."""

import json

import numpy as np
import pytest

from ppl_parity.data import (
    simulate,
    standardize,
    unstandardize,
    well_separated,
)
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec

# --- standardisation --------------------------------------------------------------------------------------


def test_standardize_and_back():
    x = np.random.default_rng(1).normal(size=(50, 3)) * [1e-6, 1.0, 1e6] + [5.0, 0.0, -1e7]
    z, record = standardize(x, columns=("a", "b", "c"))
    np.testing.assert_allclose((z**2).mean(axis=0), 1, rtol=1e-9)
    np.testing.assert_array_equal(record["scale"], x.std(axis=0))
    np.testing.assert_allclose(unstandardize(z, json.loads(json.dumps(record))), x, rtol=1e-12)
    assert unstandardize(np.zeros((4, 2, 3)), record).shape == (4, 2, 3)
    with pytest.raises(InputError, match="D = 3"):
        unstandardize(np.zeros((4, 2)), record)


@pytest.mark.parametrize("value", [0.1, 0.0, -7e12])
def test_constant_column(value):
    x = np.column_stack([np.arange(10.0), np.full(10, value)])
    with pytest.raises(InputError, match=r"must vary .* column 2 \('x2'\)"):
        standardize(x)


def test_standardize_refuses_one_row_nan_and_overflow():
    with pytest.raises(InputError, match="must vary"):
        standardize([[1.0, 2.0]])
    with pytest.raises(InputError, match="finite number"):
        standardize([1.0, np.nan])
    with pytest.raises(InputError, match="overflows"):
        standardize([1e300, -1e300])


# --- simulated data ---------------------------------------------------------------------------------------


def test_simulate_shapes_and_seed():
    spec = MixtureSpec(3, 2, concentration=2.0, prior_cov=4.0, noise_scale=0.5)
    first, again, other = simulate(spec, 20, 1), simulate(spec, 20, 1), simulate(spec, 20, 2)
    shapes = {name: value.shape for name, value in first.items()}
    assert shapes == {"theta": (3,), "beta": (3, 2), "z": (20,), "x": (20, 2)}
    assert [first[name].dtype for name in ("theta", "beta", "x")] == [np.float64] * 3
    assert first["z"].dtype == np.int64
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    assert not np.array_equal(first["x"], other["x"])


def test_simulate_has_the_moments_of_the_model():
    # 4,000 prior draws; a bound of 5 standard errors fails by chance once in two million comparisons, and
    # the seeds are fixed.
    cov = np.array([[2.0, 0.6], [0.6, 1.0]])
    spec = MixtureSpec(2, 2, concentration=[1.0, 3.0], prior_mean=[1.0, -2.0], prior_cov=cov)
    draws = [simulate(spec, 1, seed) for seed in range(4000)]
    theta = np.array([draw["theta"][0] for draw in draws])
    assert abs(theta.mean() - 0.25) < 5 * theta.std() / np.sqrt(4000)
    assert abs(np.mean([draw["z"][0] == 0 for draw in draws]) - 0.25) < 5 * np.sqrt(0.1875 / 4000)
    beta = np.array([draw["beta"][0] for draw in draws])
    np.testing.assert_allclose(beta.mean(axis=0), [1, -2], atol=5 * np.sqrt(2 / 4000))
    np.testing.assert_allclose(np.cov(beta.T), cov, atol=5 * 2 * np.sqrt(2 / 4000))


def test_simulate_puts_noise_scale_around_the_means():
    spec = MixtureSpec(2, 3, prior_cov=100.0, noise_scale=0.1)
    draw = simulate(spec, 20_000, 0)
    noise = draw["x"] - draw["beta"][draw["z"]]
    np.testing.assert_allclose(noise.std(), 0.1, rtol=5 / np.sqrt(2 * noise.size))
    np.testing.assert_allclose(np.bincount(draw["z"]) / 20_000, draw["theta"], atol=5 * 0.5 / np.sqrt(20_000))


def test_simulate_with_one_component():
    draw = simulate(MixtureSpec(1, 1), 5, 0)
    assert draw["theta"].tolist() == [1.0]
    assert not draw["z"].any()


@pytest.mark.parametrize("num_data", [0, -1, 2.0, True, "5"])
def test_simulate_refuses_a_bad_count(num_data):
    with pytest.raises(InputError, match="num_data"):
        simulate(MixtureSpec(2, 2), num_data, 0)


@pytest.mark.parametrize(("num_components", "dim"), [(1, 1), (2, 1), (5, 1), (3, 2), (9, 2), (8, 8), (3, 64)])
def test_well_separated(num_components, dim):
    draw = well_separated(101, num_components, dim, separation=8.0, seed=0, noise_scale=0.5)
    beta = draw["beta"]
    gaps = np.linalg.norm(beta[:, None] - beta, axis=-1)[~np.eye(num_components, dtype=bool)]
    assert (gaps >= 4.0 * (1 - 1e-12)).all()
    counts = np.bincount(draw["z"], minlength=num_components)
    assert counts.max() - counts.min() <= 1
    assert draw["x"].shape == (101, dim)
    np.testing.assert_allclose(beta.mean(axis=0), 0, atol=1e-12)


def test_well_separated_with_weights():
    draw = well_separated(2001, 3, 2, separation=2.0, seed=0, weights=(6, 3, 1))
    assert draw["theta"].tolist() == [0.6, 0.3, 0.1]
    np.testing.assert_allclose(np.bincount(draw["z"]), [1200.6, 600.3, 200.1], atol=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"separation": 0},
        {"noise_scale": -1},
        {"dim": 0},
        {"seed": -1},
        {"weights": (1,)},
        {"weights": (1, 0)},
        {"weights": (1, float("inf"))},
    ],
)
def test_well_separated_refuses(wrong):
    given = {"num_data": 5, "num_components": 2, "dim": 2, "separation": 3.0, "seed": 0}
    with pytest.raises(InputError):
        well_separated(**{**given, **wrong})
