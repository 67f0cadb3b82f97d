"""The command line: what it writes, and one sentence and status 2 for whatever it is given wrongly."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ppl_parity
from parity_tests.conftest import hear_sigint, is_running
from ppl_parity.cli.app import app
from ppl_parity.cli.numbers import matrix, vector
from ppl_parity.data import load_data
from ppl_parity.draws.posterior import attribute, load
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec

OK = "--data ok.csv -K 2 --out o.nc"
TINY = "--num-draws 12 --num-warmup 20 --num-chains 2 --max-tree-depth 4"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with good and bad inputs in it."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-4, 1, (20, 2)), rng.normal(4, 1, (30, 2))])
    np.savetxt(tmp_path / "ok.csv", x, delimiter=",")
    texts = {
        "nan": "1,2\n3,nan\n",
        "inf": "1,2\n3,inf\n",
        "empty": "",
        "text": "1,2\n3,a\n",
        "ragged": "1,2\n3\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    np.save(tmp_path / "pickled.npy", np.array([[1, "a"], [2, None]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "short.npz", theta=np.full((1, 2), 0.5), beta=np.zeros((1, 2, 2)))
    np.savez(tmp_path / "no_beta.npz", theta=np.full((4, 2), 0.5))
    np.savez(tmp_path / "off.npz", theta=np.full((4, 2), 0.9), beta=np.zeros((4, 2, 2)))
    (tmp_path / "there.nc").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "trace.png").touch()
    (tmp_path / "a.nc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below ``folder``, with its size and time of change."""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def refused(folder: Path, command: str, *, status: int = 2) -> str:
    """Run a command that must be refused: one sentence, no traceback, nothing written."""
    before = listing(folder)
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert listing(folder) == before
    return result.stderr


BAD = {
    # --- data ---
    "--data nan.csv -K 2 --out o.nc": "finite number.*got nan in data row 2, column 2",
    "--data inf.csv -K 2 --out o.nc": "finite number.*got inf in data row 2, column 2",
    "--data empty.csv -K 2 --out o.nc": "starts empty",
    "--data text.csv -K 2 --out o.nc": "must be a number; got 'a' in data row 2",
    "--data ragged.csv -K 2 --out o.nc": "data row 2 of ragged.csv has 1",
    "--data pickled.npy -K 2 --out o.nc": "never loaded",
    "--data absent.csv -K 2 --out o.nc": "no file 'absent.csv'",
    "--data old-fathful --out o.nc": "Did you mean 'old-faithful'",
    "--data ok.csv --out o.nc": "--components must be given for your own data",
    f"{OK} --dim 3": "--dim must be the data's number of columns, 2 for ok.csv; got 3",
    # --- model ---
    "--data ok.csv -K 0 --out o.nc": "at least 1; got 0",
    "--data ok.csv -K two --out o.nc": "an integer is needed; got 'two'",
    f"{OK} --concentration 0": "must be positive",
    f"{OK} --concentration 1,2,3": r"shape \(K,\) = \(2,\)",
    f"{OK} --concentration 1,x": "numbers separated by commas; got '1,x'",
    f"{OK} --prior-mean 1,2,3": r"shape \(D,\) = \(2,\)",
    f"{OK} --prior-cov 1,2;2,1": "positive definite",
    f"{OK} --prior-cov 1,2;2": "rows of --prior-cov must be of one length",
    f"{OK} --prior-cov nan": "must be finite",
    f"{OK} --noise-scale 0": "noise_scale must be positive",
    f"{OK} --noise-scale wide": "a number is needed; got 'wide'",
    f"{OK} --noise-scale 1e-100": r"none farther than 1e\+12 noise scales from the mean",
    f"{OK} --noise-scale 1e160": "must lie between 1e-140 and 1e[+]140",
    f"{OK} --formulation fusd": "Did you mean 'fused'",
    # --- sampler ---
    f"{OK} --seed 1.5": "an integer is needed; got '1.5'",
    f"{OK} --seed -1": "at least 0; got -1",
    f"{OK} --num-draws 0": "num_draws must be at least 1; got 0",
    f"{OK} --num-chains 0": "num_chains must be at least 1",
    f"{OK} --target-accept 1": "between 0 and 1",
    f"{OK} --init kmean": "Did you mean 'kmeans'",
    f"{OK} --init absent.npz": "absent.npz is not: No such file",
    f"{OK} --init short.npz": r"shape \(4, 2\), a row for each chain; got \(1, 2\)",
    f"{OK} --init no_beta.npz": "no_beta.npz is not: beta",
    f"{OK} --init off.npz": "sum to 1",
    f"{OK} --chain-method parallell": "Did you mean 'parallel'",
    # --- where it runs ---
    f"{OK} --backend numpro": "Did you mean 'numpyro'",
    f"{OK} --precision float16": "precision must be one of",
    f"{OK} --device tpu": "device must be one of",
    f"{OK} --numpyro-python no-such-python": "--numpyro-python must be a program",
    # --- outputs ---
    "--data ok.csv -K 2 --out absent/o.nc": "no folder 'absent'",
    "--data ok.csv -K 2 --out there.nc": "unless --force is given; 'there.nc' does",
    "--data ok.csv -K 2 --out a.nc": "'a.nc' is a folder",
    "--data ok.csv -K 2 --out o.csv": "must end in .nc",
    f"{OK} --plots ok.csv": "'ok.csv' is a file",
    f"{OK} --plots full": "no pictures yet unless --force",
    f"{OK} --json ok.csv": "--json must not exist already",
    f"{OK} --json o.nc": "is given twice",
    f"{OK} --json ok.csv --force": "must not replace what is read",
    # --- usage ---
    "--out o.nc": "Missing option '--data'",
    f"{OK} --colour red": "No such option: --colour",
}


