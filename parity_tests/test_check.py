"""Pairs of a user's own: what the public functions and the command line say of them, and of bad input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

import jsonschema
from typer.testing import CliRunner

import ppl_parity
from ppl_parity import CheckSettings, InputError, Unresolved, assert_same_model, check
from ppl_parity.checking import check_file
from ppl_parity.cli.app import app
from ppl_parity.findings import Report
from ppl_parity.process.sides import Side

pytestmark = pytest.mark.pyro

DATA = {"y": np.array([0.3, -0.2, 0.9, 0.4])}


def normal(ppl: str, *, name: str = "mu", scale: float = 1.0, half: bool = False) -> Callable:
    """A model of either framework: a mean, and perhaps a scale."""

    def model(y):
        import importlib

        framework = importlib.import_module(ppl)
        dist = importlib.import_module(f"{ppl}.distributions")
        mu = framework.sample(name, dist.Normal(0.0, scale))
        if half:
            framework.sample("tau", dist.HalfCauchy(1.0) if ppl == "pyro" else dist.TruncatedCauchy(low=0.0))
        with framework.plate("rows", len(y)):
            framework.sample("y", dist.Normal(mu, 1.0), obs=y)

    return model


def quick(sides: dict[str, Side], left: Callable, right: Callable, data=DATA, **options) -> Report:
    return check(left, right, data, level="quick", sides=sides, **options)


def details(report: Report) -> str:
    return " ".join(finding.detail for rung in report.rungs for finding in rung.findings)


def test_the_same_model(sides: dict[str, Side]) -> None:
    report = assert_same_model(normal("pyro"), normal("numpyro"), lambda: DATA, level="quick", sides=sides)
    assert (report.verdict, report.first_difference, report.exit_status) == ("same", None, 0)


def test_another_model_raises_with_three_lines(sides: dict[str, Side]) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_same_model(normal("pyro"), normal("numpyro", scale=2.0), DATA, level="quick", sides=sides)
    assert not isinstance(caught.value, Unresolved)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "mu" in lines[0]
    assert "scale" in str(caught.value)


def test_all_rows_that_differ_are_told(sides: dict[str, Side]) -> None:
    def ends_elsewhere(y):
        import numpyro
        import numpyro.distributions as dist

        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", len(y)):
            numpyro.sample("y", dist.Normal(mu + np.array([0.0, 0.0, 1.0, 1.0]), 1.0), obs=y)

    report = quick(sides, normal("pyro"), ends_elsewhere)
    assert report.first_difference is not None
    assert report.first_difference["site"] == "y"
    assert "it differs in rows 2 to 3 of 4, the most in row" in details(report)


def test_a_site_of_another_shape_is_compared_by_no_rung(sides: dict[str, Side]) -> None:
    def wide(y):
        import numpyro
        import numpyro.distributions as dist

        with numpyro.plate("rows", len(y)):
            mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
            numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)

    one = quick(sides, normal("pyro"), wide, rungs=["gradient"])
    assert (one.verdict, [rung.verdict for rung in one.rungs]) == ("unresolved", ["unresolved"])
    going = quick(sides, normal("pyro"), wide, settings=CheckSettings(keep_going=True))
    assert [rung.verdict for rung in going.rungs] == ["different"] + ["unresolved"] * 5
    assert "The shape of 'mu' is () in pyro and (4,) in numpyro, so no point" in details(going)


def test_renamed_sites(sides: dict[str, Side]) -> None:
    report = quick(sides, normal("pyro"), normal("numpyro", name="m"), rename={"mu": "m"})
    assert report.verdict == "same"


def test_each_side_its_own_data(sides: dict[str, Side]) -> None:
    def other(x):
        normal("numpyro")(x)

    data = {"pyro": DATA, "numpyro": {"x": DATA["y"]}}
    assert quick(sides, normal("pyro"), other, data).verdict == "same"


def test_known_differences(sides: dict[str, Side]) -> None:
    known = {"density/mu": "the port has a wider prior", "structure/nu": "no longer"}
    report = quick(
        sides,
        normal("pyro"),
        normal("numpyro", scale=2.0),
        rungs=["structure", "density"],
        known_differences=known,
    )
    assert report.verdict == "same"
    assert "Known difference (the port has a wider prior)" in details(report)
    assert (
        "'structure/nu' does not apply, or no longer; remove it. There is no site 'nu'. Did you mean 'mu'?"
        in details(report)
    )


def test_a_constant_is_named(sides: dict[str, Side]) -> None:
    def left(y):
        import pyro

        normal("pyro")(y)
        pyro.factor("f", y.sum() * 0 + np.log(2.0))

    report = quick(sides, left, normal("numpyro"), rungs=["density"])
    assert report.verdict == "same"
    assert "constant -log 2" in details(report)


def test_a_side_that_is_not_deterministic(sides: dict[str, Side]) -> None:
    def left(y):
        import pyro
        import torch

        normal("pyro")(y)
        pyro.factor("f", torch.rand(()))

    report = quick(sides, left, normal("numpyro"), rungs=["density"])
    assert report.verdict == "unresolved"
    assert "The pyro model is not deterministic: the log prob of 'f'" in details(report)


def test_a_support_that_moves_is_named(sides: dict[str, Side]) -> None:
    def of(ppl: str) -> Callable:
        def model(y):
            import importlib

            framework = importlib.import_module(ppl)
            dist = importlib.import_module(f"{ppl}.distributions")
            top = framework.sample("top", dist.Exponential(1.0))
            framework.sample("u", dist.Uniform(0.0, 1.0 + top))

        return model

    report = quick(sides, of("pyro"), of("numpyro"), rungs=["transform"])
    assert "'u'" in details(report)


@pytest.mark.parametrize("kind", ["own", "of a part", "of a mixture", "where it is summed"])
def test_a_library_limit_is_no_alarm(sides: dict[str, Side], kind: str) -> None:
    """Of a site's own family, of one that it is made of, and where a site that it is given is summed out."""

    def of(ppl: str) -> Callable:
        def model(y):
            import importlib

            framework = importlib.import_module(ppl)
            dist = importlib.import_module(f"{ppl}.distributions")
            xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
            a = framework.sample("a", dist.Gamma(2.0, 1.0))
            if kind == "own":
                made = dist.BetaBinomial(a, 2.0, 10)
            elif kind == "of a part":
                made = dist.ZeroInflatedDistribution(dist.GammaPoisson(a, 0.5), gate=a / (1 + a))
            elif kind == "of a mixture":
                parts = dist.GammaPoisson(a * xp.ones(2), 0.5)
                made = dist.MixtureSameFamily(dist.Categorical(xp.ones(2) / 2), parts)
            else:
                z = framework.sample("z", dist.Categorical(xp.ones(2) / 2), infer={"enumerate": "parallel"})
                made = dist.GammaPoisson(a, 0.5 + 0.1 * z)
            with framework.plate("rows", len(y)):
                framework.sample("k", made, obs=y)

        return model

    data = {"y": np.array([3.0]) if kind == "own" else np.repeat([7.0, 8.0, 9.0, 10.0], 10)}
    assert quick(sides, of("pyro"), of("numpyro"), data, rungs=["density", "enumeration"]).verdict == "same"


