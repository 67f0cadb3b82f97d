"""Data from files and arrays: what each format may hold, and a sentence for every bad input."""

import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parity_tests.files import write
from ppl_parity.data import (
    dataset_from_array,
    load_data,
)
from ppl_parity.errors import InputError

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
    "text",
    [
        "5,6\n7,8\n9,2\n",
        "0,1\n",
        "0,1\n1,0\n",
        "0.0,1.0\n0.5,1.5\n",
        "0\n1\n2\n",
        "1,0\n0.5,0.5\n",
        "5\n0.5\n",
        "20,21\n21,20.5\n20,19.5\n",
    ],
)
def test_data_may_begin_with_whole_numbers(tmp_path, text):
    data = load_data(write(tmp_path / "a.csv", text))
    assert data.num_data == text.count("\n")


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
        ("a;b\n1,5;2,5\n", "data row 1 of a.csv has 3. The separator must be a comma"),
        ("1 2\n3 4\n", "The separator must be a comma"),
        ("0,1\n0.5,2\n1.5,3\n", r"that of a.csv numbers the columns \(0, 1\), as a header does"),
        ("2019,2020\n0.5,2.5\n1.5,3.5\n", r"numbers the columns \(2019, 2020\).*write 2019.0"),
        ("0\n0.5\n1e0\n", r"numbers the columns \(0\)"),
        (",0,1\n0,0.5,2\n", "column 1 of a.csv is called '', as a row index is"),
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
