"""Some columns of a file: by name, in the order asked for, whatever stands in the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from parity_tests.files import write
from ppl_parity.cli.app import app
from ppl_parity.data import load_data
from ppl_parity.errors import InputError

CSV = """,species,size,"mass, in g",size in mm
0,setosa,1.5,10,
1,virginica,2.5,20,NA
"""
TABLE = {"species": ["setosa", None], "size": [1.5, 2.5], "mass, in g": [10, 20], "holes": [None, 1.0]}


def file(folder: Path, suffix: str) -> Path:
    path = folder / f"a{suffix}"
    if suffix == ".csv":
        return write(path, CSV)
    pq.write_table(pa.table(TABLE), path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_come_in_the_order_asked_for(tmp_path: Path, suffix: str) -> None:
    data = load_data(file(tmp_path, suffix), columns=("mass, in g", "size"))
    np.testing.assert_array_equal(data.x, [[10, 1.5], [20, 2.5]])
    assert data.columns == ("mass, in g", "size")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("sise",), r"The columns of a\.\w+ are species, size, mass.*; got 'sise'. Did you mean 'size'"),
        (("size", "size"), "'size' is asked for twice"),
        ((), r"must be names, one or more; got \(\)"),
        ("size", "must be names, one or more; got 'size'"),
        (
            ("size", "species"),
            r"'setosa' in data row 1, column 2 \('species'\)|'species'\) of .* is of type string",
        ),
    ],
)
def test_columns_that_cannot_be_taken(tmp_path: Path, suffix: str, columns: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_data(file(tmp_path, suffix), columns=columns)


def test_a_name_that_comes_twice_matters_only_where_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b,b\n1,2,3\n4,5,6\n")
    np.testing.assert_array_equal(load_data(path, columns=["a"]).x, [[1], [4]])
    with pytest.raises(InputError, match=r"a\.csv has 'b' twice"):
        load_data(path, columns=["b"])


def test_columns_without_names_are_counted(tmp_path: Path) -> None:
    rows = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "a.npz", x=rows)
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",")
    for suffix in ("npy", "npz", "csv"):
        data = load_data(tmp_path / f"a.{suffix}", columns=["x3", "x1"])
        np.testing.assert_array_equal(data.x, rows[:, [2, 0]])
        with pytest.raises(InputError, match=r"are x1, x2, x3; got 'x4'"):
            load_data(tmp_path / f"a.{suffix}", columns=["x4"])


def test_a_column_of_text_is_told_how_to_be_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "size,species\n1,setosa\n")
    with pytest.raises(InputError, match=r"got 'setosa' .* Name the columns to take \(--columns, columns=\)"):
        load_data(path)


def test_columns_of_a_bundled_set(tmp_path: Path) -> None:
    whole, part = (load_data("iris", columns=chosen, standardize=False) for chosen in (None, ["petal_width"]))
    np.testing.assert_array_equal(part.x[:, 0], whole.x[:, whole.columns.index("petal_width")])
    assert (part.dim, part.spec().num_components) == (1, 3)


def test_the_command_line_takes_them_as_a_header_has_them(tmp_path: Path) -> None:
    path = file(tmp_path, ".csv")
    words = ["fit", "--data", str(path), "-K", "1", "--out", str(tmp_path / "o.nc"), "--json", "-"]
    short = ["--num-draws", "10", "--num-chains", "1", "--prior-cov", "400"]
    found = CliRunner().invoke(app, [*words, *short, "--columns", 'size, "mass, in g"'])
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["data"]["columns"] == ["size", "mass, in g"]
    found = CliRunner().invoke(app, ["render", "--columns", "size", "--out", str(tmp_path / "g.gv")])
    assert (found.exit_code, found.stderr) == (2, "Error: --columns must go with --data; got no data.\n")


def test_arrays_and_tables_in_memory_are_taken_and_copied() -> None:
    pandas = pytest.importorskip("pandas")
    x = np.arange(6.0).reshape(3, 2)
    data = load_data(x, columns=["size", "mass"])
    x[0, 0] = 9
    assert (data.columns, data.x[0, 0]) == (("size", "mass"), 0)
    assert load_data([1.0, 2.0]).x.shape == (2, 1)
    table = pandas.DataFrame({"kind": ["a", "b", "c"], "size": [1, 2, 4], "mass": [0.5, 1.5, 2.5]})
    data = load_data(table, columns=["mass", "size"], standardize=True)
    assert data.columns == ("mass", "size")
    np.testing.assert_allclose(data.x.mean(axis=0), 0, atol=1e-12)
    with pytest.raises(InputError, match=r"got 'masse'\. Did you mean 'mass'"):
        load_data(table, columns=["masse"])
    nullable = table[["size", "mass"]].astype("Float64")
    np.testing.assert_array_equal(load_data(nullable).x, table[["size", "mass"]].to_numpy(dtype=float))
    nullable.iloc[1, 0] = pandas.NA
    with pytest.raises(InputError, match="size"):
        load_data(nullable)
    with pytest.raises(InputError, match=r"spec takes .*; got 'components'\. Did you mean 'num_components'"):
        data.spec(components=2)
    with pytest.raises(InputError, match=r"'kind' is not. Take others by columns="):
        load_data(table)
    with pytest.raises(InputError, match="must be an array of numbers"):
        load_data([[1, 2], [3]])
    for nothing in (None, 3, {"x": x}):
        with pytest.raises(InputError, match="Data must be a name, a path, an array or a table"):
            load_data(nothing)  # type: ignore[arg-type]
