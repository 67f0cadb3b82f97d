"""MixtureSpec and SamplerSettings: every rule is enforced at construction, and nothing changes after it."""

import dataclasses
import json

import numpy as np
import pytest

from ppl_parity.errors import InputError, nearest, one_of
from ppl_parity.spec import MixtureSpec, SamplerSettings, check_seed

# --- MixtureSpec: what is stored --------------------------------------------------------------------------


def test_scalars_are_broadcast():
    spec = MixtureSpec(num_components=3, dim=2, concentration=2, prior_mean=1, prior_cov=4)
    np.testing.assert_array_equal(spec.concentration, [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(spec.prior_mean, [1.0, 1.0])
    np.testing.assert_array_equal(spec.prior_cov, [[4.0, 0.0], [0.0, 4.0]])
    assert spec.noise_scale == 1.0
    assert {array.dtype for array in (spec.concentration, spec.prior_mean, spec.prior_cov)} == {
        np.dtype(float)
    }


def test_a_vector_prior_cov_is_a_diagonal_of_variances():
    np.testing.assert_array_equal(MixtureSpec(2, 2, prior_cov=[1.0, 9.0]).prior_cov, [[1, 0], [0, 9]])


def test_numpy_integers_become_plain_ones():
    spec = MixtureSpec(np.int64(2), np.int32(3))
    assert type(spec.num_components) is int
    assert type(spec.dim) is int


@pytest.mark.parametrize("name", ["concentration", "prior_mean", "prior_cov"])
def test_arrays_are_frozen_copies(name):
    given = np.eye(2) if name == "prior_cov" else np.ones(2)
    spec = MixtureSpec(2, 2, **{name: given})
    given *= 7
    assert getattr(spec, name).max() == 1.0
    with pytest.raises(ValueError, match="read-only"):
        getattr(spec, name)[0] = 5.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(spec, name, given)


def test_as_dict_round_trip_through_json():
    spec = MixtureSpec(2, 2, [1.0, 0.1], [0.3, -1.0], [[2.0, 0.5], [0.5, 1.0]], 0.38)
    again = MixtureSpec(**json.loads(json.dumps(spec.as_dict())))
    assert again == spec
    assert hash(again) == hash(spec)
    assert spec != MixtureSpec(2, 2)
    assert spec != "another type"


# --- MixtureSpec: what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["num_components", "dim"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True, None])
def test_sizes_must_be_positive_integers(name, value):
    with pytest.raises(InputError, match=name):
        MixtureSpec(**{"num_components": 2, "dim": 2, name: value})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"concentration": 0.0}, "concentration must be positive"),
        ({"concentration": [1.0, -1.0]}, "concentration must be positive"),
        ({"concentration": [1.0, 1.0, 1.0]}, r"shape \(K,\) = \(2,\); got shape \(3,\)"),
        ({"concentration": [[1.0, 1.0]]}, r"got shape \(1, 2\)"),
        ({"concentration": np.inf}, "concentration must be finite"),
        ({"concentration": "two"}, "concentration must hold numbers only"),
        ({"prior_mean": [1.0, 2.0]}, r"shape \(D,\) = \(3,\); got shape \(2,\)"),
        ({"prior_mean": np.nan}, "prior_mean must be finite"),
        ({"prior_mean": [[1.0], [2.0, 3.0]]}, "prior_mean must hold numbers only"),
        ({"prior_cov": [1.0, 1.0]}, r"with D = 3; got shape \(2,\)"),
        ({"prior_cov": np.eye(2)}, r"with D = 3; got shape \(2, 2\)"),
        ({"prior_cov": np.ones((3, 3, 3))}, r"got shape \(3, 3, 3\)"),
        ({"prior_cov": -1.0}, "positive definite"),
        ({"prior_cov": 0.0}, "positive definite"),
        ({"prior_cov": [1.0, 0.0, 1.0]}, "positive definite"),
        ({"prior_cov": 2 * np.ones((3, 3)) - np.eye(3)}, r"smallest eigenvalue is -1"),
        ({"prior_cov": np.eye(3) + np.triu(np.ones((3, 3)), 1) / 2}, "symmetric"),
        ({"prior_cov": np.nan}, "prior_cov must be finite"),
        ({"noise_scale": 0}, "noise_scale must be positive"),
        ({"noise_scale": -0.5}, "noise_scale must be positive"),
        ({"noise_scale": np.inf}, "noise_scale must be finite"),
        ({"noise_scale": [1.0, 2.0]}, "noise_scale must be a number"),
        ({"noise_scale": None}, "noise_scale must be a number"),
        ({"noise_scale": True}, "noise_scale must be a number"),
        ({"noise_scale": "1.0"}, "noise_scale must be a number"),
        ({"prior_cov": 1j}, "prior_cov must hold numbers only"),
    ],
)
def test_bad_hyperparameters(given, message):
    with pytest.raises(InputError, match=message):
        MixtureSpec(**{"num_components": 2, "dim": 3, **given})


