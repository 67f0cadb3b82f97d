"""Data: the bundled sets hold what their sources print, and every bad input gets a sentence of its own."""

import dataclasses
import json
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ppl_parity.data import (
    BUNDLED_NAMES,
    Dataset,
    dataset_from_array,
    load_data,
    simulate,
    standardize,
    unstandardize,
    well_separated,
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


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


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
        ("data.parqet", "Did you mean '.parquet'"),
        ("penguin.csv", "there is no file 'penguin.csv'. Did you mean 'penguins'"),
        ("", "Data must be one of|must end in"),
        (3, "by a string or a path; got int"),
        (None, "by a string or a path; got NoneType"),
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
    with pytest.raises(InputError, match="there is no file"):
        load_data(tmp_path / "folder.csv")
    with pytest.raises(InputError, match="must end in"):
        load_data(tmp_path / "plain")


def test_suffix_in_capitals(tmp_path):
    assert load_data(write(tmp_path / "A.CSV", "1,2\n3,4\n")).x.shape == (2, 2)


@pytest.mark.parametrize("flag", [1, "yes", 0])
def test_standardize_must_be_a_flag(flag):
    with pytest.raises(InputError, match="True, False or None"):
        load_data("iris", standardize=flag)


# --- CSV --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n1,2\n3,4\n", ("a", "b")),
        ("1,2\n3,4", ("x1", "x2")),
        ('"a","b, in mm"\n"1","2"\n3,4\n', ("a", "b, in mm")),
        ("a , b\r\n 1, 2\r\n3 ,4e0\r\n", ("a", "b")),
        ("\ufeffa,b\n1,2\n3,4\n\n\n", ("a", "b")),
    ],
    ids=["header", "no header", "quoted", "spaces and CRLF", "byte-order mark, blank end"],
)
def test_csv(tmp_path, text, columns):
    data = load_data(write(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(data.x, [[1, 2], [3, 4]])
    assert data.columns == columns
    assert data.name == "a.csv"


def test_csv_of_one_column(tmp_path):
    assert load_data(write(tmp_path / "a.csv", "a\n1\n2\n3\n")).x.shape == (3, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "starts empty"),
        ("\n\n", "starts empty"),
        ("a,b\n", "header only"),
        ("a,b\n1,2\n3,four\n", r"got 'four' in data row 2, column 2 \('b'\) of a.csv"),
        ("1,2\n3,four\n", r"got 'four' in data row 2, column 2 \('x2'\)"),
        ("a,b\n1,2\n3,1_000\n", r"must be a number; got '1_000' in data row 2, column 2"),
        ("a,b\n1,2\n3\n", "as many values as the first, 2; data row 2 of a.csv has 1"),
        ("a,b\n1,2\n3,4,5\n", "data row 2 of a.csv has 3"),
        ("a,b\n1,2\n\n3,4\n", "blank line before data row 2"),
        ("a,b\n1,2\n3,\n", r"missing values .* got '' in data row 2, column 2 \('b'\)"),
        ("a,b\n1,2\nNA,4\n", r"missing values .* got 'NA' in data row 2, column 1 \('a'\)"),
        ("a,b\n1,2\nnan,4\n", r"got nan in data row 2, column 1 \('a'\)"),
        ("a,b\n1,-inf\n3,4\n", r"got -inf in data row 1, column 2 \('b'\)"),
        ("a,b\n1,1e999\n", r"got inf in data row 1, column 2"),
        ("1,b\n3,4\n", "all names or all numbers; column 2 of the first row of a.csv is 'b'"),
        ("1,NA\n3,4\n", "missing values .* got 'NA' in data row 1, column 2"),
        ("NA\n3\n", "missing values .* got 'NA' in data row 1, column 1"),
        (",a\n1,2\n", r"name of its own; column 1 of a.csv is called ''"),
        ("Unnamed: 0,a\n1,2\n", "row index"),
        ("a,a\n1,2\n", "unique; 'a' comes twice"),
        ("a;b\n1;2\n", "got '1;2' .* The separator must be a comma"),
        ("a\tb\n1\t2\n", "The separator must be a comma"),
        ("a,b\n1,2\n" + "setosa," + "3\n", "got 'setosa'"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_data(write(tmp_path / "a.csv", text))


def test_csv_that_is_not_text(tmp_path):
    with pytest.raises(InputError, match="UTF-8"):
        load_data(write(tmp_path / "a.csv", "größe\n1\n", encoding="latin-1"))
    huge_field = '"' + "1" * 200_000 + '"\n'
    with pytest.raises(InputError, match="well formed"):
        load_data(write(tmp_path / "a.csv", huge_field))


# --- NPY and NPZ ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int8, np.uint32, ">f8"])
def test_npy_dtypes(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.arange(6).reshape(3, 2).astype(dtype))
    data = load_data(tmp_path / "a.npy")
    assert data.x.dtype == np.dtype("=f8")
    np.testing.assert_array_equal(data.x, [[0, 1], [2, 3], [4, 5]])


def test_npy_of_one_axis_and_fortran_order(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4.0))
    assert load_data(tmp_path / "a.npy").x.shape == (4, 1)
    np.save(tmp_path / "a.npy", np.asfortranarray(np.arange(6.0).reshape(3, 2)))
    assert load_data(tmp_path / "a.npy").x.flags.c_contiguous


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2), dtype=complex), "has dtype complex128"),
        (np.array([["a", "b"]]), "has dtype <U1"),
        (np.zeros((2, 2), dtype=bool), "has dtype bool"),
        (np.array([1], dtype="M8[s]"), "has dtype datetime64"),
        (np.zeros(2, dtype=[("a", float)]), "has dtype"),
        (np.zeros((2, 2, 2)), r"has shape \(2, 2, 2\)"),
        (np.array(1.0), r"has shape \(\)"),
        (np.zeros((0, 2)), r"at least one row and one column; a.npy has shape \(0, 2\)"),
        (np.zeros((2, 0)), "at least one row and one column"),
        (np.array([[1, 2], [3, np.nan]]), r"got nan in data row 2, column 2 \('x2'\) of a.npy"),
        (np.array([[1, np.inf], [3, 4]]), "got inf in data row 1, column 2"),
    ],
)
def test_bad_npy(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=message):
        load_data(tmp_path / "a.npy")


