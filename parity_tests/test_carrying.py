"""Is a function of a module that only this process can import rebuilt in a side, as pytest's users write them?"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from ppl_parity.process import carrying
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side

MODEL = """
import importlib

def model(y):
    ppl = "{name}"
    library, dist = importlib.import_module(ppl), importlib.import_module(ppl + ".distributions")
    library.sample("mu", dist.Normal({mean}, 1.0))
"""
LOG_PROB = -0.5 * np.log(2 * np.pi)  # of a standard normal at its mean


def log_density(side: Side, function, mean: float) -> float:
    return side.program(CallableReference.of(function), {"y": np.zeros(1)}).log_density(
        {"mu": np.array(mean)}
    )


def write(path: Path, side: Side, mean: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MODEL.format(name=side.name, mean=mean))


def test_a_module_of_a_folder_that_a_test_put_first(
    side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / f"carried_{side.name}.py", side, 2.0)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(f"carried_{side.name}")
    assert log_density(side, module.model, 2.0) == pytest.approx(LOG_PROB)


def test_a_package_that_is_imported_from_no_folder(
    side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"suite_{side.name}.test_models"
    path = tmp_path / f"suite_{side.name}" / "test_models.py"
    write(path, side, 3.0)
    # As pytest leaves it: the package is known by its name, and no finder knows it.
    monkeypatch.setitem(sys.modules, f"suite_{side.name}", types.ModuleType(f"suite_{side.name}"))
    module = _loaded(path, name, monkeypatch)
    assert str(tmp_path) in carrying.import_path()[1]
    assert log_density(side, module.model, 3.0) == pytest.approx(LOG_PROB)


def test_a_module_whose_name_leads_nowhere(
    side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "models.py", side, 4.0)
    module = _loaded(tmp_path / "models.py", "of_another_name", monkeypatch)
    assert log_density(side, module.model, 4.0) == pytest.approx(LOG_PROB)


def test_a_module_is_the_file_that_it_was_loaded_from(
    side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"twice_{side.name}"
    write(tmp_path / "one" / f"{name}.py", side, 5.0)
    write(tmp_path / "other" / f"{name}.py", side, 6.0)
    monkeypatch.syspath_prepend(tmp_path / "one")
    module = _loaded(tmp_path / "other" / f"{name}.py", name, monkeypatch)
    assert log_density(side, module.model, 6.0) == pytest.approx(LOG_PROB)


def test_what_is_installed_stays_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    late = tmp_path / "late"
    late.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path, str(late), str(tmp_path / "missing")])
    before, after = carrying.import_path()
    assert before[0] == str(tmp_path)
    assert str(late) in after
    assert str(tmp_path / "missing") not in after
    assert not any("site-packages" in folder for folder in before + after)


def test_a_module_that_waits_to_be_loaded_goes_on_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lazy_one.py").write_text("raise RuntimeError('it was loaded')")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec("lazy_one")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy_one", module)
    loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "not_a_module", object())
    carrying.import_path()
    with pytest.raises(RuntimeError, match="it was loaded"):
        _ = module.anything


def _loaded(path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module
