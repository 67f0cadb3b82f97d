"""A frozen side stands in for a live one, exactly where it was asked, and a file that is none is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from typer.testing import CliRunner

from ppl_parity.checking import assert_same_model, check, check_pair
from ppl_parity.cli.app import app
from ppl_parity.errors import InputError
from ppl_parity.findings import Report
from ppl_parity.frozen.file import Frozen, load_frozen
from ppl_parity.frozen.freezing import freeze, told
from ppl_parity.frozen.side import FrozenProgram, FrozenSide
from ppl_parity.ladder.context import CheckSettings
from ppl_parity.pair.loading import load_pair
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side
from ppl_parity.process.spawning import spawn
from ppl_parity.spec import SamplerSettings

pytestmark = pytest.mark.pyro

PAIRS = Path(__file__).parent / "pairs"
LINEAR, MIXTURE = (str(PAIRS / f"{name}.py") for name in ("linear_regression", "mixture_of_gaussians"))
SHORT = SamplerSettings(num_draws=1500, num_warmup=200, num_chains=4, seed=1, init="uniform")


@pytest.fixture(scope="module")
def pair(sides: dict[str, Side]) -> Pair:
    return load_pair(LINEAR, sides)


@pytest.fixture(scope="module")
def frozen(pair: Pair, sides: dict[str, Side]) -> Frozen:
    return freeze(pair, "numpyro", sides["numpyro"], settings=SHORT)


def against(frozen: Frozen, pair: Pair, sides: dict[str, Side], **options) -> Report:
    live = next(side for side in SIDES if side != frozen.side)
    both = {live: sides[live], frozen.side: FrozenSide(frozen)}
    return check_pair(pair, sides=both, **options)  # type: ignore[arg-type]


def details(report: Report) -> str:
    return " ".join(finding.detail for rung in report.rungs for finding in rung.findings)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("path", [LINEAR, MIXTURE])
def test_the_same_model_is_the_same(side: str, path: str, sides: dict[str, Side], tmp_path: Path) -> None:
    pair = load_pair(path, sides)
    freeze(pair, side, sides[side], settings=None).save(tmp_path / "f.npz")
    report = against(load_frozen(tmp_path / "f.npz"), pair, sides, level="quick")
    assert report.verdict == "same", report.first_difference
    assert f"The numerical derivative of {side}'s potential is not in the frozen file" in details(report)
    assert "20 leapfrog steps" in details(report)


FEW = {"x": np.arange(4.0), "y": np.array([0.3, 1.2, 1.9, 3.2])}


def linear(ppl: str, slope_scale: float = 1.0):
    def model(x, y):
        library, dist = (import_module(name) for name in (ppl, f"{ppl}.distributions"))
        slope = library.sample("slope", dist.Normal(0.0, slope_scale))
        power = library.param(
            "power", import_module({"pyro": "torch", "numpyro": "jax.numpy"}[ppl]).zeros(())
        )
        library.sample("y", dist.Normal(slope * x + power * slope_scale, 1.0).to_event(1), obs=y)

    return model


@pytest.fixture(scope="module")
def file_of_pyro(sides: dict[str, Side], tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = CallableReference.of(linear("pyro"))
    pair = Pair("linear", dict.fromkeys(SIDES, model), dict.fromkeys(SIDES, FEW))
    path = tmp_path_factory.mktemp("frozen") / "pyro.npz"
    freeze(pair, "pyro", sides["pyro"], settings=None).save(path)
    return path


def test_a_file_in_the_place_of_a_model(sides: dict[str, Side], file_of_pyro: Path) -> None:
    report = assert_same_model(file_of_pyro, linear("numpyro"), FEW, level="quick", sides=sides)
    assert "'power' is a param in pyro and numpyro: at 6 other values the log densities agree" in details(
        report
    )
    with pytest.raises(AssertionError, match="slope"):
        assert_same_model(str(file_of_pyro), linear("numpyro", 2.0), FEW, level="quick", sides=sides)
    for models, words in (
        ((linear("pyro"), file_of_pyro), "The numpyro model must be a file of numpyro's"),
        ((file_of_pyro, file_of_pyro), "got two files"),
    ):
        with pytest.raises(InputError, match=words):
            check(*models, FEW, level="quick", sides=sides)


def test_a_file_needs_no_process_of_its_side(file_of_pyro: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def recorded(name: str, *options):
        opened.append(name)
        return spawn(name, *options)

    monkeypatch.setattr("ppl_parity.process.sides.spawn", recorded)
    assert check(file_of_pyro, linear("numpyro"), FEW, rungs=["structure"]).verdict == "same"
    assert opened == ["numpyro"]


def test_prior_draws_against_a_file(frozen: Frozen, pair: Pair, sides: dict[str, Side]) -> None:
    report = against(frozen, pair, sides, rungs=("forward",), settings=CheckSettings(margin=0.5))
    assert report.verdict == "same", details(report)


@pytest.mark.slow
def test_sampling_rungs_against_a_file(frozen: Frozen, pair: Pair, sides: dict[str, Side]) -> None:
    settings = CheckSettings(budget=40.0, margin=0.5)
    report = against(frozen, pair, sides, rungs=("forward", "posterior", "assignments"), settings=settings)
    assert report.verdict == "same", details(report)


def test_a_file_that_was_read_is_the_one_that_was_written(frozen: Frozen, tmp_path: Path) -> None:
    frozen.save(tmp_path / "f.npz")
    again = load_frozen(tmp_path / "f.npz")
    assert again.answers.keys() == frozen.answers.keys()
    assert again.versions == frozen.versions
    for name, values in frozen.points.items():
        for site, value in values.items():
            np.testing.assert_array_equal(again.points[name][site], value)
    assert again.posterior is not None
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind != "O" for name in file)


def test_a_port_that_differs_is_found_at_its_site(frozen: Frozen, pair: Pair, sides: dict[str, Side]) -> None:
    other = {name: np.asarray(v) + (np.asarray(v).dtype.kind == "f") for name, v in pair.data["pyro"].items()}
    report = against(frozen, replace(pair, data=dict.fromkeys(SIDES, other)), sides, level="quick")
    assert report.verdict == "different"
    assert "are not those that numpyro was frozen with" in details(report)
    assert report.first_difference is not None
    assert "numpyro was frozen with" in report.first_difference["hint"]


def test_only_what_was_frozen_is_answered(frozen: Frozen) -> None:
    program = FrozenProgram(frozen)
    values = next(iter(frozen.points.values()))
    assert set(program.site_log_probs(values)) >= set(values)
    moved = {name: value + 1e-12 for name, value in values.items()}
    with pytest.raises(InputError, match="was not frozen"):
        program.site_log_probs(moved)
    first = program.prior_samples(num_draws=100, seed=1)
    second = program.prior_samples(num_draws=100, seed=2)
    again = program.prior_samples(num_draws=100, seed=1)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert any(not np.array_equal(first[name], second[name]) for name in values)
    with pytest.raises(InputError, match="no more can be drawn"):
        program.prior_samples(num_draws=10**9, seed=3)


def test_rungs_that_are_not_in_the_file_are_named(frozen: Frozen, pair: Pair, sides: dict[str, Side]) -> None:
    without = replace(frozen, posterior=None, posterior_refused="none were made")
    report = against(without, pair, sides, rungs=("structure",))
    assert "posterior" not in details(report)
    for rungs in (("posterior",), ("structure", "calibration")):
        with pytest.raises(InputError, match="must be in the frozen file"):
            against(without, pair, sides, rungs=rungs)


def test_draws_that_have_not_converged_are_told_with_what_that_costs(frozen: Frozen) -> None:
    assert frozen.posterior is not None
    few = {g: {n: v[:, :20] for n, v in values.items()} for g, values in frozen.posterior.items()}
    assert (
        "will leave posteriors unresolved: freeze it again"
        in told(replace(frozen, posterior=few))["Posterior"]
    )
    assert "unresolved" not in told(frozen)["Posterior"]


def test_the_command_line_starts_the_new_side_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old framework is made unimportable once its side is frozen."""
    head = "import numpy as np\ndef data():\n    return {'y': np.array([0.1, 0.9, 0.4])}\n"
    for side, module in (("pyro", "pyro"), ("numpyro", "numpyro")):
        body = (
            f"def {side}_model(y):\n    import {module} as ppl\n    import {module}.distributions as dist\n"
            "    mu = ppl.sample('mu', dist.Normal(0.0, 1.0))\n"
            "    with ppl.plate('rows', len(y)):\n        ppl.sample('y', dist.Normal(mu, 1.0), obs=y)\n"
        )
        head += body
    (tmp_path / "pair.py").write_text(head)
    monkeypatch.chdir(tmp_path)
    frozen = CliRunner().invoke(app, "freeze pair.py --side pyro --out f.npz --no-draws".split())
    assert frozen.exit_code == 0, frozen.output
    refused = CliRunner().invoke(app, "freeze pair.py --side pyro --out f.npz --no-draws".split())
    assert refused.exit_code == 2
    assert "unless --force is given" in refused.stderr
    (tmp_path / "blocked").mkdir()
    for name in ("pyro", "torch"):
        (tmp_path / "blocked" / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "blocked"))
    command = "check pair.py --against f.npz --level quick --json -"
    checked = CliRunner().invoke(app, command.split())
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["verdict"] == "same"