@pytest.mark.parametrize("options", BAD)
def test_fit_refuses_bad_input(folder: Path, options: str) -> None:
    message = refused(folder, f"fit {options}")
    assert re.search(BAD[options], message), message


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("sample --out a.npz --num-data 0", "--num-data must be at least 1"),
        ("sample --out a.npz --components 0", "at least 1; got 0"),
        ("sample --out a.npz --num-draws 0", "num_draws must be at least 1"),
        ("sample --out a.csv", "must end in .npz"),
        ("sample --out short.npz", "unless --force is given"),
        ("sample --out a.npz --plot a.pdf", "must end in .png"),
        ("render --out g.txt", "must end in .gv"),
        ("render --out g.gv --formulation fusd", "Did you mean 'fused'"),
        ("check --data ok.csv", "--components must be given"),
        ("check --out ok.csv", "'ok.csv' is a file"),
        ("check --html r.html --json r.html", "is given twice"),
        ("check --out a.nc --json a.nc/report.json", "is given twice"),
        ("check --json ok.csv --data ok.csv --components 2 --force", "must not replace what is read"),
        ("fti", "Did you mean 'fit'"),
    ],
)
def test_other_commands_refuse_bad_input(folder: Path, command: str, part: str) -> None:
    assert part in refused(folder, command)


@pytest.mark.pyro
def test_a_folder_is_no_pair(folder: Path) -> None:
    for where in (".", "a.nc"):
        assert f"{where!r} is a folder" in refused(folder, f"check {where}")


def test_the_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"ppl-parity {ppl_parity.__version__}\n")


@pytest.mark.pyro
def test_a_pair_must_exist(folder: Path) -> None:
    assert "there is no file 'models.py'" in refused(folder, "check models.py")


def test_check_refuses_to_replace_its_files(folder: Path) -> None:
    (folder / "results").mkdir()
    (folder / "results" / "numpyro.nc").touch()
    assert "unless --force is given" in refused(folder, "check --out results")


