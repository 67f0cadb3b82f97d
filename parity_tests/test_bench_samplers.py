"""What the benchmark of samplers makes of its runs, and how many of them it asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import cases, samplers
from benchmarks.explained import rates

SAMPLED = {"status": "ok", "raw": {"full": [2.0]}, "ess": 100.0}


class Session:
    """Keeps what is recorded, and measures nothing."""

    def __init__(self) -> None:
        self.pythons: dict[str, str] = {}
        self.records: list[dict[str, Any]] = []

    def record(self, kind: str, case: cases.Case, **values: Any) -> None:
        self.records.append({"kind": kind, **values})


def measured(monkeypatch: pytest.MonkeyPatch, colds: list[float], ends: int | None = None) -> dict[str, Any]:
    """The record of a sampler whose processes took ``colds``; the one numbered ``ends`` tells all at once."""
    folders: list[str] = []

    def process(session: Any, case: Any, environment: Any, python: Any, *, whole: bool) -> Any:
        if whole:
            assert environment["JAX_COMPILATION_CACHE_DIR"] == folders[-1]  # what the last cold one has left
            return 0.5, dict(SAMPLED)
        folders.append(environment["JAX_COMPILATION_CACHE_DIR"])
        number = len(folders) - 1
        return colds[number], dict(SAMPLED) if number == ends else {}

    monkeypatch.setattr(samplers, "_process", process)
    session = Session()
    case = cases.Case("sampler", "numpyro", "fused", *cases.SIZES["S"], "float64")
    samplers._measure(session, case)  # type: ignore[arg-type]
    assert len(set(folders)) == len(folders)  # each has empty caches
    (record,) = session.records
    assert record["raw"]["full"] == [2.0]
    return record


def test_a_cold_start_is_the_median_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    record = measured(monkeypatch, [3.0, 9.0, 2.0, 2.5, 4.0])
    assert record["raw"]["cold"] == [3.0, 9.0, 2.0, 2.5, 4.0]
    assert (record["cold_seconds"], record["second_seconds"]) == (3.0, 0.5)


def test_a_slow_start_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    record = measured(monkeypatch, [50.0])
    assert (record["cold_seconds"], record["second_seconds"], record["raw"]["cold"]) == (50.0, 0.5, [50.0])
    record = measured(monkeypatch, [300.0], ends=0)
    assert (record["cold_seconds"], record["second_seconds"], record["raw"]["cold"]) == (300.0, None, [300.0])


def test_rates_multiply_to_the_ess_a_second() -> None:
    rng = np.random.default_rng(0)
    theta = rng.dirichlet(np.full(3, 50.0), size=(1, 400))
    beta = np.arange(6.0).reshape(3, 2) * 10 + rng.standard_normal((1, 400, 3, 2))
    draws = {
        "theta": theta,
        "beta": beta,
        "n_steps": np.full((1, 400), 7),
        "diverging": np.zeros((1, 400), bool),
    }
    found = rates([draws], {"full": [5.0], "one": [1.0]})
    assert found["leapfrogs_per_draw"] == 7
    assert found["draw_seconds"] == pytest.approx(4.0 * 400 / 399)
    assert 200 < found["ess"] < 600
    explained = found["ess_per_leapfrog"] / found["seconds_per_leapfrog"]
    assert found["ess_per_second"] == pytest.approx(explained)
    one = {name: value[:, :1] for name, value in draws.items()}
    assert rates([one], {"full": [1.0], "one": [1.0]})["ess_per_second"] is None


def test_an_ess_is_a_mean_over_seeds_and_a_time_their_median() -> None:
    rng = np.random.default_rng(1)
    runs = [
        {
            "theta": rng.dirichlet(np.full(3, 50.0), size=(1, 400)),
            "beta": np.arange(6.0).reshape(3, 2) * 10 + rng.standard_normal((1, 400, 3, 2)),
            "n_steps": np.full((1, 400), steps),
            "diverging": np.zeros((1, 400), bool),
        }
        for steps in (7, 7, 13)
    ]
    seconds = (5.0, 90.0, 6.0)  # the second was disturbed
    each = [rates([run], {"full": [s], "one": [1.0]}) for run, s in zip(runs, seconds, strict=True)]
    found = rates(runs, {"full": seconds, "one": [1.0] * 3})
    assert found["num_seeds"] == 3
    assert found["ess"] == pytest.approx(np.mean([one["ess"] for one in each]))
    assert found["leapfrogs_per_draw"] == 9
    assert found["ess_per_leapfrog_of_seeds"] == [one["ess_per_leapfrog"] for one in each]
    assert found["seconds_per_leapfrog_of_seeds"] == [one["seconds_per_leapfrog"] for one in each]
    assert found["seconds_per_leapfrog"] == each[0]["seconds_per_leapfrog"]