class Trap:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("kind", ["npy", "npz", "pickle"])
def test_pickles_are_never_loaded(tmp_path, kind):
    sprung = tmp_path / "sprung"
    array = np.array([Trap(str(sprung))], dtype=object)
    path = tmp_path / f"a.{'npz' if kind == 'npz' else 'npy'}"
    if kind == "npy":
        np.save(path, array, allow_pickle=True)
    elif kind == "npz":
        np.savez(path, x=array)
    else:
        path.write_bytes(pickle.dumps(Trap(str(sprung))))
    with pytest.raises(InputError, match="never loaded") as caught:
        load_data(path)
    assert not sprung.exists()
    assert "allow_pickle=" not in str(caught.value).replace("allow_pickle=False", "")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00", b"plain text"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_damaged_numpy_files(tmp_path, suffix, content):
    (tmp_path / f"a.{suffix}").write_bytes(content)
    with pytest.raises(InputError, match="could not be read"):
        load_data(tmp_path / f"a.{suffix}")


def test_npz_keys(tmp_path):
    x = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "only.npz", anything=x)
    np.savez(tmp_path / "x.npz", x=x, z=np.arange(3))
    np.savez(tmp_path / "two.npz", first=x, second=x)
    np.savez(tmp_path / "none.npz")
    for name in ("only.npz", "x.npz"):
        np.testing.assert_array_equal(load_data(tmp_path / name).x, x)
    with pytest.raises(InputError, match=r"the keys of two\.npz: first, second"):
        load_data(tmp_path / "two.npz")
    with pytest.raises(InputError, match=r"the keys of none\.npz: none"):
        load_data(tmp_path / "none.npz")


# --- Parquet ----------------------------------------------------------------------------------------------


def test_parquet(tmp_path):
    table = pa.table({"a": [1, 2, 3], "b": pa.array([1.5, 2.5, 3.5], type=pa.float32())})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    data = load_data(tmp_path / "a.parquet")
    np.testing.assert_array_equal(data.x, [[1, 1.5], [2, 2.5], [3, 3.5]])
    assert data.columns == ("a", "b")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1.0], "species": ["setosa"]}, r"column 2 \('species'\) of a.parquet is of type string"),
        ({"a": [True]}, "is of type bool"),
        ({"a": [[1.0, 2.0]]}, "is of type list"),
        ({"a": [1.0, None]}, r"got null in data row 2, column 1 \('a'\)"),
        ({"a": [1, 2], "b": [3, None]}, r"got null in data row 2, column 2 \('b'\)"),
        ({"a": [1.0, float("nan")]}, "got nan in data row 2, column 1"),
        ({"a": pa.array([], type=pa.float64())}, r"at least one row .* shape \(0, 1\)"),
        ({}, "at least one row and one column"),
        ({"a": [1.0], "__index_level_0__": [0]}, "row index"),
    ],
)
def test_bad_parquet(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message):
        load_data(tmp_path / "a.parquet")


@pytest.mark.parametrize("content", [b"", b"not parquet at all"])
def test_damaged_parquet(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match="must be readable"):
        load_data(tmp_path / "a.parquet")


# --- arrays in memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 2], [3]], "cannot be made one"),
        (np.ma.masked_invalid([1.0, np.nan]), "masked entries"),
        ([["a"]], "has dtype"),
        (np.array([[1, None]]), "has dtype object"),
        ([], "at least one row"),
        (None, "has dtype object"),
        (np.array([[1e300, np.longdouble("1e400")]]), "finite number"),
    ],
)
def test_bad_arrays(values, message):
    with pytest.raises(InputError, match=message):
        dataset_from_array(values)


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


# --- the house --------------------------------------------------------------------------------------------


def test_loading_data_imports_no_backend():
    code = (
        "import sys; from ppl_parity.data import load_data; load_data('iris');"
        "print(sorted({'torch', 'jax', 'pyro', 'numpyro', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