def test_a_check_that_is_refused_leaves_no_folder(folder: Path) -> None:
    (folder / "there").mkdir()
    for out in ("new", "new/deep", "there/new"):
        assert "there is no file 'models.py'" in refused(folder, f"check models.py --out {out}")
    long = 300 * "a"
    assert f"--out must be a folder that can be made; 'new/{long}'" in refused(
        folder, f"check --out new/{long}"
    )
    assert "must be a folder; " in refused(folder, "check --out ok.csv/new")
    assert not (folder / "new").exists()
    assert list((folder / "there").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_must_be_writable(folder: Path) -> None:
    assert "'/proc' is not" in refused(folder, "fit --data ok.csv -K 2 --out /proc/o.nc")


def test_a_device_must_be_there(folder: Path) -> None:
    assert "numpyro: device 'gpu:7' is not here" in refused(folder, f"fit {OK} --device gpu:7")


def test_a_missing_package_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "numpyro.py").write_text("raise ModuleNotFoundError('No module', name='numpyro')\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    assert "install 'ppl-parity[numpyro]'" in refused(folder, f"fit {OK}")


def test_a_python_without_numpy_is_named(folder: Path) -> None:
    bare = folder / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    bare.chmod(0o755)
    message = refused(folder, f"fit {OK} --numpyro-python {bare}")
    assert "ppl-parity[numpyro]" in message


def test_a_backend_that_dies_is_status_4(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "numpyro.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    assert "SIGKILL" in refused(folder, f"fit {OK}", status=4)


def test_debug_shows_the_traceback(folder: Path) -> None:
    result = CliRunner().invoke(app, ["fit", "--data", "nan.csv", "-K", "2", "--out", "o.nc", "--debug"])
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("command", ["", "check", "fit", "sample", "render"])
def test_help(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_the_same_option_is_the_same_everywhere() -> None:
    from ppl_parity.cli.app import check, fit, render, sample

    seen: dict[str, str] = {}
    for function in (check, fit, render, sample):
        for name, parameter in inspect.signature(function).parameters.items():
            seen.setdefault(name, str(parameter.annotation))
            # A folder or a file; required or not; a rule for data or the size of what is made; of the mixture alone.
            if name not in {"out", "data", "dim", "formulation"}:
                assert seen[name] == str(parameter.annotation), name


@pytest.mark.parametrize(
    ("text", "value"),
    [("9", 9.0), ("1,2,3", [1, 2, 3]), ("-1,0", [-1, 0]), ("1,0;0,2", [[1, 0], [0, 2]]), ("4;5", [[4], [5]])],
)
def test_numbers(text: str, value: object) -> None:
    assert matrix("--prior-cov", text) == value
    if ";" not in text:
        assert vector("--prior-mean", text) == value


@pytest.mark.parametrize("text", ["", "1,", ";", "1;", "a", "1 2"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(InputError):
        matrix("--prior-cov", text)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The real program, in a process of its own."""
    command = [sys.executable, "-m", "ppl_parity.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_sample_then_fit(folder: Path) -> None:
    """The path of a new user, in the real program: samples, a fit to them, and every output."""
    sampled = run(folder, *"sample -N 60 -K 2 -D 1 --prior-cov 25 --seed 3 --out s.npz --plot s.png".split())
    assert sampled.returncode == 0, sampled.stderr
    with np.load(folder / "s.npz") as samples:
        shapes = {name: samples[name].shape for name in ("theta", "beta", "z", "x")}
        spec = MixtureSpec(**json.loads(str(samples["spec"])))
    assert shapes == {"theta": (2,), "beta": (2, 1), "z": (60,), "x": (60, 1)}
    assert spec == MixtureSpec(2, 1, prior_cov=25)
    assert (folder / "s.png").stat().st_size > 1000

    command = f"fit --data s.npz --out fit.nc --plots p --json - {TINY}"
    fitted = run(folder, *command.split())
    assert fitted.returncode == 0, fitted.stderr
    report = json.loads(fitted.stdout)
    assert [row["name"] for row in report["summary"]] == [
        "theta[0]",
        "theta[1]",
        "beta[0, x1]",
        "beta[1, x1]",
    ]
    names = [row["name"] for row in report["invariants"]["rows"]]
    assert names == ["mixture_mean[x1]", "mixture_variance[x1]", "theta_squared"]
    assert report["settings"]["num_warmup"] == 20
    assert report["environment"]["backends"].keys() == {"numpyro"}
    assert isinstance(report["invariants"]["log_predictive_density"]["sum"], float)
    assert set(report["recovery"]["truth"]) == {row["name"] for row in report["summary"]}
    words_of_it = ("(as s.npz was drawn)", "Truth that the data were drawn with")
    for words in ("relabelled", "from k-means++", "Trouble in the draws", "Wrote fit.nc", *words_of_it):
        assert words in " ".join(fitted.stderr.split())
    assert "are more than the" not in fitted.stderr
    tree = load(folder / "fit.nc")
    assert tree["posterior"]["beta"].shape == (2, 12, 2, 1)
    assert all(tree[name]["dim"].values.tolist() == ["x1"] for name in ("posterior", "observed_data"))
    assert attribute(tree, "spec")["prior_cov"] == [[25.0]]
    # A mean over draws is of relabelled components; the file says which they are in each draw.
    raw, group = tree["posterior"], tree["assignments"]
    theta = np.take_along_axis(raw["theta"].values, group["raw_component"].values.astype(int), axis=2)
    assert group["raw_component"].dims == ("chain", "draw", "component")
    near = np.abs(group["responsibilities"].mean("row").values - theta.mean(axis=(0, 1)))
    assert near.max() < 0.1
    assert {path.name for path in (folder / "p").iterdir()} >= {"trace.png", "mixture.png"}


def test_several_draws_keep_their_axis(folder: Path) -> None:
    result = CliRunner().invoke(app, "sample -N 5 -K 3 -D 2 --num-draws 4 --out s.npz".split())
    assert result.exit_code == 0, result.output
    with np.load(folder / "s.npz") as samples:
        assert samples["x"].shape == (4, 5, 2)


def test_more_components_than_rows_are_warned_of(folder: Path) -> None:
    np.savetxt(folder / "few.csv", [1.0, 2.0, 3.0])
    told = run(folder, *f"fit --data few.csv -K 4 --out few.nc {TINY} --json -".split())
    assert "4 components are more than the 3 rows" in told.stderr


def test_explicit_starts(folder: Path) -> None:
    beta = np.tile([[-4.0, -4.0], [4.0, 4.0]], (2, 1, 1))
    np.savez(folder / "start.npz", theta=np.full((2, 2), 0.5), beta=beta)
    result = CliRunner().invoke(
        app, f"fit {OK} {TINY} --init start.npz --json r.json --no-log-likelihood".split()
    )
    assert result.exit_code == 0, result.output
    assert json.loads((folder / "r.json").read_text())["run"]["start"] == "explicit values"


def test_render(folder: Path) -> None:
    result = CliRunner().invoke(app, "render --out g.gv".split())
    assert result.exit_code == 0, result.output
    source = (folder / "g.gv").read_text()
    assert all(site in source for site in ("theta", "beta", "z", "x"))


@pytest.mark.pyro
def test_check_of_the_shipped_pair(folder: Path) -> None:
    result = CliRunner().invoke(app, "check --level quick --json - --html r.html".split())
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["verdict"], report["first_difference"]) == ("same", None)
    assert [rung["name"] for rung in report["rungs"]][:2] == ["structure", "density"]
    assert "mixture on old-faithful" in (folder / "r.html").read_text()


@pytest.mark.slow
@pytest.mark.pyro
def test_check_sets_both_posteriors_side_by_side(folder: Path) -> None:
    result = CliRunner().invoke(app, "check --rungs posterior --formulation fused --out r".split())
    assert result.exit_code == 0, result.output
    assert "Both posteriors" in result.stdout
    rows = json.loads((folder / "r" / "report.json").read_text())["posteriors"]["rows"]
    assert {row["name"] for row in rows} == {
        "theta[0]",
        "theta[1]",
        *(f"beta[{k}, {d}]" for k in (0, 1) for d in (0, 1)),
    }
    assert all(abs(row["z"]) < 4.5 for row in rows)
    assert "beta[1, 1]" in (folder / "r" / "report.html").read_text()
    names = {"pyro.nc", "numpyro.nc", "report.html", "report.json"}
    assert {path.name for path in (folder / "r").iterdir()} == names
    for name in ("pyro", "numpyro"):
        tree = load(folder / "r" / f"{name}.nc")
        assert np.array_equal(tree["observed_data"]["x"], load_data("old-faithful").x)


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_ctrl_c_ends_the_backend_too(folder: Path) -> None:
    command = [sys.executable, "-m", "ppl_parity.cli", *f"fit {OK} --num-warmup 1000000".split()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=hear_sigint,
    ) as program:
        assert program.stdout is not None
        for line in program.stdout:  # the last words before it samples
            if "seed" in line:
                break
        time.sleep(0.5)
        child = _child_of(program.pid)
        program.send_signal(signal.SIGINT)
        _, error = program.communicate(timeout=20)
    assert program.returncode == 130
    assert error == "Interrupted.\n"
    assert not (folder / "o.nc").exists()
    if child is not None:
        assert not is_running(child)


def _child_of(parent: int) -> int | None:
    """The backend's process, where ``ps`` can tell."""
    if shutil.which("ps") is None:
        return None
    rows = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    found = [int(pid) for pid, ppid in (row.split() for row in rows.splitlines()) if int(ppid) == parent]
    assert len(found) == 1
    return found[0]


def test_a_check_that_fails_has_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from ppl_parity.cli.exits import FAILED, Exits

    def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Exits.__mro__[1], "main", broken)
    with pytest.raises(SystemExit) as ended:
        Exits(name="ppl-parity").main(["check"])
    assert ended.value.code == FAILED == 4
    assert "a bug" in capsys.readouterr().err


def test_ctrl_c_while_plots_are_drawn_names_the_fit_that_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ppl_parity.report import plots

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "write_plots", interrupted)
    result = CliRunner().invoke(app, f"fit {OK} --plots p {TINY}".split())
    assert result.exit_code != 0
    assert "Wrote o.nc" in result.output
    assert load(folder / "o.nc")["posterior"]["theta"].shape == (2, 12, 2)
