"""Options of a pair, given to `check`, written in a file or on the command line: those that say nothing are refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from typer.testing import CliRunner

from parity_tests.written import Y, libraries, told, two_outcomes
from ppl_parity import check
from ppl_parity.checking import check_pair
from ppl_parity.cli.app import app
from ppl_parity.errors import InputError
from ppl_parity.pair.loading import load_pair, load_parts
from ppl_parity.pair.options import OPTIONS
from ppl_parity.process.misspelt import misspelt
from ppl_parity.process.references import FileReference
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"points": {"mine": 3}},
            r"points\['mine'\] of model must be a dictionary of numbers by site; got int",
        ),
        ({"points": {"mine": {"a": "x"}}}, r"points\['mine'\]\['a'\] of model must be numbers; got 'x'"),
        (
            {"rename": {"a": "b"}},
            "rename gives numpyro's 'b' the name 'a', which another site of numpyro's model has",
        ),
        ({"rename": {"a": "b", "b": "b"}}, "'a' and 'b' both lead to 'b'"),
        ({"points": {"mine": {"aa": 0.0}}}, r"points\['mine'\] must name sites .*; got 'aa'"),
        (
            {"points": {"mine": {"a": [0.0, 1.0]}}},
            r"points\['mine'\]\['a'\] must have shape \(\); got \(2,\)",
        ),
        (
            {"rename": {"alpha": "a"}},
            "rename must lead from a site of pyro's model, of a, y, b, w; got 'alpha'",
        ),
        (
            {"rename": {"a": "alpha"}},
            "rename must lead to a site of numpyro's model, of a, y, b, w; got 'alpha'",
        ),
        ({"rename": {"a": 1}}, "rename of model must have texts on both sides"),
        ({"known_differences": {"densty/y": "old"}}, "must begin with a rung.*Did you mean 'density'"),
        ({"exchangeable": "a"}, r"exchangeable of model must be a tuple of sites, as \('theta',\); got 'a'"),
        ({"exchangeable": ("c",)}, "exchangeable must name sites of pyro's model, of a, y, b, w; got 'c'"),
        (
            {"exchangeable": ("y",)},
            "exchangeable must name latent or deterministic sites of both models; 'y' is observed in pyro",
        ),
        ({"max_plate_nesting": -1}, "max_plate_nesting of model must be an integer of at least 0; got -1"),
        ({"levl": "quick"}, "An option must be one of .*; got 'levl'. Did you mean 'level'"),
    ],
    ids=str,
)
def test_options_of_a_pair_are_checked(sides: dict[str, Side], options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(two_outcomes("pyro"), two_outcomes("numpyro"), Y, sides=sides, **options)


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("renames = {'a': 'b'}", "rename"),
        ("point = {'mine': {'mu': 0.5}}", "points"),
        ("poins: dict = {'mine': {'mu': 0.5}}", "points"),
        ("known_difference = {'density/y': 'old'}", "known_differences"),
        ("exchangable = ('theta',)", "exchangeable"),
        ("plate_nesting = 1", "max_plate_nesting"),
    ],
)
def test_a_misspelt_option_of_a_file_is_told_of(
    sides: dict[str, Side], tmp_path: Path, line: str, option: str
) -> None:
    path = tmp_path / "port.py"
    path.write_text(f"pyro_model = numpyro_model = data = dict\n{line}\n")
    name = line.partition(" ")[0].rstrip(":")
    with pytest.raises(
        InputError, match=f"port.py sets '{name}' and never uses it. Did you mean '{option}'?"
    ):
        load_pair(str(path), sides)


@pytest.mark.parametrize(
    "code",
    [
        "pointwise = {'mine': {'mu': 0.5}}",
        "data = {'y': 1.0}",
        "points_of = {'a': 1}",
        "names = {'a': 'b'}",
        "point = 0.5",
        "renames = 'a'",
        "exchangeables = True",
        "plate_nesting = 1.5",
        "_renames = {'a': 'b'}",
        "RENAMES = {'a': 'b'}",
        "renames = {'a': 'b'}\nrename = renames",
        "renames = {'a': 'b'}\ndef data(): return dict(renames)",
        "points = {'mine': {'mu': 0.5}}\npoint = {'mu': 0.5}",
        "def renames(): return {'a': 'b'}",
        "from collections import ChainMap as renames",
        "def f():\n    renames = {'a': 'b'}",
    ],
)
def test_an_ordinary_name_of_a_file_is_no_misspelt_option(tmp_path: Path, code: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)
    assert misspelt(FileReference(str(path), "").load(SimpleNamespace(NAME="numpyro")), OPTIONS) == {}


def test_data_beside_a_pair_of_ones_own_are_refused(tmp_path: Path) -> None:
    (tmp_path / "port.py").write_text("pyro_model = numpyro_model = data = dict\n")
    found = CliRunner().invoke(app, ["check", str(tmp_path / "port.py"), "--data", "nothere.csv"])
    assert found.exit_code == 2
    assert "Error: --data must go with the mixture" in found.stderr


@pytest.mark.parametrize("pair", ["port.py", "--pyro a.py:model --numpyro b.py:model --data d.py:data"])
@pytest.mark.parametrize(
    "option",
    [
        "--components 2",
        "--concentration 1",
        "--prior-mean 0",
        "--prior-cov 9",
        "--noise-scale 0.4",
        "--formulation enumerated",
        "--dim 2",
        "--no-standardize",
    ],
)
def test_options_of_the_mixture_beside_a_pair_of_ones_own_are_refused(pair: str, option: str) -> None:
    found = CliRunner().invoke(app, ["check", *pair.split(), *option.split()])
    assert found.exit_code == 2
    assert found.stderr.startswith(f"Error: {option.split()[0]} must go with the mixture; a pair has its own")


def test_a_frozen_side_has_no_options_of_the_mixture_either(tmp_path: Path) -> None:
    words = ["freeze", "port.py", "--side", "pyro", "--out", str(tmp_path / "a.npz"), "-K", "2"]
    found = CliRunner().invoke(app, words)
    assert (found.exit_code, found.stderr.split(" must")[0]) == (2, "Error: --components")


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (lambda pyro, numpyro: {"pyro": pyro}, "'pyro'"),
        (lambda pyro, numpyro: {"pyro": pyro, "numpyro": numpyro, "stan": pyro}, "'pyro', 'numpyro', 'stan'"),
        (lambda pyro, numpyro: {"pyro": numpyro, "numpyro": pyro}, "the side of 'numpyro' as 'pyro'"),
        (lambda pyro, numpyro: {"pyro": pyro, "numpyro": "numpyro"}, "str as 'numpyro'"),
        (lambda pyro, numpyro: [pyro, numpyro], "list"),
        (lambda pyro, numpyro: {}, "none"),
    ],
)
def test_sides_that_are_not_both_are_refused(sides: dict[str, Side], given: Any, got: str) -> None:
    with pytest.raises(InputError) as caught:
        check(
            two_outcomes("pyro"),
            two_outcomes("numpyro"),
            Y,
            level="quick",
            sides=given(sides["pyro"], sides["numpyro"]),
        )
    assert str(caught.value).startswith("sides must be {'pyro': Side('pyro'), ")
    assert str(caught.value).endswith(f"; got {got}.")


def test_settings_of_another_kind_are_refused(sides: dict[str, Side]) -> None:
    with pytest.raises(InputError, match="must be CheckSettings; got dict"):
        check(
            two_outcomes("pyro"), two_outcomes("numpyro"), Y, level="quick", sides=sides, settings={"seed": 1}
        )  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["far out", "edge case", "tail 0"])
def test_a_point_counts_whatever_it_is_called(sides: dict[str, Side], name: str) -> None:
    def model(ppl: str, beyond: float):
        def run(y):
            library, dist = libraries(ppl)
            a = library.sample("a", dist.Normal(0.0, 1.0))
            library.deterministic("d", beyond * (a**2 > 16) * a)
            library.sample("y", dist.Normal(a, 1.0), obs=y)

        return run

    found = check(
        model("pyro", 1.0),
        model("numpyro", 2.0),
        {"y": Y["y"]},
        rungs=["structure", "density"],
        sides=sides,
        points={name: {"a": 5.0}},
    ).first_difference
    assert found is not None
    assert (found["site"], found["quantity"]) == ("d", "deterministic")
    assert found["point"] == ("tail 0 (given)" if name == "tail 0" else name)


def test_a_computed_site_makes_way_for_the_one_that_is_renamed(sides: dict[str, Side]) -> None:
    def model(y):
        pyro, dist = libraries("pyro")
        pyro.sample("y", dist.Normal(pyro.sample("mu", dist.Normal(0.0, 1.0)), 1.0), obs=y)

    def port(y):
        numpyro, dist = libraries("numpyro")
        m = numpyro.sample("m", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(numpyro.deterministic("mu", m), 1.0), obs=y)

    report = check(model, port, {"y": Y["y"]}, level="quick", sides=sides, rename={"mu": "m"})
    assert report.verdict == "same", report.first_difference


@pytest.mark.long
def test_options_of_separate_files_are_heeded(sides: dict[str, Side], tmp_path: Path) -> None:
    prior = "{0}.sample('{1}', {0}.distributions.Normal(0.0, 1.0))"
    line = f"    {{0}}.sample('y', {{0}}.distributions.Normal({prior}, 1.0), obs=y)\n"
    for ppl, name in (("pyro", "mu"), ("numpyro", "m")):
        code = f"import {ppl}\nimport {ppl}.distributions\ndef model(y):\n" + line.format(ppl, name)
        (tmp_path / f"{ppl}_model.py").write_text(code)
    models = {ppl: f"{tmp_path}/{ppl}_model.py:model" for ppl in ("pyro", "numpyro")}
    where = f"{tmp_path}/given.py:data"
    code = "import numpy as np\ndef data():\n    return {'y': np.array(0.3)}\n"
    more = "points = {'mine': {'mu': np.array(0.5)}}\n"
    # No name of the standard library's: the folder is importable, and comes first.
    (tmp_path / "given.py").write_text(code + more + "rename = {'mu': 'm'}\n")
    pair = load_parts(models, where, sides)
    assert pair.rename == {"mu": "m"}
    assert pair.points["mine"]["mu"] == 0.5
    assert check_pair(pair, level="quick", sides=sides).verdict == "same"
    (tmp_path / "pyro_model.py").write_text(
        (tmp_path / "pyro_model.py").read_text() + "rename = {'mu': 'n'}\n"
    )
    with Side("pyro") as pyro, Side("numpyro") as numpyro:
        with pytest.raises(InputError, match="rename must be set in one file; pyro_model"):
            load_parts(models, where, {"pyro": pyro, "numpyro": numpyro})


def test_data_that_are_none_are_told_as_that(sides: dict[str, Side]) -> None:
    for data in (3.0, [1.0, 2.0]):
        with pytest.raises(InputError, match=r"data must be a dictionary of the models' arguments.* got"):
            check(two_outcomes("pyro"), two_outcomes("numpyro"), data, sides=sides)  # type: ignore[arg-type]


def test_models_that_observe_nothing_say_so(sides: dict[str, Side]) -> None:
    report = check(
        two_outcomes("pyro"),
        two_outcomes("numpyro"),
        {"y": None, "w": None},
        rungs=["structure"],
        sides=sides,
    )
    assert report.verdict == "same"
    assert any("Nothing is observed" in finding.detail for finding in told(report, "structure"))


def test_a_rename_that_is_the_wrong_way_round_is_turned(sides: dict[str, Side]) -> None:
    models = two_outcomes("pyro"), two_outcomes("numpyro", latent="c")
    with pytest.raises(InputError, match=r"got 'c'\. Turn it round: \{'b': 'c'\}"):
        check(*models, Y, sides=sides, rename={"c": "b"})
    with pytest.raises(InputError, match=r"got 'c'\. Turn it round: \{'b': 'c.T'\}"):
        check(*models, Y, sides=sides, rename={"c": "b.T"})