# --- the command line --------------------------------------------------------------------------------------

HEAD = """
import numpy as np
import numpyro, numpyro.distributions as nd
import pyro, pyro.distributions as pd

def of(ppl, dist, scale=1.0):
    def model(y):
        mu = ppl.sample("mu", dist.Normal(0.0, scale))
        with ppl.plate("rows", len(y)):
            ppl.sample("y", dist.Normal(mu, 1.0), obs=y)
    return model

pyro_model, numpyro_model = of(pyro, pd), of(numpyro, nd)

def data():
    return {"y": np.array([0.1, 0.2, 0.3])}
"""

# A command starts both sides' processes: each imports its own framework alone, which is half of what it does.
APART = """
from importlib import import_module
import numpy as np

def of(ppl, scale=1.0):
    def model(y):
        library, dist = import_module(ppl), import_module(ppl + ".distributions")
        mu = library.sample("mu", dist.Normal(0.0, scale))
        with library.plate("rows", len(y)):
            library.sample("y", dist.Normal(mu, 1.0), obs=y)
    return model

pyro_model, numpyro_model = of("pyro"), of("numpyro")

def data():
    return {"y": np.array([0.1, 0.2, 0.3])}
"""

ENDINGS = {
    "same": ("", 0),
    "different": ("numpyro_model = of('numpyro', scale=2.0)\n", 1),
    "unresolved": (
        "def numpyro_model(y):\n    import numpyro\n"
        "    numpyro.sample('nu', numpyro.distributions.Normal(0.0, 1.0))\n",
        3,
    ),
}


@pytest.mark.parametrize("verdict", ENDINGS)
def test_json_and_exit_status(verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ending, status = ENDINGS[verdict]
    (tmp_path / "pair.py").write_text(APART + ending)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, "check pair.py --rungs structure,density --json -".split())
    assert result.exit_code == status, result.output
    report = json.loads(result.stdout)
    schema = Path(ppl_parity.__file__).parent / "report" / "schema.json"
    jsonschema.validate(report, json.loads(schema.read_text()))
    assert report["verdict"] == verdict


def test_separate_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "d"):
        (tmp_path / f"{name}.py").write_text(APART)
    monkeypatch.chdir(tmp_path)
    parts = "--pyro a.py:pyro_model --numpyro b.py:numpyro_model"
    result = CliRunner().invoke(app, f"check {parts} --data d.py:data --rungs structure".split())
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, f"check {parts}".split())
    assert result.exit_code == 2
    assert "needs --data as well" in result.stderr


@pytest.mark.parametrize(
    ("options", "part"),
    [("--rungs densty", "Did you mean 'density'"), ("--level quik", "Did you mean 'quick'")],
)
def test_typing_errors(options: str, part: str) -> None:
    result = CliRunner().invoke(app, f"check {options}".split())
    assert result.exit_code == 2
    assert part in result.stderr


