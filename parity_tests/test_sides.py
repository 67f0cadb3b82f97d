"""A backend in a process of its own: the same answers, and what becomes of crashes, hangs and chatter."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks.child import Child
from ppl_parity import reference
from ppl_parity.errors import InputError
from ppl_parity.process import fullness, sides
from ppl_parity.process.references import CallableReference, FileReference, MixtureReference
from ppl_parity.process.sides import Side, SideError
from ppl_parity.spec import MixtureSpec, SamplerSettings

HERE = Path(__file__).parent
SPEC = MixtureSpec(2, 2, 1.0, 0.0, 4.0)
X = np.random.default_rng(0).normal(size=(9, 2))
SETTINGS = SamplerSettings(
    num_draws=30, num_warmup=30, num_chains=2, seed=7, init="prior", chain_method="sequential"
)


def model(side: Side, name: str) -> FileReference:
    return FileReference(str(HERE / f"models_{side.name}.py"), name)


def test_the_contract_from_afar(side: Side) -> None:
    program = side.program(MixtureReference(SPEC), {"x": X})
    values = {"theta": np.array([0.3, 0.7]), "beta": np.ones((2, 2)) * [[1.0], [-1.0]]}
    expected = reference.log_density(SPEC, values["theta"], values["beta"], X)
    np.testing.assert_allclose(program.log_density(values), expected, rtol=1e-10)
    assert [site.name for site in program.sites()] == ["theta", "beta", "z", "x"]
    assert set(side.versions()) >= {side.name if side.name == "numpyro" else "pyro-ppl", "numpy"}
    with pytest.raises(AttributeError):
        program.no_such_method()  # type: ignore[attr-defined]


def test_a_model_from_a_file_and_by_value(side: Side) -> None:
    data = {"x": X[:, 0], "y": X[:, 1]}
    values = {"slope": np.array(0.5), "sigma": np.array(0.8)}
    by_file = side.program(model(side, "regression"), data)
    by_value = side.program(CallableReference.of(_regression_of(side.name)), data)
    assert by_file.log_density(values) == by_value.log_density(values)


def test_threads_that_share_a_side_get_their_own_answers(side: Side) -> None:
    program = side.program(MixtureReference(SPEC), {"x": X})
    points = [{"theta": np.array([p, 1 - p]), "beta": np.full((2, 2), p)} for p in np.linspace(0.1, 0.9, 12)]
    expected = [program.log_density(point) for point in points]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            assert list(pool.map(program.log_density, points)) == expected


@pytest.mark.long
def test_two_processes_draw_the_same_bit_for_bit(side: Side) -> None:
    with Side(side.name) as other:
        groups = [
            s.sample_posterior(MixtureReference(SPEC, "fused"), {"x": X}, SETTINGS)[0] for s in (side, other)
        ]
        samples = [s.sample_mixture(SPEC, 5, num_draws=2, seed=3) for s in (side, other)]
        z = [s.sample_assignments(SPEC, *_a_draw(groups[0]), X, seed=3) for s in (side, other)]
    for group in ("posterior", "sample_stats"):
        for name, value in groups[0][group].items():
            np.testing.assert_array_equal(value, groups[1][group][name], err_msg=name)
    np.testing.assert_array_equal(z[0], z[1])
    for name in samples[0]:
        np.testing.assert_array_equal(samples[0][name], samples[1][name])
    assert not np.array_equal(groups[0]["posterior"]["beta"][0], groups[0]["posterior"]["beta"][1])


def test_bad_input_crosses_as_what_it_is(side: Side) -> None:
    with pytest.raises(InputError, match="Did you mean 'fused'"):
        side.program(MixtureReference(SPEC, "fusd"), {"x": X})
    with pytest.raises(InputError, match=r"must define a function 'regresion'.*regression"):
        side.program(model(side, "regresion"), {"x": X})
    with pytest.raises(InputError, match="there is no file"):
        side.program(FileReference("nowhere.py", "model"), {})
    with pytest.raises(SideError, match="no_such_call"):
        side.call("no_such_call")


def test_a_crash_is_named_and_stays_on_its_side(side: Side) -> None:
    with Side(side.name) as doomed, pytest.raises(SideError, match="exited with 7"):
        doomed.program(model(side, "crashes"), {"y": X[:, 0]})
    assert side.versions()


def test_an_answer_that_may_not_cross_is_named_and_ends_nothing(side: Side, tmp_path: Path) -> None:
    (tmp_path / "d.py").write_text("def data():\n    return {'x': {1, 2}}\n")
    with pytest.raises(InputError, match="cross between processes; got <class 'set'>"):
        side.call("evaluate", FileReference(str(tmp_path / "d.py"), "data"))
    assert side.generation == 0
    assert side.versions()


def test_a_hang_is_ended(side: Side) -> None:
    with Side(side.name) as slow, pytest.raises(SideError, match="versions took more than"):
        slow.call("versions", timeout=0.01)


def test_a_model_that_prints_does_not_break_the_conversation(
    side: Side, capfd: pytest.CaptureFixture[str]
) -> None:
    program = side.program(model(side, "chatters"), {"y": X[:, 0]})
    assert np.isfinite(program.log_density({"mu": np.array(0.1)}))


def test_no_such_python() -> None:
    with pytest.raises(InputError, match="must be a program"):
        Side("numpyro", python="no-such-python")


def test_a_missing_framework_names_the_extra(tmp_path: Path) -> None:
    import venv

    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    # NumPy alone is lent to the bare environment: what a side needs before it looks for its framework.
    packages = next((tmp_path / "bare" / "lib").glob("python*")) / "site-packages"
    for name in ("numpy", "numpy.libs"):
        source = Path(np.__file__).parent.parent / name
        if source.exists():
            (packages / name).symlink_to(source)
    with (
        Side("numpyro", python=str(python)) as side,
        pytest.raises(InputError, match=r"ppl-parity\[numpyro\]"),
    ):
        side.versions()


def _a_draw(groups: dict) -> tuple[np.ndarray, np.ndarray]:
    posterior = groups["posterior"]
    return posterior["theta"][0], posterior["beta"][0]


def _regression_of(name: str):
    import importlib

    return importlib.import_module(f"parity_tests.models_{name}").regression


def test_a_full_process_is_replaced_between_checks(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    with Side(side.name) as own:
        program = own.program(model(side, "regression"), {"x": X[:, 0], "y": X[:, 1]})
        values = {"slope": np.array(0.5), "sigma": np.array(0.8)}
        before = program.log_density(values)
        assert fullness.num_maps(own._process.pid) > 100 or sys.platform != "linux"
        own.refresh()
        assert program.log_density(values) == before
        assert own.generation == 0
        monkeypatch.setattr(sides, "most_maps", lambda: 100.0)
        own.refresh()
        assert program.log_density(values) == before
        assert own.generation == int(sys.platform == "linux")


def test_programs_that_nobody_holds_are_dropped(side: Side) -> None:
    held = side.program(model(side, "regression"), {"x": X[:, 0], "y": X[:, 1]})
    lost = side.program(model(side, "regression"), {"x": X[:, 0], "y": X[:, 1]})
    target = lost._target  # type: ignore[attr-defined]
    del lost
    assert side.versions()
    with pytest.raises(SideError, match=f"KeyError: {target}"):
        side.call("params", target=target)
    assert held.params() == ()


OURS = ("ppl_parity", "numpyro_impl", "pyro_impl", "benchmarks")
ASKS = """
import sys
sys.path.insert(0, {installed!r})
from benchmarks.child import Child
from ppl_parity.process.sides import Side
from ppl_parity.process.references import FileReference
import ppl_parity
assert ppl_parity.__file__.startswith({installed!r})
with Side("numpyro", python=sys.executable) as side:
    print(side.call("evaluate", FileReference("where.py", "where")))
    print(sorted(side.versions()))