# --- SamplerSettings --------------------------------------------------------------------------------------


def test_settings_round_trip_through_json():
    settings = SamplerSettings(num_draws=5, num_warmup=0, seed=2**32 - 1, device="gpu:1", init="prior")
    assert SamplerSettings(**json.loads(json.dumps(settings.as_dict()))) == settings
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize("device", ["cpu", "gpu", "gpu:0", "gpu:3"])
def test_devices(device):
    assert SamplerSettings(device=device).device == device


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_draws": 0}, "num_draws must be at least 1; got 0"),
        ({"num_draws": 10.0}, "num_draws must be an integer; got 10.0"),
        ({"num_warmup": -1}, "num_warmup must be at least 0"),
        ({"num_chains": 0}, "num_chains must be at least 1"),
        ({"num_chains": True}, "num_chains must be an integer"),
        ({"max_tree_depth": 0}, "max_tree_depth must be at least 1"),
        ({"target_accept": 0.0}, "strictly between 0 and 1"),
        ({"target_accept": 1}, "strictly between 0 and 1"),
        ({"target_accept": np.nan}, "target_accept must be finite"),
        ({"target_accept": "high"}, "target_accept must be a number"),
        ({"dense_mass": "no"}, "dense_mass must be True or False"),
        ({"adapt_mass": 1}, "adapt_mass must be True or False"),
        ({"max_tree_depth": 1000}, "max_tree_depth must be at most 20"),
        ({"target_accept": True}, "target_accept must be a number"),
        ({"num_shards": 0}, "num_shards must be at least 1"),
        ({"init": "kmean"}, "Did you mean 'kmeans'"),
        ({"precision": "float16"}, "precision must be one of float32, float64; got 'float16'"),
        ({"device": "tpu"}, "device must be one of cpu, gpu; got 'tpu'"),
        ({"chain_method": "vectorised"}, "Did you mean 'vectorized'"),
    ],
)
def test_bad_settings(given, message):
    with pytest.raises(InputError, match=message):
        SamplerSettings(**given)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, np.int64(7), np.uint32(7)])
def test_seeds(seed):
    assert check_seed(seed) == int(seed)
    assert type(check_seed(seed)) is int


@pytest.mark.parametrize("seed", [True, False, 1.0, "1", None, np.float64(1), np.bool_(True), [1]])
def test_a_seed_must_be_an_integer(seed):
    for construct in (check_seed, lambda value: SamplerSettings(seed=value)):
        with pytest.raises(InputError, match="seed must be an integer"):
            construct(seed)


@pytest.mark.parametrize(("seed", "message"), [(-1, "at least 0"), (2**32, r"below 2\*\*32")])
def test_a_seed_must_be_in_range(seed, message):
    with pytest.raises(InputError, match=message):
        check_seed(seed)


# --- errors -----------------------------------------------------------------------------------------------


def test_an_input_error_is_a_value_error_in_one_sentence():
    assert issubclass(InputError, ValueError)
    with pytest.raises(InputError) as caught:
        one_of("colour", "gren", ("red", "green"))
    assert str(caught.value) == "colour must be one of red, green; got 'gren'. Did you mean 'green'?"


def test_nearest_is_silent_when_nothing_is_near():
    assert nearest("zzz", ("iris", "penguins")) == ""