def test_a_traceback_only_with_debug(tmp_path: Path) -> None:
    path = tmp_path / "pair.py"
    path.write_text("raise RuntimeError('kaput')\n")
    for debug in ([], ["--debug"]):
        result = CliRunner().invoke(app, ["check", str(path), *debug])
        assert result.exit_code == 2
        assert "pair.py cannot be imported; it failed at pair.py:1: RuntimeError: kaput" in result.stderr
        assert ("Traceback" in result.stderr) == bool(debug)


BAD = {
    "raise RuntimeError('kaput')": r"numpyro: pair.py cannot be imported; it failed at pair.py:\d+: .*kaput",
    "del data": "must define a function 'data'",
    "del numpyro_model": "must define a function 'numpyro_model'",
    "def data(): return [1]": "must return a dictionary of arrays; got list",
    "def data(): return {}[0]": r"numpyro: data\(\) failed at pair.py:\d+: KeyError",
    "def pyro_model(y): raise KeyError('no column')": r"pyro: the model cannot be run.*at pair.py:\d+: .*no column",
    "def numpyro_model(y, sigma): pass": "numpyro: .*missing 1 required positional argument: 'sigma'",
    "def numpyro_model(y): pass": "numpyro: the model has no sample statement",
    "def of_two(ppl, dist):\n    def model(x, y):\n        b = ppl.sample('b', dist.Normal(0.0, 1.0))\n"
    "        ppl.sample('y', dist.Normal(b * x, 1.0).to_event(1), obs=y)\n    return model\n"
    "pyro_model, numpyro_model = of_two(pyro, pd), of_two(numpyro, nd)\n"
    "def data(): return {'x': np.ones(3), 'y': np.ones(4)}": r"unequal length: x \(3,\), y \(4,\)",
    "def of_nan(ppl, dist):\n    def model(y):\n        mu = ppl.sample('mu', dist.Normal(0.0, 1.0))\n"
    "        ppl.factor('f', float('nan') * mu)\n    return model\n"
    "pyro_model, numpyro_model = of_nan(pyro, pd), of_nan(numpyro, nd)": "pyro: .*log prob of 'f' is NaN at all",
    "def numpyro_model(y):\n    for obs in (None, 1.0): numpyro.sample('mu', nd.Normal(0.0, 1.0), obs=obs)": (
        "numpyro: .*mu"
    ),
    "def pyro_model(y):\n    for obs in (None, y[0]): pyro.sample('mu', pd.Normal(0.0, 1.0), obs=obs)": "pyro: .*mu",
    "def varying(ppl, dist):\n    def model(y):\n        mu = ppl.sample('mu', dist.Normal(0.0, 1.0))\n"
    "        ppl.sample('v', dist.Normal(mu, 1.0).expand([2 + int(mu > 0)]).to_event(1))\n    return model\n"
    "pyro_model, numpyro_model = varying(pyro, pd), varying(numpyro, nd)": (
        r"the site 'v' has shape \(\d,\) in one run and \(\d,\) in the next.*mask"
    ),
}


@pytest.mark.parametrize("code", BAD)
def test_a_bad_pair_is_one_sentence(code: str, sides: dict[str, Side], tmp_path: Path) -> None:
    path = tmp_path / "pair.py"
    path.write_text(f"{HEAD}\n{code}\n")
    with pytest.raises(InputError) as caught:
        check_file(str(path), level="quick", sides=sides)
    assert re.search(BAD[code], str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_count_where_data_comes_from_another_file(sides: dict[str, Side], tmp_path: Path) -> None:
    (tmp_path / "lent_data.py").write_text(
        "import numpy as np\ndef data(): return {'y': np.array([0.1, 0.2])}\n"
    )
    path = tmp_path / "lent.py"
    path.write_text(f"{HEAD}\nfrom lent_data import data\nrename = {{'nowhere': 'mu'}}\n")
    with pytest.raises(InputError, match=r"rename must lead from a site .*got 'nowhere'"):
        check_file(str(path), level="quick", sides=sides)


@pytest.mark.long
def test_what_is_not_resolved_is_an_error_of_its_own(sides: dict[str, Side]) -> None:
    with pytest.raises(Unresolved, match="budget"):
        assert_same_model(
            normal("pyro"), normal("numpyro"), DATA, rungs=["posterior"], budget=1e-3, sides=sides
        )


def test_settings_may_be_given_one_by_one(sides: dict[str, Side]) -> None:
    given = {"rungs": ["structure"], "sides": sides}
    report = check(normal("pyro"), normal("numpyro"), DATA, seed=7, margin=0.2, budget=9.0, **given)
    assert {name: report.settings[name] for name in ("seed", "margin", "budget")} == {
        "seed": 7,
        "margin": 0.2,
        "budget": 9.0,
    }
    with pytest.raises(InputError, match="A setting must be given once: seed, or settings"):
        check(normal("pyro"), normal("numpyro"), DATA, seed=7, settings=CheckSettings(), **given)


def test_bad_input_in_a_test_is_a_sentence_and_no_process_s_traceback(sides: dict[str, Side]) -> None:
    with pytest.raises(InputError) as caught:
        assert_same_model(normal("pyro"), normal("numpyro"), {"z": 1.0}, level="quick", sides=sides)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