with Child("numpyro", python=sys.executable) as child:
    print(child.call("benchmarks.gradients:load", backend="numpyro")["devices"])
"""
WHERE = """
import importlib

def where():
    names = ("ppl_parity", "numpyro_impl", "pyro_impl", "benchmarks", "ppl_parity.native.library")
    return [importlib.import_module(name).__file__ for name in names]
"""


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program whose path is its Python's own, in ``folder``."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.long
@pytest.mark.pyro
def test_another_python_uses_its_own_packages(tmp_path: Path) -> None:
    """Beside ours, where they are installed, may stand a NumPyro and a NumPy of another Python's."""
    installed = tmp_path / "site-packages"
    for name in OURS:
        compiled = shutil.ignore_patterns("__pycache__", "built", "results")
        shutil.copytree(HERE.parent / name, installed / name, ignore=compiled)
    for name in ("numpyro", "jax"):
        (installed / name).mkdir()
        (installed / name / "__init__.py").write_text(f"raise ImportError('the {name} of the parent')\n")
    (tmp_path / "where.py").write_text(WHERE)
    ran = _run(ASKS.format(installed=str(installed)), tmp_path)
    assert ran.returncode == 0, ran.stderr
    where, versions, devices = map(ast.literal_eval, ran.stdout.splitlines())
    assert [Path(file).relative_to(installed).parts[0] for file in where] == [*OURS, "ppl_parity"]
    assert "numpyro" in versions
    assert devices == ["cpu"]
    assert ran.stderr == ""


def test_a_python_without_numpy_says_so_in_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import venv

    venv.create(tmp_path / "bare", with_pip=False)
    python = str(tmp_path / "bare" / "bin" / "python")
    with Side("numpyro", python=python) as side:
        # Whatever is asked, and with more data than a pipe holds.
        for asked in (side.versions, lambda: _with_much_data(side), side.devices):
            with pytest.raises(InputError, match=r"must have NumPy .*No module named 'numpy'\.$"):
                asked()
        assert side.generation == 0
    with Child("numpyro", python=python) as child, pytest.raises(InputError, match="must have NumPy"):
        child.call("benchmarks.gradients:load", backend="numpyro")
    assert capfd.readouterr().err == ""


def _with_much_data(side: Side) -> None:
    data = {
        "x": np.zeros((300, 1000)),
        "names": np.array(["a", "bc"]),
        "day": np.array("2020-01-01", "M8[D]"),
    }
    side.program(MixtureReference(SPEC), data)


def test_packages_that_do_not_work_together_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "numpyro").mkdir()
    (tmp_path / "numpyro" / "__init__.py").write_text(
        "try:\n    from jax import no_such_name\n"
        "except ImportError as error:\n    raise ImportError('\\n\\nREAD THIS\\n') from error\n"
    )
    code = (
        f"import sys\nsys.path.insert(0, {str(HERE.parent)!r})\nfrom ppl_parity.process.sides import Side\n"
        "with Side('numpyro', python=sys.executable) as side:\n"
        "    try:\n        side.versions()\n    except ValueError as error:\n        print(error)\n"
    )
    ran = _run(code, tmp_path)
    assert re.search(r"needs packages that work together; in .*cannot import name 'no_such_name'", ran.stdout)
    assert "Traceback" not in ran.stderr
