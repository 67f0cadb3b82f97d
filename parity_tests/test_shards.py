"""Parts of a file: together they are the whole, alone they take no more memory than they need."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from ppl_parity.data import load_shard
from ppl_parity.data import shards as module
from ppl_parity.errors import InputError

X = np.random.default_rng(0).normal(size=(1003, 3))


def written(folder: Path, suffix: str, x: np.ndarray = X) -> Path:
    path = folder / f"rows{suffix}"
    if suffix == ".npy":
        np.save(path, x)
    else:
        table = pyarrow.table({f"c{i}": column for i, column in enumerate(x.T)})
        pyarrow.parquet.write_table(table, path, row_group_size=100)
    return path


@pytest.mark.parametrize("suffix", module.SUFFIXES)
@pytest.mark.parametrize("num_shards", [1, 2, 7, 1003])
def test_parts_are_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, num_shards: int
) -> None:
    monkeypatch.setattr(module, "BLOCK", 64)
    path = written(tmp_path, suffix)
    parts = [load_shard(path, i, num_shards) for i in range(num_shards)]
    np.testing.assert_array_equal(np.concatenate(parts), X)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    narrow = load_shard(path, 0, num_shards, precision="float32")
    np.testing.assert_array_equal(narrow, parts[0].astype(np.float32))


@pytest.mark.parametrize("suffix", module.SUFFIXES)
def test_the_rest_is_not_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(module, "BLOCK", 1000)
    x = np.zeros((200_000, 8))
    path = written(tmp_path, suffix, x)
    load_shard(path, 0, 100)  # what is imported stays
    tracemalloc.start()
    try:
        part = load_shard(path, 50, 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert part.shape == (2000, 8)
    assert peak < 6 * part.nbytes < x.nbytes / 10


@pytest.mark.parametrize("suffix", module.SUFFIXES)
def test_a_value_that_is_no_number_is_named_by_its_row_in_the_file(tmp_path: Path, suffix: str) -> None:
    x = X.copy()
    x[900, 1] = np.nan
    path = written(tmp_path, suffix, x)
    assert len(load_shard(path, 0, 2)) == 501
    with pytest.raises(InputError, match=r"nan in data row 901, column 2"):
        load_shard(path, 1, 2)


def test_a_number_that_float32_cannot_hold_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, ".npy", np.array([[1.0], [1e300]]))
    with pytest.raises(InputError, match=r"finite float32 number; got 1e\+300 in data row 2"):
        load_shard(path, 0, 1, precision="float32")


@pytest.mark.parametrize(
    ("index", "num_shards", "said"), [(2, 2, "from 0 to"), (-1, 2, "from 0 to"), (0, 2000, "must have a row")]
)
def test_a_part_that_is_not_there(tmp_path: Path, index: int, num_shards: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_shard(written(tmp_path, ".npy"), index, num_shards)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"1,2\n", "end in .npy or .parquet"),
        ("none.npy", None, "there is no"),
        ("a.npy", b"text", "plain numeric array"),
        ("a.parquet", b"text", "must be readable"),
        ("line.npy", np.zeros(3), r"shape \(N, D\)"),
        ("objects.npy", np.array([[{}]]), "plain numeric array"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: Any, said: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=said):
        load_shard(path, 0, 1)
