"""Data: the bundled sets hold what their sources print; names, flags and paths are checked."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parity_tests.files import write
from ppl_parity.data import (
    BUNDLED_NAMES,
    Dataset,
    dataset_from_array,
    load_data,
    unstandardize,
)
from ppl_parity.data.bundled import BUNDLED
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec

# Means as the sources give them, in the columns' own units.
FACTS = {
    "old-faithful": (272, ("eruptions", "waiting"), (3.487783, 70.897059)),
    "iris": (
        150,
        ("sepal_length", "sepal_width", "petal_length", "petal_width"),
        (5.843333, 3.057333, 3.758, 1.199333),
    ),
    "penguins": (
        342,
        ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"),
        (43.921930, 17.151170, 200.915205, 4201.754386),
    ),
}


# --- bundled sets -----------------------------------------------------------------------------------------


def test_every_bundled_set_has_its_facts():
    assert set(FACTS) == set(BUNDLED_NAMES)


@pytest.mark.parametrize("name", BUNDLED_NAMES)
def test_bundled_values(name):
    num_data, columns, means = FACTS[name]
    data = load_data(name, standardize=False)
    assert data.x.shape == (num_data, len(columns))
    assert data.columns == columns
    assert data.transform is None
    np.testing.assert_allclose(data.x.mean(axis=0), means, rtol=0, atol=5e-7)
    # Noise in standard deviations would be wrong for columns in their own units: only K is offered.
    assert dict(data.spec_hints) == {"num_components": BUNDLED[name].num_components}


def test_iris_has_the_published_rows_and_not_those_of_uci():
    x = load_data("iris", standardize=False).x
    np.testing.assert_array_equal(x[34], [4.9, 3.1, 1.5, 0.2])
    np.testing.assert_array_equal(x[37], [4.9, 3.6, 1.4, 0.1])


def test_iris_equals_the_copy_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    np.testing.assert_array_equal(load_data("iris", standardize=False).x, datasets.load_iris().data)


@pytest.mark.parametrize("name", BUNDLED_NAMES)
def test_bundled_default_is_standardised_with_a_spec_to_match(name):
    data = load_data(name)
    np.testing.assert_allclose(data.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.x.std(axis=0), 1, rtol=1e-12)
    assert data.transform is not None
    np.testing.assert_allclose(
        unstandardize(data.x, data.transform), load_data(name, standardize=False).x, rtol=1e-12
    )
    spec = data.spec()
    assert (spec.num_components, spec.dim) == (BUNDLED[name].num_components, data.dim)
    np.testing.assert_array_equal(spec.prior_mean, np.zeros(data.dim))
    np.testing.assert_array_equal(spec.prior_cov, np.eye(data.dim))


@pytest.mark.parametrize("name", BUNDLED_NAMES)
def test_bundled_noise_scale_is_the_maximum_likelihood_one(name):
    data = load_data(name)
    hint = data.spec_hints["noise_scale"]
    fits = [em_noise_scale(data.x, data.spec().num_components, seed) for seed in range(10)]
    best = max(fits)[1]
    assert hint == round(best, 2)


def em_noise_scale(x, num_components, seed):
    """(log likelihood, s) of the mixture with covariance s^2 I, by EM from a random start."""
    rng = np.random.default_rng(seed)
    num_data, dim = x.shape
    beta, variance = x[rng.choice(num_data, num_components, replace=False)], 1.0
    theta = np.full(num_components, 1 / num_components)
    value = -np.inf
    for _ in range(500):
        squares = ((x[:, None] - beta) ** 2).sum(axis=-1)
        logits = np.log(theta) - squares / (2 * variance) - dim / 2 * np.log(2 * np.pi * variance)
        value = np.logaddexp.reduce(logits, axis=1)
        weights = np.exp(logits - value[:, None])
        counts = weights.sum(axis=0)
        theta, beta = counts / num_data, weights.T @ x / counts[:, None]
        variance = (weights * ((x[:, None] - beta) ** 2).sum(axis=-1)).sum() / (num_data * dim)
    return float(np.sum(value)), float(np.sqrt(variance))


@pytest.mark.parametrize("spelling", ["old_faithful", "Old-Faithful", "OLD_FAITHFUL"])
def test_bundled_name_spellings(spelling):
    assert load_data(spelling).name == "old-faithful"


# --- Dataset ----------------------------------------------------------------------------------------------


def test_dataset_is_frozen():
    data = load_data("iris")
    assert data.x.dtype == np.float64
    assert data.x.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        data.x[0, 0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]


def test_dataset_copies_what_others_can_write_to():
    mine = np.arange(6.0).reshape(3, 2)
    for data in (Dataset(mine, ("a", "b"), "mine", "A test."), dataset_from_array(mine)):
        before = data.fingerprint()
        mine[0, 0] += 1
        assert data.fingerprint() == before
        assert mine.flags.writeable


def test_dataset_validates_what_it_is_given():
    with pytest.raises(InputError, match=r"one name per column, 2 in all; mine has 1"):
        Dataset(np.zeros((3, 2)), ("a",), "mine", "A test.")
    with pytest.raises(InputError, match="finite number"):
        Dataset(np.full((3, 1), np.nan), ("a",), "mine", "A test.")


def test_fingerprint_tells_values_and_shape_apart():
    x = np.arange(6.0)
    prints = {dataset_from_array(array).fingerprint() for array in (x, x.reshape(3, 2), x.reshape(2, 3))}
    prints.add(dataset_from_array(np.nextafter(x, 9)).fingerprint())
    assert len(prints) == 4


def test_fingerprint_is_of_values_and_not_of_layout_or_dtype():
    x = np.arange(6).reshape(3, 2)
    others = (x.astype(np.float32), np.asfortranarray(x, dtype=float), x.astype(">f8"), x.tolist())
    assert {dataset_from_array(other).fingerprint() for other in others} == {
        dataset_from_array(x).fingerprint()
    }


def test_fingerprint_survives_a_round_trip_through_every_format(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3))
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", fmt="%.17g")
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    pq.write_table(pa.table({f"x{j + 1}": x[:, j] for j in range(3)}), tmp_path / "x.parquet")
    datasets = [load_data(tmp_path / f"x.{suffix}") for suffix in ("csv", "npy", "npz", "parquet")]
    assert len({data.fingerprint() for data in datasets}) == 1
    assert {data.columns for data in datasets} == {("x1", "x2", "x3")}


def test_summary_is_json():
    summary = load_data("old-faithful").summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["transform"]["ddof"] == 0
    assert len(summary["fingerprint"]) == 64


def test_spec_needs_k_and_takes_overrides():
    mine = dataset_from_array(np.arange(6.0).reshape(3, 2))
    with pytest.raises(InputError, match="num_components"):
        mine.spec()
    assert mine.spec(num_components=2) == MixtureSpec(2, 2)
    assert load_data("iris").spec(num_components=5, noise_scale=1.0).num_components == 5


def test_users_data_are_standardised_only_on_request(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n1,2\n3,5\n")
    plain, scaled = load_data(path), load_data(path, standardize=True)
    np.testing.assert_array_equal(plain.x, [[1, 2], [3, 5]])
    assert plain.transform is None
    assert plain.spec_hints == {}
    np.testing.assert_array_equal(scaled.x, [[-1, -1], [1, 1]])
    assert scaled.transform is not None
    assert scaled.transform["columns"] == ["a", "b"]


# --- names and paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("old-faithfull", "Did you mean 'old-faithful'"),
        ("irsi", "Did you mean 'iris'"),
        ("data.txt", r"must end in .csv, .npy, .npz, .parquet; got 'data.txt'"),
        ("data.csv.gz", r"got 'data.csv.gz'\. Decompress it first\.$"),
        ("data.parqet", "Did you mean '.parquet'"),
        ("penguin.csv", "there is no file 'penguin.csv'. Did you mean 'penguins'"),
        ("", "Data must be one of|must end in"),
        (3, "a name, a path, an array or a table; got int"),
        (None, "a name, a path, an array or a table; got NoneType"),
    ],
)
def test_bad_names(given, message):
    with pytest.raises(InputError, match=message):
        load_data(given)


def test_missing_file_suggests_its_neighbour(tmp_path):
    write(tmp_path / "geyser.csv", "1\n2\n")
    with pytest.raises(InputError, match=r"Did you mean 'geyser.csv'"):
        load_data(tmp_path / "gyser.csv")


def test_a_folder_is_not_a_file(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match=r"must be one file; .*folder.csv' is a folder\.$"):
        load_data(tmp_path / "folder.csv")
    with pytest.raises(InputError, match="must end in"):
        load_data(tmp_path / "plain")


def test_suffix_in_capitals(tmp_path):
    assert load_data(write(tmp_path / "A.CSV", "1,2\n3,4\n")).x.shape == (2, 2)


@pytest.mark.parametrize("flag", [1, "yes", 0])
def test_standardize_must_be_a_flag(flag):
    with pytest.raises(InputError, match="True, False or None"):
        load_data("iris", standardize=flag)


# --- the house --------------------------------------------------------------------------------------------


def test_loading_data_imports_no_backend():
    code = (
        "import sys; from ppl_parity.data import load_data; load_data('iris');"
        "print(sorted({'torch', 'jax', 'pyro', 'numpyro', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