@pytest.mark.long
def test_a_model_in_a_file_of_its_own_is_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SIDES:
        (tmp_path / f"{name}_side.py").write_text(
            f"import {name} as ppl, {name}.distributions as dist\ndef model(y):\n"
            "    ppl.sample('y', dist.Normal(ppl.sample('mu', dist.Normal(0.0, 1.0)), 1.0), obs=y)\n"
        )
    (tmp_path / "d.py").write_text("import numpy as np\ndef data():\n    return {'y': np.array(0.4)}\n")
    monkeypatch.chdir(tmp_path)
    words = "freeze --side pyro --pyro pyro_side.py:model --data d.py:data --out f.npz --no-draws"
    frozen = CliRunner().invoke(app, words.split())
    assert frozen.exit_code == 0, frozen.output
    words = "check --against f.npz --numpyro numpyro_side.py:model --data d.py:data --level quick"
    assert CliRunner().invoke(app, words.split()).exit_code == 0


@pytest.mark.parametrize("content", ["", "no archive", None])
def test_what_is_no_frozen_file_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    if content is None:
        np.savez(path, theta=np.zeros(3))
    else:
        path.write_text(content)
    result = CliRunner().invoke(app, ["check", "--against", str(path)])
    assert result.exit_code == 2
    assert "that 'ppl-parity freeze' wrote" in result.stderr
    result = CliRunner().invoke(app, ["freeze", "--side", "pyor", "--out", str(tmp_path / "o.npz")])
    assert result.exit_code == 2
    assert "Did you mean 'pyro'" in result.stderr


@pytest.mark.parametrize("name", SIDES)
def test_a_subsampled_plate_is_frozen_with_its_rows(name: str, sides: dict[str, Side]) -> None:
    def model(y):
        library, dist = import_module(name), import_module(f"{name}.distributions")
        mu = library.sample("mu", dist.Normal(0.0, 1.0))
        with library.plate("rows", len(y), subsample_size=2) as rows:
            library.sample("y", dist.Normal(mu, 1.0), obs=y[rows])

    half = CallableReference.of(model)
    pair = Pair("half", dict.fromkeys(SIDES, half), {side: {"y": np.arange(4.0)} for side in SIDES})
    kept = freeze(pair, name, sides[name], settings=SHORT)
    assert kept.held["rows"].shape == (2,)
    assert kept.posterior is None
    assert "of which there is no posterior" in kept.posterior_refused
