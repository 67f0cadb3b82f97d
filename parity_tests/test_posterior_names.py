"""Sites of any name in an ArviZ file: a slash divides groups there, and an axis has its name before a site."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ppl_parity.draws.posterior import attribute, load, save, storable_names, to_datatree
from ppl_parity.writing import write

NAMES = ["g/a", "g.a", "chain", "draw", "draw_", "x", "x_dim_0", "$w", " s ", "β", "a[0]", "", ".h", "1a"]


def test_every_site_is_in_the_file_under_a_name_of_its_own(tmp_path: Path) -> None:
    values = {name: np.full((2, 3, 2), float(i)) for i, name in enumerate(NAMES)}
    tree = load(
        save(
            to_datatree({"posterior": values, "log_likelihood": {"g/a": values["g/a"]}}, {}),
            tmp_path / "f.nc",
        )
    )
    back = {**{name: name for name in NAMES}, **attribute(tree, "site_names")}
    found = {back[str(name)]: float(value[0, 0, 0]) for name, value in tree["posterior"].data_vars.items()}
    assert found == {name: float(i) for i, name in enumerate(NAMES)}
    assert [back[str(name)] for name in tree["log_likelihood"].data_vars] == ["g/a"]
    for value in tree["posterior"].data_vars.values():
        assert value.dims[:2] == ("chain", "draw")


def test_ordinary_names_stay_as_they_are() -> None:
    ordinary = ["theta", "beta", "a[0]", "_AutoReparam", "β", "a b", "module$$$w"]
    assert storable_names(ordinary) == {name: name for name in ordinary}
    assert "site_names" not in to_datatree({"posterior": {"theta": np.zeros((2, 3))}}, {}).attrs


def test_axes_are_named_under_the_name_that_was_given() -> None:
    values = {"posterior": {"g/b": np.zeros((2, 3, 4))}}
    for dims in ({"g/b": ("component",)}, {"posterior/g/b": ("component",)}):
        assert to_datatree(values, {}, dims=dims)["posterior"]["g.b"].dims[2:] == ("component",)


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "there.txt")
    write(tmp_path / "link.txt", lambda path: path.write_text("new"))
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "there.txt").read_text() == "new"
    write(Path("/dev/null"), lambda path: path.write_text("nothing"))
    assert not Path("/dev/null").is_file()
